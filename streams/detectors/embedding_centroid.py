"""Meaning: where the questions of a window lie on average, against the reference, by real sentence embeddings.

The distance of the two centroids is Hotelling's two-sample T squared (Ann. Math. Statist. 1931), covariances pooled,
of a bounded sample of questions, one a session, embedded and projected to 96 dimensions (streams/projection.py): the
distance is measured in units of how much questions vary in that direction anyway, and its F distribution is known.
The embeddings are made beside the monitor, a few windows at a time (streams/embedder.py); what is tested are the newest
windows that have them. Where the windows of the reference differ among each other more than by chance, as those of a
first day do, the statistic is divided by how much more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

from headrace import ids
from streams.detectors import soft
from streams.detectors.detector import MEANING, Reading, View
from streams.embedder import DIMENSIONS, ENCODER, Wanted, lacking
from streams.queries import clickhouse_time
from streams.significance import f_tail
from streams.spans import LOOKED_AT, Spans, first_window, reference

FEWEST_QUESTIONS = 50
FEWEST_TOGETHER = 2 * DIMENSIONS
SINGULAR = 1e-5
"""Of a direction's variance, what is left beyond the directions before it; single precision knows no less."""


Compared = tuple[datetime, tuple[datetime, ...]]
"""The start of a tested window, and those of its reference."""


@dataclass(frozen=True, slots=True)
class Known:
    """The newest embedded windows after the reference, oldest first; what is not embedded, the most urgent first."""

    newest: tuple[Compared, ...]
    lacking: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class Moments:
    """Of n projected embeddings: sums by dimension, and of products i >= j in the order (0,0), (1,0), (1,1), ...

    window_questions, window_sums: n and the sums of each window that they are of
    """

    questions: int
    sums: Sequence[float]
    products: Sequence[float]
    window_questions: Sequence[int] = ()
    window_sums: Sequence[Sequence[float]] = ()


Lower = list[list[float]]
"""A lower triangular matrix, row by row."""


def root(before: Moments, now: Moments) -> Lower | None:
    """L with L L' the pooled covariance (Cholesky); None where the questions do not vary in every direction."""
    n, m, size = before.questions, now.questions, len(before.sums)
    lower: Lower = []
    place = 0
    for i in range(size):
        row: list[float] = []
        for j in range(i + 1):
            covariance = (
                before.products[place]
                - before.sums[i] * before.sums[j] / n
                + now.products[place]
                - now.sums[i] * now.sums[j] / m
            ) / (n + m - 2)
            place += 1
            left = covariance - sum(x * y for x, y in zip(row, lower[j] if j < i else row, strict=False))
            if j < i:
                row.append(left / lower[j][j])
            elif left <= SINGULAR * covariance:
                return None
            else:
                row.append(sqrt(left))
        lower.append(row)
    return lower


def squared(lower: Lower, difference: Sequence[float]) -> float:
    """|L^-1 d|^2: a difference in units of how much questions vary in its direction."""
    solved: list[float] = []
    for row, value in zip(lower, difference, strict=True):
        solved.append((value - sum(x * y for x, y in zip(row, solved, strict=False))) / row[-1])
    return sum(x * x for x in solved)


def t_squared(before: Moments, now: Moments, lower: Lower) -> float:
    """Hotelling's T squared."""
    n, m = before.questions, now.questions
    difference = [y / m - x / n for x, y in zip(before.sums, now.sums, strict=True)]
    return squared(lower, difference) * n * m / (n + m)


def dispersion(reference: Moments, lower: Lower) -> float:
    """How much more the means of its windows differ than by chance, over all directions; at least 1."""
    windows = len(reference.window_questions)
    if windows < soft.FEWEST_WINDOWS:
        return 1.0
    mean = [total / reference.questions for total in reference.sums]
    found = sum(
        n * squared(lower, [total / n - middle for total, middle in zip(sums, mean, strict=True)])
        for n, sums in zip(reference.window_questions, reference.window_sums, strict=True)
    )
    return max(1.0, found / ((windows - 1) * len(mean)))


def tested(window_from: datetime, before: Moments, now: Moments) -> soft.Tested | None:
    """None where the questions are too few, or do not vary in every direction."""
    n, m, size = before.questions, now.questions, len(before.sums)
    if min(n, m) < FEWEST_QUESTIONS or n + m < FEWEST_TOGETHER:
        return None
    lower = root(before, now)
    if lower is None:
        return None
    spread = dispersion(before, lower)
    statistic = t_squared(before, now, lower) / spread
    distance = sqrt(sum((y / m - x / n) ** 2 for x, y in zip(before.sums, now.sums, strict=True)))
    return soft.Tested(
        window_from, n, m, statistic, tail(statistic, n, m, size), inputs={"distance": distance, "dispersion": spread}
    )


