"""Rows of an Excel workbook (.xlsx, .xlsm), read row by row; formulas have the values that Excel computed last.

Libraries leave formulas without a value; such a cell is NotComputed, and refused where it is needed.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from headrace.errors import EventError
from headrace.importing.headers import Columns, printable, shared
from headrace.importing.sources import FileRow, Reading
from headrace.importing.values import NotComputed

# What a workbook may hold unpacked, and a sheet in rows and columns (Excel's own bounds are 1,048,576 and 16,384).
MAX_BYTES, MAX_SHARED_BYTES, MAX_PARTS = 4 * 1024**3, 512 * 1024**2, 10_000
LOOKED_AT = 50
# Rows without a cell, one after the other, after which a sheet is over: formats reach down to its last row.
MAX_EMPTY = 10_000
MAX_TAG = 1024**2
_ISO_CELL = re.compile(rb"""(<(?:\w+:)?c\s[^<>]*\bt\s*=\s*)(?:"d"|'d')""")
# A formula whose value is missing or blank.
_NOT_COMPUTED = re.compile(
    rb"""<((?:\w+:)?)c(\s[^<>]*)?>\s*<\1f(?=[\s/>])[^<>]*(?:/>|>[^<]*</\1f\s*>)"""
    rb"""\s*(?:<\1v\s*/>|<\1v\s*>\s*</\1v\s*>)?\s*</\1c\s*>"""
)
_TYPE = re.compile(rb"""\s+t\s*=\s*["'](\w*)["']""")
_CELL_END = re.compile(rb"</(?:\w+:)?c\s*>")
_MARK = "#NOT_COMPUTED!"
_ZEROS = re.compile(r"0{2,18}")
_SHARED = re.compile(r"sharedStrings|styles|workbook\.xml|\.rels", re.IGNORECASE)


class WorkbookRows:
    """See Rows.

    The sheet is the one that is named, or else the first visible one that has the columns which the caller named.
    """

    appendable = False
    decimal = "."

    def __init__(self, path: Path, reading: Reading) -> None:
        """Raises EventError where it is damaged, too large, or has no such sheet."""
        _check_size(path)
        self._path = path
        self._done = 0.0
        self._sheet, self._header, cells = self._found_header(reading)
        self.columns: tuple[str, ...] = Columns.of(cells)
        self.found = [f"workbook, sheet {self._sheet!r}", f"header in row {self._header}"]

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """See Rows.read."""
        number = 0
        width = len(self.columns)
        for line, cells in self._rows(self._sheet):
            # A formula without a value says something, which nobody has worked out.
            if line <= self._header or all(
                cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells
            ):
                continue
            number += 1
            if number <= after:
                continue
            fault = ""
            if any(cell not in (None, "") for cell in cells[width:]):
                fault = f"the row has {len(cells)} cells and the header {width}"
            named = dict(zip(self.columns, cells + [None] * (width - len(cells)), strict=False))
            yield FileRow(number, named, fault, line)

    def done(self) -> float:
        """See Rows.done."""
        return self._done

    def _found_header(self, reading: Reading) -> tuple[str, int, list[Any]]:
        book = _opened(self._path)
        try:
            names = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"]
            every = [sheet.title for sheet in book.worksheets]
        finally:
            book.close()
        if reading.sheet and reading.sheet not in every:
            raise EventError(
                f"--sheet {reading.sheet}: {self._path} has no such sheet; it has {printable(', '.join(every[:20]))}"
            )
        best: tuple[str, int, list[Any]] | None = None
        most = -1
        for name in [reading.sheet] if reading.sheet else names:
            for _, (line, cells) in zip(range(LOOKED_AT), self._rows(name), strict=False):
                while cells and cells[-1] is None:
                    cells.pop()
                if reading.header_row:
                    if line == reading.header_row and cells:
                        return name, line, cells
                    continue
                if cells and (found := shared(cells, reading.wanted)) > most:
                    best, most = (name, line, cells), found
        if reading.header_row:
            raise EventError(f"--header-row {reading.header_row}: {self._path} has nothing in that row")
        if best is None:
            raise EventError(f"{self._path} has no header: no sheet that is visible has a cell in its first rows")
        return best

    def _rows(self, name: str) -> Iterator[tuple[int, list[Any]]]:
        """Numbers of rows, as Excel shows them, and their cells."""
        book = _opened(self._path)
        try:
            sheet = book[name]
            opened = sheet._get_source
            sheet._get_source = lambda: TimesAsText(opened())
            last = max(1, sheet.max_row or 1)
            # What a sheet says of its size may be wrong.
            sheet.reset_dimensions()
            empty = 0
            for line, cells in enumerate(_stepped(self._path, sheet.iter_rows()), 1):
                self._done = min(1.0, line / last)
                empty = 0 if any(cell is not None for cell in cells) else empty + 1
                if empty > MAX_EMPTY:
                    break
                yield line, cells
            self._done = 1.0
        finally:
            book.close()


class TimesAsText:
    """The XML of a sheet in which cells of type d are texts: openpyxl reads their ISO 8601 without its zone.

    A formula without a value has an error as its value, for openpyxl would read it as an empty cell.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._torn = b""

    def __enter__(self) -> TimesAsText:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        self._source.close()

    def read(self, size: int = -1) -> bytes:
        """About as many bytes, none at the end; tags and cells are never cut, unless longer than any should be."""
        while True:
            piece = self._source.read(size)
            given = self._torn + piece
            torn = _torn(given) if piece and len(given) < MAX_TAG else -1
            given, self._torn = (given, b"") if torn < 0 else (given[:torn], given[torn:])
            if given or not piece:
                return _ISO_CELL.sub(rb'\1"str"', _NOT_COMPUTED.sub(_marked, given))


def _torn(given: bytes) -> int:
    """Where the tag or the cell begins that these bytes end in; -1 where they end in none."""
    cell = max(given.rfind(b"<c "), given.rfind(b"<", 0, max(0, given.rfind(b":c "))))
    end = given.find(b">", cell)
    if cell >= 0 and end >= 0 and given[end - 1 : end] != b"/" and not _CELL_END.search(given, end):
        return cell
    tag = given.rfind(b"<")
    return tag if tag > given.rfind(b">") else -1


def _marked(cell: re.Match[bytes]) -> bytes:
    attributes = cell[2] or b""
    kind = _TYPE.search(attributes)
    if kind is not None and kind[1] == b"str":
        # It came out as an empty text.
        return cell[0]
    name, rest = cell[1], _TYPE.sub(b"", attributes)
    return b'<%bc%b t="e"><%bv>%b</%bv></%bc>' % (name, rest, name, _MARK.encode(), name, name)


def _value(cell: Any) -> Any:
    """A cell's value; a number that is shown with leading zeros is the text that is shown."""
    value = cell.value
    if value == _MARK and getattr(cell, "data_type", "") == "e":
        return NotComputed()
    if isinstance(value, int | float) and not isinstance(value, bool):
        form = str(getattr(cell, "number_format", "") or "")
        if _ZEROS.fullmatch(form) and float(value).is_integer() and value >= 0:
            return str(int(value)).zfill(len(form))
        return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, datetime):
        # Days with a fraction have rounding in them.
        return value if value.microsecond == 0 else _rounded(value)
    return value if value != "" else None


