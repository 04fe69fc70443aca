"""A cell that holds a number, as people and spreadsheets of a country write it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headrace.errors import EventError

MAX_NUMBER = 100
_BLANKS = re.compile(r"[\s\u00a0\u202f\u2009'’_]")
_WORDS = {"true": True, "false": False}
_CURRENCIES = re.compile(r"US\$|USD|EUR|GBP|CHF|JPY|CNY|INR|[$€£¥₹₩₽]", re.IGNORECASE)
_DOLLARS = ("us$", "usd", "$")
_UNITS = {"ms": 1.0, "s": 1000.0, "sec": 1000.0, "min": 60_000.0}
_MARKS = {".": "a point", ",": "a comma"}
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}")
_SHAPE = re.compile(r"[+-]?(?:\d[\d.,]*|[.,]\d+)(?:[eE][+-]?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Numbers:
    """Reads numbers. decimal: the mark before the fraction, a point or a comma"""

    decimal: str = "."

    def read(self, text: str, name: str) -> float | int | bool | str:
        """A number; the text itself where it holds none, for the event to refuse. Raises EventError that says why.

        name: of the field; those that end in `_ms` also take seconds, and `cost` takes dollars
        """
        word = text.strip().casefold()
        if word.isdecimal() and word.isascii() and len(word) < 16:
            return int(word)
        if word in _WORDS:
            return _WORDS[word]
        if len(text) > MAX_NUMBER:
            return text
        bare, scale = _bare(text, name)
        if not _SHAPE.fullmatch(bare):
            return text
        other = "," if self.decimal == "." else "."
        whole, mark, fraction = bare.partition(self.decimal)
        groups = whole.lstrip("+-").split(other)
        grouped = all(len(group) == 3 for group in groups[1:]) and len(groups[0]) in (1, 2, 3) and groups[0] != "0"
        if other in fraction or self.decimal in fraction or (len(groups) > 1 and not grouped):
            says = f"{text.strip()[:40]!r} has {_MARKS[other]}, and {_MARKS[self.decimal]} is before fractions here"
            raise EventError(f"{name}: {says}; see --decimal")
        try:
            number = float(whole.replace(other, "") + ("." if mark else "") + fraction) * scale
        except ValueError:
            return text
        return int(number) if not mark and scale == 1.0 and number.is_integer() and abs(number) < 2**53 else number


def evidence(text: str) -> str:
    """The decimal mark that a number shows: "." or ","; "either ." or "either ," where its mark may be that of
    thousands; "" where it has none.
    """
    bare = _bare(text[:MAX_NUMBER], "_ms")[0]
    if not _SHAPE.fullmatch(bare):
        return ""
    marks = [one for one in bare if one in ".,"]
    if not marks:
        return ""
    if len(set(marks)) == 2:
        return marks[-1] if marks.count(marks[-1]) == 1 else ""
    if len(marks) > 1:
        return "," if marks[0] == "." else "."
    return f"either {marks[0]}" if _EITHER.fullmatch(bare) else marks[0]


def _bare(text: str, name: str) -> tuple[str, float]:
    """The number without its unit, and what one of the unit is. Raises EventError for money that is not dollars."""
    bare = _BLANKS.sub("", text).replace("−", "-").replace("\u200b", "")
    scale = 1.0
    if bare.startswith("(") and bare.endswith(")"):
        bare = "-" + bare[1:-1]
    if bare.endswith("%"):
        bare, scale = bare[:-1], 0.01
    if name.endswith("_ms"):
        found = re.fullmatch(r"([\d.,]+)(ms|s|sec|min)", bare)
        bare, scale = (found[1], _UNITS[found[2]]) if found else (bare, scale)
    if name == "cost" and (money := _CURRENCIES.search(bare)):
        if money.group().casefold() not in _DOLLARS:
            raise EventError(f"cost: it is in US dollars, but {text.strip()[:40]!r} is not")
        bare = _CURRENCIES.sub("", bare, count=1)
    return bare, scale
