"""Which output formats may be cut into pieces, and the header that each piece repeats.

chdb streams a result block by block and writes each block as a document of its own. For row formats the pieces make
one document again once the header of every piece but the first is gone. The others (JSON, Parquet, Pretty, …) have a
frame around all rows: those are built whole.
"""

from __future__ import annotations

from collections.abc import Callable

from headrace.embedded.clickhouse.varints import varint

Skip = Callable[[bytes], int]

# Without a header; then those whose variants …WithNames and …WithNamesAndTypes have one.
_PLAIN = """Native TabSeparated TSV Raw TabSeparatedRaw TSVRaw CSV JSONEachRow JSONLines NDJSON JSONCompactEachRow
    JSONStringsEachRow JSONCompactStringsEachRow RowBinary LineAsString RawBLOB MsgPack TSKV"""
_LINES = "TabSeparated TSV TabSeparatedRaw TSVRaw Raw CSV JSONCompactEachRow JSONCompactStringsEachRow"


def header_of(name: str) -> Skip | None:
    """A function that gives the length of a piece's header, or None for a format that cannot be cut."""
    return _SKIPS.get(name.lower())


def _nothing(piece: bytes) -> int:
    return 0


def _lines(count: int) -> Skip:
    """Header lines; a quoted CSV name may hold a newline."""

    def skip(piece: bytes) -> int:
        at, quoted, left = 0, False, count
        while left and at < len(piece):
            byte = piece[at]
            if byte == 0x22:
                quoted = not quoted
            elif byte == 0x0A and not quoted:
                left -= 1
            at += 1
        return at

    return skip


def _unquoted_lines(count: int) -> Skip:
    def skip(piece: bytes) -> int:
        at = 0
        for _ in range(count):
            at = piece.find(b"\n", at) + 1 or len(piece)
        return at

    return skip


def _row_binary(groups: int) -> Skip:
    """A count of columns, then their names and, in the second group, their types; all lengths are LEB128."""

    def skip(piece: bytes) -> int:
        if not piece:
            return 0
        columns, at = varint(piece, 0)
        for _ in range(columns * groups):
            length, at = varint(piece, at)
            at += length
        return at

    return skip


_SKIPS: dict[str, Skip] = {name.lower(): _nothing for name in _PLAIN.split()}
for _name in _LINES.split():
    _make = _lines if _name == "CSV" else _unquoted_lines
    _SKIPS[f"{_name}WithNames".lower()] = _make(1)
    _SKIPS[f"{_name}WithNamesAndTypes".lower()] = _make(2)
_SKIPS["rowbinarywithnames"] = _row_binary(1)
_SKIPS["rowbinarywithnamesandtypes"] = _row_binary(2)
