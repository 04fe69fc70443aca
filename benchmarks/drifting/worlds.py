"""Streams of labels, true where an answer was wrong, and what a detector may know before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REFERENCE = 1000
RUN_IN = 2000
AFTER = 4000
QUIET = {"fresh": 2000, "run-in": 10_000}
# Runs without a change for one with: as many labels without one in either start.
QUIET_RUNS = {"fresh": 5, "run-in": 1}
CHANGES = (0.05, 0.10, 0.20)

Labels = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class World:
    """Runs of one kind, the same for every detector.

    reference: runs x labels, known beforehand; the true rate is known to nobody
    labels: runs x n; before `start` nothing changes and alarms end the run uncounted
    The first runs of two worlds are the same until their start.
    """

    reference: Labels
    labels: Labels
    start: int

    def first(self, runs: int) -> World:
        """The first runs of it."""
        return World(self.reference[:runs], self.labels[:runs], self.start)


def worlds(base: float, start: str, runs: int, seed: int) -> Mapping[float, World]:
    """By how much the rate changes at the start: 0 for never, which has the most runs."""
    draw = np.random.default_rng([seed, round(base * 1000), start == "fresh"])
    begin, most = RUN_IN if start == "run-in" else 0, runs * QUIET_RUNS[start]
    reference, before = draw.random((most, REFERENCE)) < base, draw.random((most, begin)) < base

    def world(change: float, count: int, n: int) -> World:
        after = draw.random((count, n)) < base + change
        return World(reference[:count], np.concatenate([before[:count], after], axis=1), begin)

    return {0.0: world(0.0, most, QUIET[start])} | {change: world(change, runs, AFTER) for change in CHANGES}