def _rounded(value: datetime) -> datetime:
    millis = round(value.microsecond / 1000)
    return value.replace(microsecond=0) + timedelta(milliseconds=millis)


def _opened(path: Path) -> Any:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise EventError(f"{path}: Excel workbooks need openpyxl; pip install 'headrace[import]'") from None
    return _guarded(path, lambda: load_workbook(path, read_only=True, data_only=True, keep_links=False))


def _stepped(path: Path, rows: Any) -> Iterator[list[Any]]:
    steps = ([_value(cell) for cell in row] for row in rows)
    while (row := _guarded(path, lambda: next(steps, None))) is not None:
        yield row


def _guarded(path: Path, read: Any) -> Any:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except EventError:
        raise
    except MemoryError:
        raise EventError(f"{path} is a workbook that does not fit into memory; save the sheet as .csv") from None
    except Exception as error:
        # A damaged workbook ends openpyxl in any of Python's errors.
        said = printable(" ".join(str(error).split()))[:200] or type(error).__name__
        raise EventError(f"{path} is a workbook that cannot be read: {said}; save it anew, or as .csv") from None


def _check_size(path: Path) -> None:
    """A small file may unpack to more than a machine has."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        said = printable(str(error))[:200]
        raise EventError(f"{path} is a workbook that cannot be read: {said}; it is damaged") from None
    shared = sum(part.file_size for part in parts if _SHARED.search(part.filename))
    if sum(part.file_size for part in parts) > MAX_BYTES or shared > MAX_SHARED_BYTES or len(parts) > MAX_PARTS:
        raise EventError(f"{path} unpacks to more than a workbook may; save the sheet as .csv")
