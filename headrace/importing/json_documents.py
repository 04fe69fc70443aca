"""Rows of one JSON document: an array of objects, objects one after the other, or an export's list within an object."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from headrace.contract.elements import element
from headrace.errors import EventError
from headrace.importing.headers import printable
from headrace.importing.json_lines import LOOKED_AT, MAX_LINE, overlong, row_of
from headrace.importing.nested import columns_of
from headrace.importing.sources import FileRow
from headrace.importing.text import TextFile

ListPath = tuple[str, ...]
"""The names that lead to a list in an object."""

CHUNK = 64 * 1024
# Of a path to a list: how many names, and how long each.
MAX_NAMES, MAX_NAME = 3, 1024
# Of lists that are told apart within a document, and of brackets that are open at once.
MAX_LISTS, MAX_OPEN = 1000, 10_000
# pandas' to_json without orient="records": by columns, by rows, or split.
_PANDAS = re.compile(r'\s*\{\s*(?:"[^"\\]{1,100}"\s*:\s*\{\s*"0"\s*:|"0"\s*:\s*\{|"columns"\s*:\s*\[\s*")')
_PADDING = "\ufeff \t\r\n\0\x1a\x1e"
_OUTSIDE, _INSIDE = re.compile(r'["\[\]{}:,]'), re.compile(r'["\\]')


class Value(NamedTuple):
    """A value of a document, as text. whole: its end was there; path: of its list"""

    text: str
    fault: str = ""
    whole: bool = True
    path: ListPath | None = None


def is_document(start: str, lined: bool) -> bool:
    """Whether a JSON file is not one object a line.

    start: its first characters that are not padding; lined: its name says that it has an object a line
    """
    if start[0] not in "[{":
        return not lined
    line, _, rest = start.partition("\n") if "\n" in start else start.partition("\r")
    first = element(line.encode(errors="replace"))
    if start[0] == "[":
        # An array a line is for JSON lines to refuse by their rows; one array is a document.
        return bool(first.fault) or not rest.strip().startswith("[")
    if first.fault:
        # Several in one line, a damaged line among others, or one of several of a value.
        return _goes_on(line) or (not rest.lstrip().startswith("{") and not _lines_are_objects(start))
    return not rest.strip() and isinstance(first.value, dict) and _holds_rows(first.value)


def is_table(start: str) -> bool:
    """Whether a JSON file is one table of pandas by columns, by its index or split: its rows are in several places."""
    return bool(_PANDAS.match(start)) and sum(line.startswith("{") for line in start.splitlines()) == 1


class JsonDocument:
    """See Rows.

    records: the path of the list of rows within an object; empty: the one list whose objects have the wanted columns
    """

    decimal = "."

    def __init__(self, file: TextFile, records: str, wanted: tuple[str, ...]) -> None:
        """Looks at the whole file. Raises EventError where it is not known which of its values are the rows."""
        self._file, self._wanted = file, wanted
        path = self._rows_at(records)
        self._paths = () if path is None else (path,)
        self.appendable = path is None
        values = islice(self._values(*self._paths), LOOKED_AT)
        rows = (row_of(1, one.text, 0, one.fault) for one in values)
        self.columns = columns_of(row.cells for row in rows if not row.fault)
        if not self.columns:
            raise EventError(f"{file.path} has no JSON object that could be a row")
        where = "JSON objects" if path is None else f"a JSON array {'.'.join(path)}".rstrip()
        self.found = [file.how, where]

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """See Rows.read."""
        for number, value in enumerate(self._values(*self._paths), 1):
            if number > after:
                yield row_of(number, value.text, 0, value.fault, torn=not value.whole)

    def done(self) -> float:
        """See Rows.done."""
        return self._file.done()

    def _rows_at(self, records: str) -> ListPath | None:
        lists: Counter[ListPath] = Counter()
        first = last = None
        top = 0
        for top, last in enumerate(self._values(lists=lists), 1):  # noqa: B007 (used below)
            first = first or last
        if records:
            path = tuple(records.split("."))
            if path not in lists and (len(lists) <= MAX_LISTS or next(self._values(path), None) is None):
                there = printable(", ".join(".".join(one) for one in lists if one))[:500] or "none"
                raise EventError(f"--records {records}: {self._file.path} has no list of objects there; it has {there}")
            return path
        if first is None or last is None or (top == 1 and not last.whole):
            raise EventError(f"{self._file.path} has JSON without its end; it is damaged, or still being written")
        if () in lists:
            return ()
        return self._within(first, list(lists)) if top == 1 and lists else None

    def _within(self, only: Value, paths: list[ListPath]) -> ListPath | None:
        """The list of rows within the only object; None where that object is the row itself."""
        if not only.fault and self._suits(columns_of([row_of(1, only.text, 0).cells])):
            return None
        if len(paths) > MAX_LISTS:
            names = printable(", ".join(".".join(path) for path in paths[:3]))[:500]
            raise EventError(
                f"{self._file.path} has more than {MAX_LISTS} lists of objects ({names}, …): say which with --records,"
                " or write all their rows as one list"
            )
        suiting = self._suiting(paths) or paths
        shallow = min(map(len, suiting))
        suiting = [path for path in suiting if len(path) == shallow]
        if len(suiting) > 1:
            names = printable(", ".join(".".join(path) for path in suiting[:5]))[:500]
            raise EventError(f"{self._file.path} has several lists of objects: say which with --records: {names}")
        return suiting[0]

    def _suits(self, columns: tuple[str, ...]) -> bool:
        return bool(self._wanted) and all(name in columns for name in self._wanted)

    def _suiting(self, paths: list[ListPath]) -> list[ListPath]:
        """The lists whose first rows have the wanted columns, by one look at the file."""
        lacking = {path: set(self._wanted) for path in paths}
        looked: Counter[ListPath] = Counter()
        for value in self._values(*paths) if self._wanted else ():
            assert value.path is not None
            looked[value.path] += 1
            if lacking[value.path] and looked[value.path] <= LOOKED_AT:
                row = row_of(1, value.text, 0, value.fault)
                lacking[value.path].difference_update(() if row.fault else columns_of([row.cells]))
        return [path for path, names in lacking.items() if self._wanted and not names]

    def _values(self, *paths: ListPath, lists: Counter[ListPath] | None = None) -> Iterator[Value]:
        """The values of these lists, or those at the top where none is named; counts the objects of each list."""
        with self._file.open() as text:
            try:
                yield from _Scan(iter(lambda: text.read(CHUNK), ""), frozenset(paths), lists).values()
            except _TooDeepError:
                raise EventError(
                    f"{self._file.path} has JSON nested more than {MAX_OPEN} levels deep; it is damaged, or no export"
                ) from None


class _TooDeepError(ValueError):
    """More brackets are open than a document may have."""


class _Scan:
    """Goes through JSON by its brackets and quotes, and holds no more than one value of it.

    paths: of the lists whose values are wanted; none: those at the top
    """

    def __init__(self, chunks: Iterator[str], paths: frozenset[ListPath], lists: Counter[ListPath] | None) -> None:
        self._chunks, self._paths, self._lists = chunks, paths, lists
        # Of the list whose values are gathered.
        self._path: ListPath | None = None
        self._text, self._at = "", 0
        # Where the value begins that is gathered; -1 where none is.
        self._start = -1 if paths else 0
        self._too_long = False
        # Of each open bracket: which it is, and the name before it.
        self._open: list[tuple[str, str]] = []
        self._kinds = {"[": 0, "{": 0}
        self._name = self._string = ""

    def values(self) -> Iterator[Value]:
        """The values, in order."""
        while (token := self._next(_OUTSIDE)) is not None:
            if token == '"':
                begin = self._at
                self._pass_string()
                short = len(self._open) <= MAX_NAMES + 1 and begin < self._at <= begin + MAX_NAME
                self._string = self._text[begin : self._at - 1] if short else ""
            elif token == ":":
                self._name = self._string
            elif token in "[{":
                yield from self._opened(token)
            else:
                yield from self._ended(token)
        if self._start >= 0:
            yield from self._taken(len(self._text), whole=False)

    def _opened(self, token: str) -> Iterator[Value]:
        if not self._paths and not self._open:
            # What stands between two values is a value at fault.
            yield from self._taken(self._at - 1, whole=True)
            self._start = self._at - 1
        at = self._list() if token == "{" and self._lists is not None else None
        # One list more than are told apart is counted, so that it shows.
        if self._lists is not None and at is not None and (at in self._lists or len(self._lists) <= MAX_LISTS):
            self._lists[at] += 1
        if len(self._open) >= MAX_OPEN:
            raise _TooDeepError
        self._open.append((token, self._name))
        self._kinds[token] += 1
        self._name = ""
        if self._start < 0 and self._paths and (path := self._list()) in self._paths:
            self._start, self._path = self._at, path

    def _ended(self, token: str) -> Iterator[Value]:
        """At a comma or a closing bracket."""
        within = self._path is not None and self._start >= 0 and len(self._open) == len(self._path) + 1
        if token == ",":
            self._name = ""
            if within:
                yield from self._taken(self._at - 1, whole=True)
                self._start = self._at
            return
        if within and token == "]":
            yield from self._taken(self._at - 1, whole=True)
        # A bracket that closes none is the fault of the value that it is in.
        opening = "[" if token == "]" else "{"
        if self._kinds[opening] and not (within and token == "}"):
            closed = ""
            while closed != opening:
                closed, _ = self._open.pop()
                self._kinds[closed] -= 1
        if not self._paths and not self._open:
            yield from self._taken(self._at, whole=True)
            self._start = self._at

    def _list(self) -> ListPath | None:
        """The path of the list that is open; None where none is, or it is within another."""
        if self._kinds["["] != 1 or self._open[-1][0] != "[" or len(self._open) > MAX_NAMES + 1:
            return None
        return tuple(name for _, name in self._open[1:])

    def _taken(self, end: int, whole: bool) -> Iterator[Value]:
        text, long = self._text[self._start : end].strip(_PADDING + ","), self._too_long
        self._start, self._too_long = -1, False
        if text or long:
            yield Value(text, overlong() if long else "", whole, self._path)

    def _pass_string(self) -> None:
        while self._next(_INSIDE) == "\\":
            if self._at >= len(self._text) and not self._more():
                return
            self._at += 1

    def _next(self, pattern: re.Pattern[str]) -> str | None:
        while (found := pattern.search(self._text, self._at)) is None:
            self._at = len(self._text)
            if not self._more():
                return None
        self._at = found.end()
        return found.group()

    def _more(self) -> bool:
        chunk = next(self._chunks, "")
        if self._start >= 0 and len(self._text) - self._start > MAX_LINE:
            self._text, self._start, self._at, self._too_long = "", 0, 0, True
        # A name may have begun in what was read.
        kept = self._start if self._start >= 0 else max(0, self._at - MAX_NAME)
        self._text, self._at = self._text[kept:] + chunk, self._at - kept
        self._start = min(self._start, 0)
        return bool(chunk)


def _holds_rows(value: object, depth: int = 0) -> bool:
    """Whether a list of objects is in an object."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict)
    return isinstance(value, dict) and depth < MAX_NAMES and any(_holds_rows(one, depth + 1) for one in value.values())


def _goes_on(line: str) -> bool:
    """Whether a second object follows a first one in a line."""
    try:
        _, end = json.JSONDecoder().raw_decode(line)
    except (ValueError, RecursionError):
        return False
    return line[end:].lstrip(", \t").startswith("{")


def _lines_are_objects(start: str) -> bool:
    """Whether most of the first lines are objects of their own: then the first is a damaged one."""
    lines = [line for line in start.splitlines()[:20] if line.strip()]
    return sum(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in lines) * 2 > len(lines)
