"""Records into a table: read them, insert their rows, and say what could not be stored. Nothing here knows Faust."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby

from headrace.contract.control import DeadLetter
from headrace.contract.elements import elements
from headrace.contract.letters import WHOLE, dead_letter
from headrace.errors import Permanent
from headrace.warehouse import Sink
from streams import bisect
from streams.decode import Decoded, InsertRow, Raw, decode
from streams.packed import packed
from streams.rules import Rules
from streams.tables import Table

# A block stays below this many bytes, plus one record.
BLOCK_BYTES = 16 * 1024 * 1024
# What these cost beside their bytes: many small ones are a full block, too.
RECORD_BYTES = 1024
ROW_BYTES = 256
LETTER_BYTES = 2048


class Block:
    """Records of one topic that are stored together.

    records: each says how many events it holds
    size: bytes of the records, and of the rows and letters of those that went event by event
    letters: what decoding refused; known before anything is stored
    """

    def __init__(self, table: Table, rules: Rules) -> None:
        self.table = table
        self._rules = rules
        self.records: list[Raw] = []
        self.letters: list[DeadLetter] = []
        self.size = 0
        self._packed: list[tuple[Raw, bytes]] = []
        self._rows: list[InsertRow] = []

    @property
    def full(self) -> bool:
        return self.size >= BLOCK_BYTES

    def add(self, record: Raw) -> None:
        """Decode a record and keep it. Never raises for what it holds."""
        self.size += len(record.value or b"") + RECORD_BYTES
        found = packed(record, self.table, self._rules)
        if found is None:
            decoded = decode(record, self.table, datetime.now(UTC), self._rules)
            self._keep(decoded)
            events = decoded.events
        else:
            body, events = found
            self._packed.append((record, body))
        self.records.append(Raw(record.topic, record.partition, record.offset, record.value, events))

    def store(self, sink: Sink) -> list[DeadLetter]:
        """Store the rows; returns the dead letters that are still to be published. Blocking; may be repeated.

        A dead letter about the dead-letter topic itself is stored at once: published, it would come back for ever.
        Raises Transient where waiting may help and Permanent where no row is at fault: then nothing is acknowledged.
        """
        if self._packed:
            try:
                sink.insert_records(self.table.name, [body for _, body in self._packed])
            except Permanent as error:
                if error.code in bisect.NOT_THE_ROWS:
                    raise
                at = datetime.now(UTC)
                for record, _ in self._packed:
                    self._keep(decode(record, self.table, at, self._rules))
            self._packed = []
        letters = list(self.letters)
        into = partial(sink.insert_records if self.table.packed else sink.insert, self.table.name)
        letters += _refused(bisect.insert(into, self._rows) if self._rows else (), self.table)
        if self.table.is_last_resort and letters:
            sink.insert(self.table.name, [letter.model_dump_json().encode() for letter in letters])
            return []
        return letters

    def _keep(self, decoded: Decoded) -> None:
        self._rows += decoded.rows
        self.letters += decoded.letters
        self.size += sum(len(row.body) + ROW_BYTES for row in decoded.rows)
        self.size += sum(len(letter.original) + LETTER_BYTES for letter in decoded.letters)


def store(records: Sequence[Raw], table: Table, sink: Sink, rules: Rules) -> list[DeadLetter]:
    """Store `records` as one block; see Block.store."""
    block = Block(table, rules)
    for record in records:
        block.add(record)
    return block.store(sink)


def _refused(found: Sequence[bisect.Refused], table: Table) -> Iterator[DeadLetter]:
    """The dead letters of rows that ClickHouse refused; rows of one record follow each other."""
    for raw, rows in groupby(found, key=lambda one: one.row.raw):
        value = raw.value or b""
        originals = (
            {place: found.original for place, found in enumerate(elements(value))} if table.packed else {WHOLE: value}
        )
        for row, why in rows:
            reason = f"ClickHouse refused the row: {why}"
            yield dead_letter(raw, originals[row.place], reason, datetime.now(UTC), row.place, why.code)
