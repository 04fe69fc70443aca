"""Rows of a file: CSV, JSON lines (both also gzipped) or Parquet, read one after the other in bounded memory."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from headrace.contract.elements import element
from headrace.errors import EventError

MAX_CELL = 1024 * 1024
MAX_LINE = 4 * 1024 * 1024
LOOKED_AT = 1000
"""Lines of a JSON file from which its columns are taken."""
PARQUET_ROWS = 2000

csv.field_size_limit(MAX_CELL)


@dataclass(frozen=True, slots=True)
class FileRow:
    """number: from 1, the header not counted; fault: why its cells cannot be read, then they are as they came"""

    number: int
    cells: dict[str, Any]
    fault: str = ""


class Rows(Protocol):
    """The rows of one file."""

    columns: tuple[str, ...]

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """The rows that follow row number `after`."""

    def done(self) -> float:
        """How much of the file was read, between 0 and 1."""


def open_rows(path: Path, delimiter: str = "") -> Rows:
    """By the file's name: .csv, .tsv, .jsonl or .ndjson, each also with .gz, or .parquet. Raises EventError."""
    if not path.is_file():
        raise EventError(f"there is no file {path}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = bool(suffixes) and suffixes[-1] == ".gz"
    kind = next(reversed(suffixes[:-1] if zipped else suffixes), "")
    if kind in (".csv", ".tsv", ".txt"):
        return CsvRows(path, zipped, delimiter or ("\t" if kind == ".tsv" else ""))
    if kind in (".jsonl", ".ndjson", ".json"):
        return JsonRows(path, zipped)
    if kind == ".parquet" and not zipped:
        return ParquetRows(path)
    raise EventError(f"{path}: the name does not say what it is; .csv, .tsv, .jsonl and .parquet can be imported")


class _Counted:
    """A file's bytes, and how many of them were read."""

    def __init__(self, path: Path, zipped: bool) -> None:
        self.size = max(1, path.stat().st_size)
        self._raw: BinaryIO = path.open("rb")
        self.lines: Any = gzip.open(self._raw, "rb") if zipped else self._raw  # noqa: SIM115 (closed by close)

    def done(self) -> float:
        return 1.0 if self._raw.closed else min(1.0, self._raw.tell() / self.size)

    def close(self) -> None:
        self._raw.close()


class CsvRows:
    """See Rows. The first line names the columns; encoding UTF-8, with a byte order mark or without."""

    def __init__(self, path: Path, zipped: bool, delimiter: str) -> None:
        self._path, self._zipped = path, zipped
        self._file: _Counted | None = None
        with _text(_Counted(path, zipped)) as text:
            start = _guarded(path, lambda: text.read(64 * 1024))
        first = start.splitlines()[0] if start.strip() else ""
        if not first:
            raise EventError(f"{path} is empty: its first line names the columns")
        self._delimiter = delimiter or max(",;\t|", key=first.count)
        self.columns = tuple(name.strip() for name in next(csv.reader(io.StringIO(start), delimiter=self._delimiter)))
        twice = [name for name in self.columns if self.columns.count(name) > 1]
        if twice:
            raise EventError(f"{path} has two columns {twice[0]!r}; give each a name of its own")

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """See Rows.read."""
        self._file = _Counted(self._path, self._zipped)
        with _text(self._file) as text:
            lines = csv.reader(text, delimiter=self._delimiter)
            next(lines, None)
            number = 0
            while True:
                try:
                    cells = next(lines, None)
                except csv.Error as error:
                    number += 1
                    yield FileRow(number, {}, f"the row is not CSV: {error}")
                    continue
                except UnicodeDecodeError as error:
                    raise EventError(f"{self._path} is not UTF-8 after row {number}: {error.reason}") from None
                if cells is None:
                    return
                if not cells:
                    continue
                number += 1
                if number > after:
                    yield self._row(number, cells)

    def done(self) -> float:
        """See Rows.done."""
        return self._file.done() if self._file else 0.0

    def _row(self, number: int, cells: list[str]) -> FileRow:
        if len(cells) == len(self.columns):
            return FileRow(number, dict(zip(self.columns, cells, strict=True)))
        fault = f"the row has {len(cells)} cells and the header {len(self.columns)}"
        return FileRow(number, {"cells": cells}, fault)


class JsonRows:
    """See Rows. One JSON object a line; an empty line is none."""

    def __init__(self, path: Path, zipped: bool) -> None:
        self._path, self._zipped = path, zipped
        self._file: _Counted | None = None
        found: dict[str, None] = {}
        for row in islice(self.read(), LOOKED_AT):
            if row.number == 1 and row.fault and str(row.cells.get("line", "")).startswith("["):
                raise EventError(f"{path} is a JSON array; write one object a line (jq -c '.[]' {path.name})")
            found |= dict.fromkeys(row.cells if not row.fault else ())
        if not found:
            raise EventError(f"{path} has no JSON object in its first lines; write one a line")
        self.columns = tuple(found)

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """See Rows.read."""
        self._file = _Counted(self._path, self._zipped)
        number = 0
        try:
            while line := _guarded(self._path, lambda: self._file.lines.readline(MAX_LINE)):
                if not line.strip():
                    continue
                number += 1
                too_long = len(line) == MAX_LINE and not line.endswith(b"\n")
                while too_long and (rest := self._file.lines.readline(MAX_LINE)):
                    if rest.endswith(b"\n"):
                        break
                if number > after:
                    yield _of_line(number, line, too_long)
        finally:
            self._file.close()

    def done(self) -> float:
        """See Rows.done."""
        return self._file.done() if self._file else 0.0


class ParquetRows:
    """See Rows."""

    def __init__(self, path: Path) -> None:
        try:
            from pyarrow import ArrowException
            from pyarrow.parquet import ParquetFile
        except ImportError:
            raise EventError(f"{path}: Parquet needs pyarrow; pip install 'headrace[import]'") from None
        try:
            self._file = ParquetFile(path)
        except (ArrowException, OSError) as error:
            raise EventError(f"{path} is not Parquet: {' '.join(str(error).split())[:200]}") from None
        self.columns = tuple(self._file.schema_arrow.names)
        self._rows = max(1, self._file.metadata.num_rows)
        self._number = 0

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """See Rows.read."""
        self._number = 0
        for batch in self._file.iter_batches(PARQUET_ROWS):
            if self._number + batch.num_rows <= after:
                self._number += batch.num_rows
                continue
            for cells in batch.to_pylist():
                self._number += 1
                if self._number > after:
                    yield FileRow(self._number, cells)

    def done(self) -> float:
        """See Rows.done."""
        return self._number / self._rows


def _of_line(number: int, line: bytes, too_long: bool) -> FileRow:
    shown = {"line": line[:1000].decode(errors="replace").rstrip("\n")}
    if too_long:
        return FileRow(number, shown, f"the line is longer than {MAX_LINE} bytes")
    found = element(line)
    if found.fault:
        return FileRow(number, shown, found.fault)
    if not isinstance(found.value, dict):
        return FileRow(number, shown, "the line is not a JSON object")
    return FileRow(number, found.value)


def _text(file: _Counted) -> io.TextIOWrapper:
    return io.TextIOWrapper(file.lines, encoding="utf-8-sig", newline="")


def _guarded(path: Path, read: Any) -> Any:
    try:
        return read()
    except (UnicodeDecodeError, EOFError, OSError) as error:
        raise EventError(f"{path} cannot be read: {error}") from None
