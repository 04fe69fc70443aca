"""Rows of JSON lines: one object a line; a line that is none is a row at fault, and an empty line is no row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from headrace.contract.elements import element
from headrace.contract.literals import literal
from headrace.contract.mongodb import values
from headrace.errors import EventError
from headrace.importing.nested import columns_of
from headrace.importing.sources import FileRow
from headrace.importing.text import TextFile, damage

MAX_LINE = 4 * 1024 * 1024
LOOKED_AT = 1000
"""Rows from which the columns are taken."""
_PADDING = "\ufeff \t\r\n\0\x1a\x1e"


class JsonLines:
    """See Rows."""

    appendable = True
    decimal = "."

    def __init__(self, file: TextFile) -> None:
        """Raises EventError where no object is found."""
        self._file = file
        self.columns = columns_of(row.cells for row in islice(self.read(), LOOKED_AT) if not row.fault)
        if not self.columns:
            raise EventError(f"{file.path} has no JSON object in its first lines; write one a line")
        self.found = [file.how, "one JSON object a line"]

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """See Rows.read."""
        number = at = 0
        with self._file.open() as text:
            while line := text.readline(MAX_LINE):
                at += 1
                ended = line.endswith(("\n", "\r"))
                too_long = len(line) == MAX_LINE and not ended
                while too_long and (rest := text.readline(MAX_LINE)) and not rest.endswith(("\n", "\r")):
                    pass
                if not line.strip(_PADDING):
                    continue
                number += 1
                if number > after:
                    yield row_of(number, line, at, "" if not too_long else overlong(), torn=not ended and not too_long)

    def done(self) -> float:
        """See Rows.done."""
        return self._file.done()


def overlong() -> str:
    """The fault of a row that is too long."""
    return f"it is longer than {MAX_LINE} characters"


def row_of(number: int, text: str, line: int, fault: str = "", torn: bool = False) -> FileRow:
    """The row that a JSON text is; torn: it may go on."""
    shown = {"line": text[:1000].encode(errors="replace").decode().strip(_PADDING)}
    if fault:
        return FileRow(number, shown, fault, line)
    damaged = damage(text)
    if damaged:
        return FileRow(number, shown, damaged, line, torn, left=torn)
    bare = text.strip(_PADDING).rstrip(",")
    found = element(bare.encode())
    value = found.value
    if found.fault:
        try:
            # A dict that Python printed.
            value = literal(bare)
        except ValueError:
            return FileRow(number, shown, found.fault, line, torn, left=torn)
    if not isinstance(value, dict):
        return FileRow(number, shown, "it is not a JSON object", line, torn)
    cells: dict[str, Any] = values(value)
    return FileRow(number, cells, "", line)
