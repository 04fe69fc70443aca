"""Window profiles: what the detectors that need no labels compare, read from ClickHouse once for all of them.

A profile is a row a closed window (window_profiles in the schema): counts and sums, small whatever the traffic. It is
written when its window closes, of all tasks together; one of the last windows is written anew when answers came late.
A look reads a few of these rows, so that it costs the same at any length of history.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from headrace import ids
from headrace.warehouse import query_text
from streams.queries import Queries, clickhouse_time
from streams.spans import Spans, runs

SAMPLED_QUESTIONS = 500
"""Of a window, whose words are kept."""
SHOWN_AFTER_S = 30.0
"""An answer shows up at most so long after its ingested_at: how far back profiles_missing looks."""
FEWEST = 30
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
        self._last: dict[str, tuple[object, list[Pair]]] = {}
        self._empty: dict[tuple[str, str], frozenset[datetime]] = {}
        self._written: dict[tuple[datetime, timedelta], float] = {}

    def pairs(self, queries: Queries, task: str, version: str, compared: Spans) -> list[Pair]:
        """One a tested window, oldest first. Raises WarehouseError.

        Closed windows say the same until the next one closes: until then nothing is read. Answers that came late count
        from then on.
        """
        known = self._last.get(task)
        if known is None or known[0] != (version, compared):
            self._refresh(queries, task, version, compared)
            known = self._last[task] = ((version, compared), self._read(queries, task, version, compared))
        return known[1]

    def _refresh(self, queries: Queries, task: str, version: str, compared: Spans) -> None:
        wanted = sorted({*compared.tested, *(start for starts in compared.references for start in starts)})
        scope: dict[str, Any] = {
            "task": task,
            "version": version,
            "size_ms": compared.size // timedelta(milliseconds=1),
        }
        missing = queries.query(
            "profiles_missing",
            **scope,
            wanted=[ids.millis(start) for start in wanted],
            late=[ids.millis(start) for start in compared.tested],
        )
        starts = {ids.EPOCH + timedelta(milliseconds=row["span"]) for row in missing}
        # An old window that was looked at and still has no profile had no answers.
        empty = self._empty.get((task, version), frozenset()) - set(compared.tested)
        self._empty[task, version] = frozenset(starts)
        now = time.monotonic()
        # Another task's look has just written them, of all tasks: too soon for answers that show up late.
        self._written = {window: until for window, until in self._written.items() if now < until}
        starts -= empty | {start for start, size in self._written if size == compared.size}
        for window_from, window_to in runs(starts, compared.size):
            queries.command(
                query_text("profiles_write"),
                size_ms=scope["size_ms"],
                window_from=clickhouse_time(window_from),
                window_to=clickhouse_time(window_to),
                questions=SAMPLED_QUESTIONS,
            )
        until = now + min(SHOWN_AFTER_S, compared.size.total_seconds() / 2)
        self._written |= {(start, compared.size): until for start in starts}

    def _read(self, queries: Queries, task: str, version: str, compared: Spans) -> list[Pair]:
        references = list(dict.fromkeys(compared.references))
        groups = [*references, *((start,) for start in compared.tested)]
        rows = queries.query(
            "profiles_merged",
            task=task,
            version=version,
            size_ms=compared.size // timedelta(milliseconds=1),
            groups=[[ids.millis(start) for start in group] for group in groups],
        )
        found = {int(row.pop("place")) - 1: Profile(**row) for row in rows}
        return [
            Pair(
                window_from=start,
                reference=found.get(references.index(reference), Profile()),
                window=found.get(len(references) + place, Profile()),
            )
            for place, (start, reference) in enumerate(zip(compared.tested, compared.references, strict=True))
        ]
