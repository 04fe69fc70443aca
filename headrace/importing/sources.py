"""Rows of a file, read one after the other in bounded memory; what kind of file it is its first bytes say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from headrace.errors import EventError

_ADVICE = {
    "encrypted Parquet": "is encrypted Parquet; write it without encryption",
    "old office": "is a workbook of Excel before 2007, or one with a password; save it as .xlsx without a password",
    "binary workbook": "is a binary workbook (.xlsb); save it as .xlsx",
    "OpenDocument": "is an OpenDocument file (.ods); save it as .xlsx or .csv",
    "arrow stream": "is an Arrow stream; write it as a file (.arrow, Feather version 2) or as Parquet",
}
_BINARY = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow", ".xlsx": "workbook", ".xlsm": "workbook"}
_KINDS = "CSV, TSV, JSON, JSON lines, Parquet, Arrow and Excel workbooks (.xlsx) can be imported"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read; what is empty is found.

    header_row: the line of the header, from 1
    sheet: of a workbook
    records: the path of the list that holds the rows of a JSON document, as data or result.items
    wanted: names of columns that the file has; its header is recognised by them
    """

    encoding: str = ""
    delimiter: str = ""
    header_row: int = 0
    sheet: str = ""
    records: str = ""
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileRow:
    """number: from 1, the header not counted; fault: why its cells cannot be read, then they are as they came

    line: where it begins in a text file, from 1; 0 elsewhere
    torn: the file ends within its line, so that it may be another when the file has grown
    left: it is none yet, and is left for the next run
    """

    number: int
    cells: dict[str, Any]
    fault: str = ""
    line: int = 0
    torn: bool = False
    left: bool = False


class Rows(Protocol):
    """The rows of one file.

    found: how it is read, for people
    appendable: whether rows are only ever added at its end
    decimal: the decimal mark that such a file has where its numbers do not show it
    """

    columns: tuple[str, ...]
    found: list[str]
    appendable: bool
    decimal: str

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """The rows that follow row number `after`."""

    def done(self) -> float:
        """How much of the file was read, between 0 and 1."""


def open_rows(path: Path, reading: Reading = Reading(), seen: Callable[[float], None] = lambda _: None) -> Rows:
    """The rows of a file; `seen` is told how much of a text was looked at. Raises EventError."""
    from headrace.importing.opened import kind_of

    kind = kind_of(path)
    named = _BINARY.get(path.suffix.lower(), kind)
    if kind != named and kind not in _ADVICE:
        advice = "; where it is text, name it .csv or .jsonl" if not kind else ""
        raise EventError(f"{path} is not {named}, as its name says; it is damaged, or of another kind{advice}")
    if kind in _ADVICE:
        raise EventError(f"{path} {_ADVICE[kind]}")
    if kind == "parquet":
        from headrace.importing.columnar import ParquetRows

        return ParquetRows(path)
    if kind == "arrow":
        from headrace.importing.columnar import ArrowRows

        return ArrowRows(path)
    if kind == "workbook":
        from headrace.importing.workbook import WorkbookRows

        return WorkbookRows(path, reading)
    if kind:
        raise EventError(f"{path} is {kind}; {_KINDS}")
    return _text_rows(path, reading, seen)


def _text_rows(path: Path, reading: Reading, seen: Callable[[float], None]) -> Rows:
    from headrace.importing.delimited import DelimitedRows
    from headrace.importing.encodings import find
    from headrace.importing.json_documents import JsonDocument, is_document, is_table
    from headrace.importing.json_lines import JsonLines
    from headrace.importing.text import TextFile

    suffixes = [suffix.lower() for suffix in path.suffixes]
    file = TextFile(path, find(path, reading.encoding, reading.wanted, seen))
    start = file.head().strip("\ufeff \t\r\n\0\x1a")
    if not start:
        raise EventError(f"{path} is empty")
    binary = sum(not one.isprintable() and not one.isspace() for one in start[:4096])
    if binary * 4 > len(start[:4096]):
        raise EventError(f"{path} is no text and no kind of file that is known; {_KINDS}")
    lined = bool({".jsonl", ".ndjson"}.intersection(suffixes))
    if lined or ".json" in suffixes or (start[0] in "{[" and not {".csv", ".tsv"}.intersection(suffixes)):
        if not reading.records and is_table(start):
            raise EventError(f"{path} is a table of pandas; write it with to_json(orient='records')")
        if reading.records or is_document(start, lined):
            return JsonDocument(file, reading.records, reading.wanted)
        return JsonLines(file)
    if start.startswith("<"):
        raise EventError(f"{path} is XML or HTML; {_KINDS}")
    return DelimitedRows(file, reading, tab=".tsv" in suffixes)
