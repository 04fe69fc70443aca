"""What a detector is: it reads the warehouse up to the watermark and says one thing about one live version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from headrace.contract.control import Promotion
from headrace.plan import Task
from headrace.warehouse import clickhouse_time
from streams.embedder import Embedder
from streams.profiles import Profiles
from streams.queries import Queries
from streams.spans import Spans, spans

__all__ = [
    "ANSWERS",
    "CONFIDENCE",
    "LABELS",
    "MEANING",
    "WORDS",
    "Detector",
    "Queries",
    "Reading",
    "View",
    "clickhouse_time",
]

LABELS, ANSWERS, CONFIDENCE, WORDS, MEANING = "labels", "answers", "confidence", "words", "meaning"
"""Families of detectors: what two of one family look at is so much alike that they count as one."""


@dataclass(frozen=True, slots=True)
class View:
    """What a detector may look at: one task's live version, up to the watermark.

    profiles: of closed windows, read once for all detectors; embedder: computes embeddings beside the monitor
    turn: how long after their end windows count as closed, so that those of all tasks are not read in one look
    others: views of tasks that the same is asked about at once: their windows are alike, their detectors the same
    """

    queries: Queries
    task: str
    plan: Task
    promotion: Promotion
    watermark: datetime
    profiles: Profiles = field(default_factory=Profiles)
    embedder: Embedder | None = None
    turn: timedelta = timedelta(0)
    others: Callable[[], Sequence[View]] = tuple

    @property
    def closed_until(self) -> datetime:
        """Windows that end by then are closed."""
        return self.watermark - self.turn

    @property
    def size(self) -> timedelta:
        """Of a window."""
        return timedelta(seconds=self.plan.windows.size_s)

    @property
    def zone(self) -> ZoneInfo:
        """Whose hours of the week are compared."""
        return ZoneInfo(self.plan.windows.time_zone)

    @property
    def compared(self) -> Spans | None:
        """The windows to compare at this watermark; None while there is none to test."""
        return spans(self.promotion.since, self.closed_until, self.size, self.plan.windows.rolling, self.zone)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a detector says at one watermark.

    n: how many answers or labels it rests on
    statistic, threshold: it alarms where the statistic reaches the threshold (and its own further conditions hold)
    hard: whether this alarm alone may start a retraining
    family: what it looks at: LABELS, or a family that needs no labels (ANSWERS, CONFIDENCE, WORDS, MEANING)
    labels_since_change, test_from: the estimated change, for the hard trigger; test rows come from that time on
    """

    detector: str
    n: int
    statistic: float
    threshold: float
    fired: bool
    reason: str
    window_from: datetime
    window_to: datetime
    hard: bool = False
    labels_since_change: int = 0
    test_from: datetime | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    family: str = LABELS


class Detector(Protocol):
    """One file each in streams/detectors, found by its name."""

    name: str

    def read(self, view: View) -> Reading:
        """Recomputed from the stored rows each time, so that late labels count. Raises WarehouseError."""
        ...