def tail(statistic: float, n: int, m: int, size: int) -> float:
    """P of T squared at least as large: it is F with `size` and n + m - 1 - size degrees of freedom, scaled."""
    freedom = n + m - 2
    under = freedom - size + 1
    return f_tail(statistic * under / (freedom * size), size, under)


class EmbeddingCentroid:
    """Reads the questions to the live arm of the current version."""

    name = "embedding_centroid"

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, Known]] = {}
        self._last: dict[str, tuple[object, list[soft.Tested]]] = {}

    def read(self, view: View) -> Reading:
        compared = soft.compared(view)
        if compared is None:
            return soft.quiet(view, self.name, MEANING)
        newest = self._embedded(view, compared).newest
        if not newest:
            return soft.quiet(view, self.name, MEANING, _nothing(view))
        subject = view.promotion.live.version, newest
        last = self._last.get(view.task)
        if last is None or last[0] != subject:
            last = self._last[view.task] = subject, self._test(view, newest, compared.size)
        if not last[1]:
            reason = "too few different questions are embedded in the reference or in each of the last windows"
            return soft.quiet(view, self.name, MEANING, reason)
        what = f"mean embeddings (distance {last[1][-1].inputs['distance']:.3f})"
        return soft.verdict(view, self.name, MEANING, last[1], what)

    def _embedded(self, view: View, compared: Spans) -> Known:
        """Read anew when a window has closed or a child has ended; each look asks for what is lacking."""
        child = view.embedder
        subject = view.promotion.live.version, compared, 0 if child is None else child.ended
        known = self._known.get(view.task)
        if known is None or known[0] != subject:
            known = self._known[view.task] = subject, _read(view, compared)
        if child is not None and not lacking():
            child.ask(view.task, known[1].lacking)
        return known[1]

    def _test(self, view: View, windows: Sequence[Compared], size: timedelta) -> list[soft.Tested]:
        references = list(dict.fromkeys(starts for _, starts in windows))
        groups = [*references, *((start,) for start, _ in windows)]
        rows = view.queries.query(
            "embeddings_merged",
            **_scope(view, size),
            groups=[[ids.millis(start) for start in group] for group in groups],
        )
        merged = {int(row.pop("place")) - 1: Moments(**row) for row in rows}
        found = []
        for place, (start, starts) in enumerate(windows):
            before, now = merged.get(references.index(starts)), merged.get(len(references) + place)
            if before is not None and now is not None and (test := tested(start, before, now)) is not None:
                found.append(test)
        return found


def _read(view: View, compared: Spans) -> Known:
    rolling, since, size = view.plan.windows.rolling, view.promotion.since, compared.size
    zone = soft.zone(view)
    references = {start for starts in compared.references for start in starts[:rolling]}
    wanted = [*reversed(compared.tested), *sorted(references)]
    rows = view.queries.query(
        "embeddings_known",
        **_scope(view, size),
        wanted=[ids.millis(start) for start in wanted],
        since_ms=ids.millis(first_window(since, size) + rolling * size),
        until_ms=ids.millis(compared.tested_to),
        fewest=FEWEST_QUESTIONS,
        newest=LOOKED_AT,
    )
    there = {ids.EPOCH + timedelta(milliseconds=row["span"]): bool(row["newest"]) for row in rows}
    return Known(
        newest=tuple(
            (start, reference(start, since, size, rolling, zone)) for start, newest in there.items() if newest
        ),
        lacking=tuple(_wanted(view, start, size) for start in wanted if start not in there),
    )


def _scope(view: View, size: timedelta) -> dict[str, Any]:
    return {
        "task": view.task,
        "version": view.promotion.live.version,
        "encoder": ENCODER,
        "size_ms": size // timedelta(milliseconds=1),
    }


def _wanted(view: View, start: datetime, size: timedelta) -> Wanted:
    version = view.promotion.live.version
    return Wanted(view.task, version, clickhouse_time(start), clickhouse_time(start + size))


def _nothing(view: View) -> str:
    package = lacking()
    if package:
        return f"questions cannot be embedded: the package {package} is not installed (headrace[serving] has it)"
    return f"no window with {FEWEST_QUESTIONS} questions is embedded yet; a few are at a time, beside the monitor"


MAKE = EmbeddingCentroid
