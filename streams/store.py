"""Records into a table: decode, insert, and say what could not be stored. Blocking; nothing here knows Faust."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from headrace.control import DeadLetter
from headrace.warehouse import Sink
from streams import bisect
from streams.decode import Raw, Row, dead_letter, decode
from streams.tables import Table

# One block stays below this many bytes of records, plus one record.
BLOCK_BYTES = 4 * 1024 * 1024


def store(records: Sequence[Raw], table: Table, sink: Sink) -> list[DeadLetter]:
    """Store the rows of `records`; returns the dead letters that are still to be published.

    A dead letter about the dead-letter topic itself is stored at once: published, it would come back for ever.
    Raises Transient where waiting may help and Permanent where no row is at fault; then nothing may be acknowledged.
    """
    at = datetime.now(UTC)
    rows: list[Row] = []
    letters: list[DeadLetter] = []
    for record in records:
        decoded = decode(record, table, at)
        rows += decoded.rows
        letters += decoded.letters
    if rows:
        for row, error in bisect.insert(sink, table.name, rows, token(table.name, records)):
            letters.append(dead_letter(row.raw, row.place, f"ClickHouse refused the row: {error}", at, error.code))
    if table.is_last_resort and letters:
        sink.insert(table.name, [letter.model_dump_json().encode() for letter in letters])
        return []
    return letters


def blocks(records: Sequence[Raw]) -> Iterator[Sequence[Raw]]:
    """The records in order, cut into blocks of about BLOCK_BYTES."""
    start = size = 0
    for place, record in enumerate(records):
        size += len(record.value or b"")
        if size >= BLOCK_BYTES:
            yield records[start : place + 1]
            start, size = place + 1, 0
    if start < len(records):
        yield records[start:]


def token(table: str, records: Sequence[Raw]) -> str:
    """Names a block by its origin: the same records make the same token, whoever reads them."""
    origin = sorted((record.topic, record.partition, record.offset) for record in records)
    return f"{table}:{hashlib.sha256(repr(origin).encode()).hexdigest()}"
