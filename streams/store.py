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
from streams.decode import Decoded, Raw, decode
from streams.given_ids import NONE, Ids, differ
from streams.packed import Packed, packed
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
        self.size = 0
        self._packed: list[tuple[Raw, Packed]] = []
        self._decoded: list[tuple[Raw, Decoded]] = []
        self._ids: Ids = NONE

    @property
    def letters(self) -> list[DeadLetter]:
        return [letter for _, found in self._decoded for letter in found.letters]

    @property
    def full(self) -> bool:
        return self.size >= BLOCK_BYTES

    def add(self, record: Raw) -> None:
        """Decode a record and keep it. Never raises for what it holds."""
        self.size += len(record.value or b"") + RECORD_BYTES
        found = self._take(record)
        self.records.append(record if found.events == record.events else record._replace(events=found.events))

    def store(self, sink: Sink) -> list[DeadLetter]:
        """Store the rows; returns the dead letters that are still to be published. Blocking; may be repeated.

        A dead letter about the dead-letter topic itself is stored at once: published, it would come back for ever.
        Raises Transient where waiting may help and Permanent where no row is at fault: then nothing is acknowledged.
        """
        self._identify(sink)
        if self._packed:
            try:
                sink.insert_records(self.table.name, [found.body for _, found in self._packed])
            except Permanent as error:
                if error.code in bisect.NOT_THE_ROWS:
                    raise
                for record, _ in self._packed:
                    self._decode(record)
            self._packed = []
        rows = [row for _, found in self._decoded for row in found.rows]
        letters = self.letters
        into = partial(sink.insert_records if self.table.packed else sink.insert, self.table.name)
        letters += _refused(bisect.insert(into, rows) if rows else (), self.table, self._ids)
        if self.table.is_last_resort and letters:
            sink.insert(self.table.name, [letter.model_dump_json().encode() for letter in letters])
            return []
        return letters

    def _identify(self, sink: Sink) -> None:
        """Give the events that bear an emitter's own id the one that is meant. Raises WarehouseError."""
        borne = [found.borne for _, found in self._packed] + [list(found.borne) for _, found in self._decoded]
        given = [one.given for found in borne for one in found]
        if not given or self._ids:
            return
        ids = self._ids = sink.identify(given)
        again = [record for record, found in self._packed if differ(found.borne, ids)]
        again += [record for record, decoded in self._decoded if differ(decoded.borne, ids)]
        self._packed = [(record, found) for record, found in self._packed if not differ(found.borne, ids)]
        self._decoded = [(record, found) for record, found in self._decoded if not differ(found.borne, ids)]
        for record in again:
            self._take(record)

    def _take(self, record: Raw) -> Packed | Decoded:
        found = packed(record, self.table, self._rules, self._ids)
        if found is None:
            return self._decode(record)
        self._packed.append((record, found))
        return found

    def _decode(self, record: Raw) -> Decoded:
        found = decode(record, self.table, datetime.now(UTC), self._rules, self._ids)
        self._decoded.append((record, found))
        self.size += sum(len(row.body) + ROW_BYTES for row in found.rows)
        self.size += sum(len(letter.original) + LETTER_BYTES for letter in found.letters)
        return found


def store(records: Sequence[Raw], table: Table, sink: Sink, rules: Rules) -> list[DeadLetter]:
    """Store `records` as one block; see Block.store."""
    block = Block(table, rules)
    for record in records:
        block.add(record)
    return block.store(sink)


def _refused(found: Sequence[bisect.Refused], table: Table, ids: Ids) -> Iterator[DeadLetter]:
    """The dead letters of rows that ClickHouse refused; rows of one record follow each other."""
    for raw, rows in groupby(found, key=lambda one: one.row.raw):
        value = raw.value or b""
        originals = (
            {place: found.original for place, found in enumerate(elements(value))} if table.packed else {WHOLE: value}
        )
        for row, why in rows:
            reason = f"ClickHouse refused the row: {why}"
            yield dead_letter(raw, originals[row.place], reason, datetime.now(UTC), row.place, why.code, ids)
