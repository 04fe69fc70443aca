"""The rows that a way to make a classifier is given."""

from __future__ import annotations

from dataclasses import dataclass

Split = tuple[list[str], list[int]]


@dataclass(frozen=True)
class Rows:
    """A case: texts and numbers of their labels.

    weights: how much each training row counts; raw: training rows as whoever cleans none has them
    outside: questions out of scope; none where the data set has none
    """

    labels: tuple[str, ...]
    texts: list[str]
    truth: list[int]
    weights: list[float]
    raw: Split
    validation: Split
    test: Split
    outside: list[str]
