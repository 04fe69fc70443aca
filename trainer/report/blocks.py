"""What reports are made of, whatever they are written as. Every text in a block is plain text, to be escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KEPT = "\u200c\u200d"
"""Joiners, which Persian, Indic scripts and emoji need."""


@dataclass(frozen=True, slots=True)
class Heading:
    """level: 1 to 3"""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are texts; those of `numeric` columns stand to the right. tone: a colour from 0 to 1 by (row, column)"""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    tone: Mapping[tuple[int, int], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Shares with their intervals: (name, value, low, high), each from 0 to 1."""

    title: str
    items: Sequence[tuple[str, float, float, float]]


@dataclass(frozen=True, slots=True)
class Diagonal:
    """Shares against shares, each (x, y, low, high, rows); the diagonal is the ideal."""

    title: str
    x_is: str
    y_is: str
    points: Sequence[tuple[float, float, float, float, int]]


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines by name, each of (x, y)."""

    title: str
    x_is: str
    y_is: str
    lines: Mapping[str, Sequence[tuple[float, float]]]


Block = Heading | Paragraph | Table | Intervals | Diagonal | Curves


def plain(text: str) -> str:
    """The text in one line, with characters that hide or reorder others made visible, as `\\u202e`."""
    return "".join(
        letter if letter in KEPT or not unicodedata.category(letter).startswith("C") else _shown(letter)
        for letter in " ".join(text.split())
    )


def _shown(letter: str) -> str:
    return f"\\u{ord(letter):04x}"


def number(value: float, digits: int = 3) -> str:
    """Shares to three places; nan and infinity as they are called."""
    return f"{value:.{digits}f}"


def interval(value: float, low: float | None, high: float | None) -> str:
    """.912 (.880 to .936), or the value alone where no interval is known."""
    return number(value) if low is None or high is None else f"{number(value)} ({number(low)} to {number(high)})"
