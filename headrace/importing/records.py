"""Delimited text as records: a quote that is not closed costs its own line, not the lines after it (RFC 4180)."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Protocol

MAX_CELL = 1024 * 1024
MAX_LINE = 4 * 1024 * 1024
# As often a record is tried that goes on over lines.
_TRIES = 50
# What a backslash stands for in PostgreSQL's COPY and MySQL's OUTFILE.
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_NULL = "\\N"
_PADDING = " \t\r\n\0\ufeff\x1a"

csv.field_size_limit(MAX_CELL)


class Lines(Protocol):
    """Text that is read by lines."""

    def readline(self, size: int = -1, /) -> str:
        """The next line with its end, at most so many characters of it."""


class Record(NamedTuple):
    """line: of its beginning, from 1; fault: why there are no cells

    torn: the file ends within it or its line, so that it may be another when the file has grown
    left: it is no record yet
    """

    line: int
    cells: list[str]
    fault: str = ""
    torn: bool = False
    left: bool = False


class _NotClosed(csv.Error):
    """A quote is open where the text ends."""


class Records:
    """The records of a text, in order; blank lines are none.

    width: of the header, where it is known: then quotes that are not meant as such are told from those that are
    escaped: quotes are signs as any other, and backslashes stand before line ends and tabs, as PostgreSQL's COPY writes
    """

    def __init__(
        self, text: Lines, delimiter: str, width: int = 0, spaced: bool = False, escaped: bool = False
    ) -> None:
        self.width = width
        self._escaped = escaped
        self._text, self._delimiter, self._spaced = text, delimiter, spaced
        self._waiting: deque[str] = deque()
        self._line = 0

    def __iter__(self) -> Iterator[Record]:
        while line := self._next():
            if not line.strip(_PADDING):
                continue
            number, ended = self._line, line.endswith(("\n", "\r"))
            if len(line) >= MAX_LINE and not ended:
                self._skip()
                yield Record(number, [line[:200]], f"the line is longer than {MAX_LINE} characters")
                continue
            line = line.removeprefix("\ufeff")
            if self._escaped:
                cells = line.rstrip("\r\n").split(self._delimiter)
                # A line of \. alone ends what COPY wrote.
                if cells != ["\\."]:
                    yield Record(number, [_unescaped(cell) for cell in cells], torn=not ended)
                continue
            try:
                yield Record(number, self._cells(line), torn=not ended)
            except _NotClosed:
                yield self._over_lines(number, line)
            except csv.Error as error:
                yield self._malformed(number, line, error)

    def _next(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._text.readline(MAX_LINE)
        self._line += bool(line)
        return line

    def _back(self, lines: list[str]) -> None:
        self._waiting.extendleft(reversed(lines))
        self._line -= len(lines)

    def _skip(self) -> None:
        while (rest := self._text.readline(MAX_LINE)) and not rest.endswith(("\n", "\r")):
            pass

    def _cells(self, text: str, escape: str | None = None) -> list[str]:
        reader = csv.reader(
            (text,), delimiter=self._delimiter, strict=True, escapechar=escape, skipinitialspace=self._spaced
        )
        try:
            return next(reader)
        except csv.Error as error:
            raise (_NotClosed if "unexpected end" in str(error) else csv.Error)(str(error)) from None

    def _over_lines(self, number: int, line: str) -> Record:
        """A record whose first line leaves a quote open."""
        gathered, size, quotes, tries = [line], len(line), line.count('"'), 0
        while size <= MAX_CELL and tries < _TRIES and (more := self._next()):
            gathered.append(more)
            size += len(more)
            quotes += more.count('"')
            if quotes % 2:
                continue
            tries += 1
            try:
                cells = self._cells("".join(gathered))
            except _NotClosed:
                continue
            except csv.Error:
                break
            if self._swallowed(gathered[1:-1]):
                break
            return Record(number, cells, torn=not gathered[-1].endswith(("\n", "\r")))
        else:
            if size <= MAX_CELL and tries < _TRIES and not self._swallowed(gathered[1:], least=2):
                left = not gathered[-1].endswith(("\n", "\r"))
                return Record(number, [line[:1000].rstrip("\r\n")], "a quote in it is not closed", True, left)
        self._back(gathered[1:])
        return self._malformed(number, line, csv.Error("a quote in it is not closed"))

    def _swallowed(self, lines: list[str], least: int = 3) -> bool:
        """Whether lines within quotes are rows of their own: a comment seldom has as many delimiters as the header.

        least: cells of a header that make it so
        """
        if not lines or self.width < (least if len(lines) > 1 or least < 3 else 5):
            return False
        return all(line.count(self._delimiter) >= self.width - 1 for line in lines[:20])

    def _malformed(self, number: int, line: str, error: csv.Error) -> Record:
        """A line whose quotes are not CSV's: with backslashes, or blanks behind, where the width confirms it."""
        torn = not line.endswith(("\n", "\r"))
        bare = re.sub(rf'"[ \t]+(?={re.escape(self._delimiter)}|[\r\n]|$)', '"', line)
        for text, escape in ((line, "\\"), (bare, None)):
            try:
                cells = self._cells(text, escape)
            except csv.Error:
                continue
            if self.width and len(cells) == self.width:
                return Record(number, cells, torn=torn)
        why = f"a cell is longer than {MAX_CELL} characters" if "field limit" in str(error) else ""
        return Record(number, [line[:1000].rstrip("\r\n")], why or f"its quotes are not CSV: {error}", torn, torn)


def is_escaped(head: str) -> bool:
    """Whether a text by tabs is as PostgreSQL's COPY writes it: nothing is \\N, and no cell is quoted."""
    cells = [cell for line in head.splitlines()[:1000] for cell in line.split("\t")]
    return _NULL in cells and not any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)


def _unescaped(cell: str) -> str:
    return cell if cell == _NULL else _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), cell)
