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

from headrace.contract import ids
from headrace.statistics.significance import f_tail
from headrace.warehouse import clickhouse_time
from streams.detectors import soft
from streams.detectors.detector import MEANING, Reading, View
from streams.embedder import DIMENSIONS, ENCODER, Wanted, lacking
from streams.spans import LOOKED_AT, MILLISECOND, Spans, first_window, reference
from streams.together import Together

MIN_QUESTIONS = 50
MIN_TOGETHER = 2 * DIMENSIONS
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
    if windows < soft.MIN_WINDOWS:
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
    if min(n, m) < MIN_QUESTIONS or n + m < MIN_TOGETHER:
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
        # Read again when a window has closed or a child has ended.
        self._embedded: Together[tuple[str, Spans, int], Known] = Together(_compared, _read)
        self._last: Together[tuple[str, tuple[Compared, ...]], list[soft.Tested]] = Together(self._newest, self._test)

    def read(self, view: View) -> Reading:
        known = self._embedded.about(view)
        if known is None:
            return soft.quiet(view, self.name, MEANING)
        if view.embedder is not None and not lacking():
            view.embedder.ask(view.task, known.lacking)
        found = self._last.about(view)
        if found is None:
            return soft.quiet(view, self.name, MEANING, _nothing(view))
        if not found:
            reason = "too few different questions are embedded in the reference or in each of the last windows"
            return soft.quiet(view, self.name, MEANING, reason)
        what = f"mean embeddings (distance {found[-1].inputs['distance']:.3f})"
        return soft.verdict(view, self.name, MEANING, found, what)

    def _newest(self, view: View) -> tuple[str, tuple[Compared, ...]] | None:
        known = self._embedded.about(view)
        return (view.promotion.live.version, known.newest) if known is not None and known.newest else None

    def _test(self, views: Sequence[View]) -> list[list[soft.Tested]]:
        windows = [subject[1] if (subject := self._newest(view)) else () for view in views]
        groups = list(
            dict.fromkeys(
                (place, starts)
                for place, compared in enumerate(windows)
                for start, before in compared
                for starts in (before, (start,))
            )
        )
        rows = views[0].queries.query(
            "detectors/embeddings_merged",
            tasks=[views[place].task for place, _ in groups],
            versions=[views[place].promotion.live.version for place, _ in groups],
            groups=[[ids.millis(start) for start in starts] for _, starts in groups],
            encoder=ENCODER,
            size_ms=views[0].size // MILLISECOND,
        )
        merged = {groups[int(row.pop("place")) - 1]: Moments(**row) for row in rows}
        found: list[list[soft.Tested]] = [[] for _ in views]
        for place, compared in enumerate(windows):
            for start, starts in compared:
                before, now = merged.get((place, starts)), merged.get((place, (start,)))
                if before is not None and now is not None and (test := tested(start, before, now)) is not None:
                    found[place].append(test)
        return found


def _compared(view: View) -> tuple[str, Spans, int] | None:
    compared = view.compared
    if compared is None:
        return None
    return view.promotion.live.version, compared, 0 if view.embedder is None else view.embedder.ended


def _read(views: Sequence[View]) -> list[Known]:
    compared = [(view, spans) for view in views if (spans := view.compared) is not None]
    wanted = [_urgent(view, spans) for view, spans in compared]
    rows = views[0].queries.query(
        "detectors/embeddings_known",
        tasks=[view.task for view in views],
        versions=[view.promotion.live.version for view in views],
        wanted=[[ids.millis(start) for start in starts] for starts in wanted],
        since_ms=[ids.millis(first_window(view.promotion.since, view.size) + _rolling(view)) for view in views],
        until_ms=[ids.millis(spans.tested_to) for _, spans in compared],
        encoder=ENCODER,
        size_ms=views[0].size // MILLISECOND,
        fewest=MIN_QUESTIONS,
        newest=LOOKED_AT,
    )
    there: list[dict[datetime, bool]] = [{} for _ in views]
    for row in rows:
        there[row["place"] - 1][ids.EPOCH + row["span"] * MILLISECOND] = bool(row["newest"])
    return [
        Known(
            newest=tuple((start, _reference(view, start)) for start, newest in known.items() if newest),
            lacking=tuple(_wanted(view, start, view.size) for start in starts if start not in known),
        )
        for view, starts, known in zip(views, wanted, there, strict=True)
    ]


def _urgent(view: View, compared: Spans) -> list[datetime]:
    """What is to be embedded, the most urgent first."""
    references = {start for starts in compared.references for start in starts[: view.plan.windows.rolling]}
    return [*reversed(compared.tested), *sorted(references)]


def _reference(view: View, window: datetime) -> tuple[datetime, ...]:
    return reference(window, view.promotion.since, view.size, view.plan.windows.rolling, view.zone)


def _rolling(view: View) -> timedelta:
    return view.plan.windows.rolling * view.size


def _wanted(view: View, start: datetime, size: timedelta) -> Wanted:
    version = view.promotion.live.version
    return Wanted(view.task, version, clickhouse_time(start), clickhouse_time(start + size))


def _nothing(view: View) -> str:
    package = lacking()
    if package:
        return f"questions cannot be embedded: the package {package} is not installed (headrace[serving] has it)"
    return f"no window with {MIN_QUESTIONS} questions is embedded yet; a few are at a time, beside the monitor"


MAKE = EmbeddingCentroid
