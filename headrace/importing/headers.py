"""The names of a file's columns: as the file has them, told apart, and found again as people write them."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

SHOWN = 40


class Columns(tuple[str, ...]):
    """Names of columns, each once.

    repeated: names that the file has more than once, and how often; they are told apart as `Labels (1)`, `Labels (2)`
    """

    repeated: Mapping[str, int]

    @classmethod
    def of(cls, cells: Sequence[object]) -> Columns:
        """From the cells of a header; a nameless one is called by its place, `column 5`."""
        names = [cleaned(cell) for cell in cells]
        counts = Counter(name for name in names if name)
        own = {name for name, count in counts.items() if count == 1}
        seen: Counter[str] = Counter()
        given: list[str] = []
        taken = set(own)
        for place, name in enumerate(names, 1):
            if name in own:
                given.append(name)
                continue
            seen[name] += 1
            made = f"{name} ({seen[name]})" if name else f"column {place}"
            while made in taken:
                made += "'"
            taken.add(made)
            given.append(made)
        columns = cls(given)
        columns.repeated = {name: count for name, count in counts.items() if count > 1}
        return columns


def cleaned(cell: object) -> str:
    """A header's cell without what cannot be seen: outer blanks, line ends, byte order marks, quotes around all."""
    text = "" if cell is None else str(cell).encode("utf-8", "replace").decode()
    text = unicodedata.normalize("NFC", text).replace("\ufeff", "").replace("\u200b", "")
    text = printable(" ".join(text.replace("\0", "").split()))
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def printable(text: str) -> str:
    """A text from a file as a sentence shows it, on one line and without a terminal's signs."""
    return "".join(one if one.isprintable() else " " if one.isspace() else "\ufffd" for one in text)


def found(name: str, columns: Sequence[str]) -> str | None:
    """The column that a caller means: by its name, or by its name but for case and blanks where only one has it."""
    if name in columns:
        return name
    folded = cleaned(name).casefold()
    same = [column for column in columns if column == cleaned(name)] or [
        column for column in columns if column.casefold() == folded
    ]
    return same[0] if len(same) == 1 else None


def missing(name: str, columns: Sequence[str]) -> str:
    """What to say of a column that is not there, or there more than once."""
    repeated = getattr(columns, "repeated", {})
    if (times := repeated.get(cleaned(name), 0)) > 1:
        return f"has {times} columns {cleaned(name)!r}; say which, as {f'{cleaned(name)} (1)'!r}"
    near = difflib.get_close_matches(name, columns, 1)
    listed = printable(", ".join(columns[:SHOWN]))[:2000] + (
        f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    )
    return f"has no column {name!r}; it has {listed}" + (f"; is it {near[0]!r}?" if near else "")


def has_all(cells: Sequence[object], wanted: Sequence[str]) -> bool:
    """Whether these cells are the header that a caller's names are from."""
    return shared(cells, wanted) == len(wanted)


def shared(cells: Sequence[object], wanted: Sequence[str]) -> int:
    """How many of a caller's names these cells have, as a header."""
    there = {cleaned(cell).casefold() for cell in cells}
    return sum(cleaned(name).casefold() in there or _told_apart(name, there) for name in wanted)


def _told_apart(name: str, there: set[str]) -> bool:
    base, _, rest = cleaned(name).casefold().rpartition(" (")
    return (base in there and rest.rstrip(")").isdigit()) or name.startswith("column ")
