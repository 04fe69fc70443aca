"""Streams of sessions whose topics are drawn: without a change, in clusters, with a season, and what may change.

A window is an array of question numbers, one a session, as production samples it. All questions of a topic are equally
likely; nothing but the mix of topics depends on the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.shifting.answers import Doubles
from benchmarks.shifting.questions import Ints
from streams.spans import HOUR, LOOKED_AT, spans

SINCE = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
FIRST = 24
"""Windows of the reference before a week is over: the plan's default for `rolling`."""
PER_SESSION = 5
SHARED = 0.5
"""How often a session's next question has the topic of its first."""

Windows = list[tuple[list[Ints], Ints]]
"""Tested windows, each with the windows of its reference."""


@dataclass(frozen=True)
class Pool:
    """Question numbers by topic."""

    topics: tuple[Ints, ...]

    def of(self, topic: Ints, draw: np.random.Generator) -> Ints:
        """A question of each topic."""
        sizes = np.array([len(rows) for rows in self.topics])
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        places = starts[topic] + (draw.random(len(topic)) * sizes[topic]).astype(int)
        found: Ints = np.concatenate(self.topics)[places]
        return found


Sample = Callable[[Pool, Doubles, int, np.random.Generator], Ints]


def plain(pool: Pool, mix: Doubles, n: int, draw: np.random.Generator) -> Ints:
    """n sessions of one question."""
    return pool.of(draw.choice(len(mix), n, p=mix), draw)


def first_of_session(pool: Pool, mix: Doubles, n: int, draw: np.random.Generator) -> Ints:
    """n sessions of five questions, of which the first counts."""
    return every_question(pool, mix, n * PER_SESSION, draw).reshape(n, PER_SESSION)[:, 0]


def every_question(pool: Pool, mix: Doubles, n: int, draw: np.random.Generator) -> Ints:
    """n questions, five a session, each counted: what production does not do."""
    sessions = n // PER_SESSION
    topics = draw.choice(len(mix), (sessions, PER_SESSION), p=mix)
    shared = draw.random((sessions, PER_SESSION)) < SHARED
    topics = np.where(shared, topics[:, :1], topics)
    return pool.of(topics.ravel(), draw)


def season(topics: int) -> Doubles:
    """The mix of topics in each hour of a week, (168, topics): by day and by working day, up to threefold."""
    hours = np.arange(168)
    phase = 2 * np.pi * np.arange(topics) / topics
    daily = np.cos(2 * np.pi * hours[:, None] / 24 - phase)
    weekend = (hours[:, None] >= 120) * np.cos(3 * phase)
    weights = np.exp(0.55 * (daily + weekend))
    found: Doubles = weights / weights.sum(axis=1, keepdims=True)
    return found


def at(hours_after: int, pool: Pool, mixes: Doubles, sample: Sample, n: int, draw: np.random.Generator) -> Windows:
    """The windows of an hour that production compares this many hours after the promotion; n sessions in each.

    mixes: (168, topics) by the hour of the week, or (1, topics) for a mix that stays
    """
    compared = spans(SINCE, SINCE + timedelta(hours=hours_after), HOUR, FIRST, UTC)
    assert compared is not None and len(compared.tested) == LOOKED_AT
    drawn: dict[datetime, Ints] = {}

    def window(start: datetime) -> Ints:
        if start not in drawn:
            drawn[start] = sample(pool, mixes[(start - SINCE) // HOUR % len(mixes)], n, draw)
        return drawn[start]

    return [
        ([window(start) for start in reference], window(tested))
        for tested, reference in zip(compared.tested, compared.references, strict=True)
    ]
