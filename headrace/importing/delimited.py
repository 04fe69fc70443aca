"""Rows of delimited text: CSV, TSV and their relatives, as spreadsheets, ticket systems and surveys write them."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice

from headrace.errors import EventError
from headrace.importing.headers import Columns, found, has_all, shared
from headrace.importing.records import Record, Records, is_escaped
from headrace.importing.sources import FileRow, Reading
from headrace.importing.text import TextFile, damage

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
LOOKED_AT = 50
# Excel's hint, in a line before the header.
_HINT = re.compile(r'\ufeff?"?sep=(\\t|.)"?[,;\t]*(\r\n|\n|\r)', re.IGNORECASE)
# Qualtrics has the question's text and then its id in two lines after the header.
_QUALTRICS = re.compile(r'\{\s*"ImportId"')


class DelimitedRows:
    """See Rows.

    The header is the line that has the columns which the caller named, or else the first; what is before it is passed
    over. Cells that a row lacks at its end are empty. A line that is the header once more, or has empty cells alone, is
    passed over.
    """

    appendable = True

    def __init__(self, file: TextFile, reading: Reading, tab: bool) -> None:
        """Raises EventError where no header is found."""
        self._file = file
        head = file.head()
        hint = _HINT.match(head)
        self._hint = hint.end() if hint else 0
        head = head[self._hint :]
        self._spaced = False
        hinted = hint[1].replace("\\t", "\t") if hint else ""
        given = reading.delimiter.replace("\\t", "\t")
        if len(given) > 1 or given in ('"', "\n", "\r"):
            raise EventError(f"--delimiter {reading.delimiter}: it takes one character, as ';' or '\\t'")
        self._delimiter = given or hinted or _sniffed(head, reading.wanted, "\t" if tab else "")
        self._spaced = f'{self._delimiter} "' in head and f'{self._delimiter}"' not in head
        self._escaped = self._delimiter == "\t" and is_escaped(head)
        self._header = self._found_header(head, reading)
        self.columns: tuple[str, ...] = Columns.of(self._header.cells)
        self._cells = tuple(self._header.cells)
        self._needed = max(
            (place for place, name in enumerate(self.columns, 1) if found(name, reading.wanted)), default=0
        )
        self.decimal = "," if self._delimiter == ";" else "."
        line = self._header.line + bool(self._hint)
        name = DELIMITERS.get(self._delimiter, repr(self._delimiter))
        self.found = [
            file.how,
            f"delimiter {name}{' (sep=)' if hinted and not given else ''}",
            f"header in line {line}",
            *(["backslashes as COPY writes them"] if self._escaped else []),
        ]

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """See Rows.read."""
        with self._file.open() as text:
            if self._hint:
                text.readline()
            records = Records(text, self._delimiter, len(self._cells), self._spaced, self._escaped)
            for number, record in enumerate(self._data(iter(records)), 1):
                if number > after:
                    yield self._row(number, record)

    def done(self) -> float:
        """See Rows.done."""
        return self._file.done()

    def _data(self, records: Iterator[Record]) -> Iterator[Record]:
        """The records after the header."""
        for record in records:
            if record.line >= self._header.line:
                break
        # The question's text and its id, where Qualtrics wrote them.
        first = list(islice(records, 2))
        marked = next(
            (at for at, one in enumerate(first) if sum(map(_is_import_id, one.cells)) * 2 > len(one.cells)), -1
        )
        for record in chain(first[marked + 1 :], records):
            # Files that were put one after the other bring their headers along, and spreadsheets rows of empty cells.
            if tuple(record.cells) != self._cells and (record.fault or any(map(str.strip, record.cells))):
                yield record

    def _row(self, number: int, record: Record) -> FileRow:
        line, cells, width = record.line + bool(self._hint), record.cells, len(self.columns)
        if record.fault:
            return FileRow(number, {"cells": cells}, record.fault, line, record.torn, record.left)
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            fault = f"the row has {len(cells)} cells and the header {width}"
            return FileRow(number, {"cells": cells}, fault, line, record.torn)
        named = dict(zip(self.columns, cells + [""] * (width - len(cells)), strict=False))
        short = record.torn and len(cells) < self._needed
        fault = f"the row has {len(cells)} cells and the header {width}" if short else _damaged(named)
        return FileRow(number, named, fault, line, record.torn, left=record.torn and bool(fault))

    def _found_header(self, head: str, reading: Reading) -> Record:
        text = io.StringIO(head, newline="")
        records = list(islice(Records(text, self._delimiter, 0, self._spaced, self._escaped), 200))
        if reading.header_row:
            line = reading.header_row - bool(self._hint)
            there = next((one for one in records if one.line == line), None)
            if there is None or there.fault:
                raise EventError(f"--header-row {reading.header_row}: {self._file.path} has no row in that line")
            return there
        usable = [one for one in records[:LOOKED_AT] if not one.fault and any(cell.strip() for cell in one.cells)]
        if not usable:
            raise EventError(f"{self._file.path} has no header: a line before the rows names the columns")
        # The first of those that have most of the columns that the caller named: one of them may be misspelt.
        return max(usable, key=lambda one: shared(one.cells, reading.wanted))


def _damaged(named: dict[str, str]) -> str:
    """What to say of the first cell that has damaged bytes."""
    return next((f"{name}: {said}" for name, cell in named.items() if (said := damage(cell))), "")


def _is_import_id(cell: str) -> bool:
    return bool(_QUALTRICS.match(cell))


def _sniffed(head: str, wanted: tuple[str, ...], preferred: str) -> str:
    """The delimiter that shows the columns that the caller named, or else the one that splits most lines alike."""
    best, chosen = (False, False, 0, 0), preferred or ","
    for delimiter in sorted(DELIMITERS, key=lambda one: one != preferred):
        records = list(islice(Records(io.StringIO(head, newline=""), delimiter), LOOKED_AT))
        widths = Counter(len(one.cells) for one in records if not one.fault and len(one.cells) > 1)
        width, often = widths.most_common(1)[0] if widths else (0, 0)
        shows = bool(wanted) and any(has_all(one.cells, wanted) for one in records)
        score = (shows and width > 1, delimiter == preferred and width > 1, often, width)
        if score > best:
            best, chosen = score, delimiter
    return chosen
