"""Records into a table: read them, insert their rows, and say what could not be stored. Nothing here knows Faust."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from headrace.control import DeadLetter
from headrace.errors import Permanent
from headrace.warehouse import Sink
from streams import bisect
from streams.decode import Decoded, Raw, Row, dead_letter, decode
from streams.packed import packed
from streams.rules import Rules
from streams.tables import Table

# A block stays below this many bytes of records, plus one record.
BLOCK_BYTES = 16 * 1024 * 1024
# What a record costs beside its bytes: many small ones are a full block, too.
RECORD_BYTES = 1024


class Block:
    """Records of one topic that are stored together.

    size: bytes of the records, and RECORD_BYTES for each
    letters: what decoding refused; known before anything is stored
    """

    def __init__(self, table: Table, rules: Rules) -> None:
        self.table = table
        self._rules = rules
        self.records: list[Raw] = []
        self.letters: list[DeadLetter] = []
        self.size = 0
        self._packed: list[tuple[Raw, bytes]] = []
        self._rows: list[Row] = []

    @property
    def full(self) -> bool:
        return self.size >= BLOCK_BYTES

    def add(self, record: Raw) -> None:
        """Decode a record and keep it. Never raises for what it holds."""
        self.records.append(record)
        self.size += len(record.value or b"") + RECORD_BYTES
        body = packed(record, self.table, self._rules)
        if body is None:
            self._keep(decode(record, self.table, datetime.now(UTC), self._rules))
        else:
            self._packed.append((record, body))

    def store(self, sink: Sink) -> list[DeadLetter]:
        """Store the rows; returns the dead letters that are still to be published. Blocking; may be repeated.

        A dead letter about the dead-letter topic itself is stored at once: published, it would come back for ever.
        Raises Transient where waiting may help and Permanent where no row is at fault: then nothing is acknowledged.
        """
        name = token(self.table.name, self.records)
        if self._packed:
            try:
                sink.insert_records(self.table.name, [body for _, body in self._packed], f"{name}/packed")
            except Permanent as error:
                if error.code in bisect.NOT_THE_ROWS:
                    raise
                at = datetime.now(UTC)
                for record, _ in self._packed:
                    self._keep(decode(record, self.table, at, self._rules))
            self._packed = []
        letters = list(self.letters)
        into = partial(sink.insert_records if self.table.packed else sink.insert, self.table.name)
        for row, why in bisect.insert(into, self._rows, name) if self._rows else ():
            reason = f"ClickHouse refused the row: {why}"
            letters.append(dead_letter(row.raw, row.place, reason, datetime.now(UTC), why.code))
        if self.table.is_last_resort and letters:
            sink.insert(self.table.name, [letter.model_dump_json().encode() for letter in letters])
            return []
        return letters

    def _keep(self, decoded: Decoded) -> None:
        self._rows += decoded.rows
        self.letters += decoded.letters


def store(records: Sequence[Raw], table: Table, sink: Sink, rules: Rules) -> list[DeadLetter]:
    """Store `records` as one block; see Block.store."""
    block = Block(table, rules)
    for record in records:
        block.add(record)
    return block.store(sink)


def token(table: str, records: Sequence[Raw]) -> str:
    """Names a block by its origin: the same records make the same token, whoever reads them."""
    origin = sorted((record.topic, record.partition, record.offset) for record in records)
    return f"{table}:{hashlib.sha256(repr(origin).encode()).hexdigest()}"
