"""Window profiles: what the detectors that need no labels compare, read from ClickHouse once for all of them.

A profile is a row a closed window (window_profiles in the schema): counts and sums, small whatever the traffic. It is
written when its window closes, of all tasks together; one of the last windows is written anew when answers came late.
A look reads a few of these rows, so that it costs the same at any length of history.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from headrace.contract import ids
from headrace.warehouse import clickhouse_time, query_text
from streams.spans import MILLISECOND, RUN, Spans, runs
from streams.together import Together, near

if TYPE_CHECKING:
    from streams.detectors.detector import View

SAMPLED_QUESTIONS = 500
"""Of a window, whose words are kept."""
SHOWN_AFTER_S = 30.0
"""An answer shows up at most so long after its ingested_at: how far back profiles_missing looks."""
MIN_SAMPLES = 30
"""Sessions below which a window, or a reference, says nothing."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One inference a session, over one or several windows of one version; fields are columns of window_profiles.

    windows: that have answers
    label_squares: of each label the sum over windows of the square of its count over the window's sessions
    confidences: sessions by bin; a bin is 20 x the log-odds of the greatest score, rounded down
    """

    sessions: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    windows: int = 0
    label_squares: Mapping[str, float] = field(default_factory=dict)
    scored: int = 0
    confidences: Mapping[int, int] = field(default_factory=dict)
    confidence_sum: float = 0.0
    entropy_sum: float = 0.0
    confidence_squares: float = 0.0
    entropy_squares: float = 0.0
    confidence_entropy: float = 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A tested window and the windows that it is compared with."""

    window_from: datetime
    reference: Profile
    window: Profile


class Profiles:
    """Reads and writes profiles; remembers the pairs of the last look at each task, all of which can be lost."""

    def __init__(self) -> None:
        self._pairs: Together[tuple[str, Spans], list[Pair]] = Together(_subject, self._compare)
        self._empty: dict[tuple[str, str], frozenset[datetime]] = {}
        self._written: dict[tuple[datetime, timedelta], float] = {}

    def pairs(self, view: View) -> list[Pair]:
        """One a tested window, oldest first. Raises WarehouseError.

        Closed windows say the same until the next one closes: until then nothing is read. Answers that came late count
        from then on.
        """
        return self._pairs.about(view) or []

    def _compare(self, views: Sequence[View]) -> list[list[Pair]]:
        found: dict[str, list[Pair]] = {}
        subjects = [_Subject(view, compared) for view in views if (compared := view.compared) is not None]
        for close in near(subjects, lambda subject: subject.compared.tested_from, RUN * subjects[0].compared.size):
            self._refresh(close)
            found |= _read(close)
        return [found[view.task] for view in views]

    def _refresh(self, subjects: Sequence[_Subject]) -> None:
        queries, size = subjects[0].view.queries, subjects[0].compared.size
        missing = queries.query(
            "monitor/profiles_missing",
            tasks=[subject.view.task for subject in subjects],
            versions=[subject.version for subject in subjects],
            wanted=[_millis(subject.wanted) for subject in subjects],
            late=[_millis(subject.compared.tested) for subject in subjects],
            size_ms=size // MILLISECOND,
        )
        lacking: list[set[datetime]] = [set() for _ in subjects]
        for row in missing:
            lacking[row["place"] - 1].add(ids.EPOCH + row["span"] * MILLISECOND)
        due = set[datetime]()
        for subject, starts in zip(subjects, lacking, strict=True):
            # An old window that was looked at and still has no profile had no answers.
            key = subject.view.task, subject.version
            due |= starts - (self._empty.get(key, frozenset()) - set(subject.compared.tested))
            self._empty[key] = frozenset(starts)
        now = time.monotonic()
        # Another task's look has just written them, of all tasks: too soon for answers that show up late.
        self._written = {window: until for window, until in self._written.items() if now < until}
        due -= {start for start, of in self._written if of == size}
        for window_from, window_to in runs(due, size):
            queries.command(
                query_text("monitor/profiles_write"),
                size_ms=size // MILLISECOND,
                window_from=clickhouse_time(window_from),
                window_to=clickhouse_time(window_to),
                questions=SAMPLED_QUESTIONS,
            )
        until = now + min(SHOWN_AFTER_S, size.total_seconds() / 2)
        self._written |= {(start, size): until for start in due}


@dataclass(frozen=True, slots=True)
class _Subject:
    """A task's version, and which of its windows are compared."""

    view: View
    compared: Spans

    @property
    def version(self) -> str:
        return self.view.promotion.live.version

    @property
    def references(self) -> list[tuple[datetime, ...]]:
        """Each once."""
        return list(dict.fromkeys(self.compared.references))

    @property
    def wanted(self) -> list[datetime]:
        return sorted({*self.compared.tested, *(start for starts in self.compared.references for start in starts)})


def _subject(view: View) -> tuple[str, Spans] | None:
    compared = view.compared
    return None if compared is None else (view.promotion.live.version, compared)


def _millis(starts: Iterable[datetime]) -> list[int]:
    return [ids.millis(start) for start in starts]


def _read(subjects: Sequence[_Subject]) -> dict[str, list[Pair]]:
    groups = [
        (subject, starts)
        for subject in subjects
        for starts in (*subject.references, *((start,) for start in subject.compared.tested))
    ]
    rows = subjects[0].view.queries.query(
        "monitor/profiles_merged",
        tasks=[subject.view.task for subject, _ in groups],
        versions=[subject.version for subject, _ in groups],
        groups=[_millis(starts) for _, starts in groups],
        size_ms=subjects[0].compared.size // MILLISECOND,
    )
    profiles = {int(row.pop("place")) - 1: Profile(**row) for row in rows}
    merged = {(subject.view.task, starts): profiles.get(place) for place, (subject, starts) in enumerate(groups)}
    return {
        subject.view.task: [
            Pair(
                window_from=start,
                reference=merged[subject.view.task, reference] or Profile(),
                window=merged[subject.view.task, (start,)] or Profile(),
            )
            for start, reference in zip(subject.compared.tested, subject.compared.references, strict=True)
        ]
        for subject in subjects
    }
