"""A quarter of a task whose answers do not get worse, from a promotion on: the hard trigger's false alarms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.drifting.company import EVALUATED, FARTHEST, SEASON, TRAFFIC, WANDER, WANDER_DAYS
from benchmarks.drifting.detectors import First, Mixture

PROMOTIONS_A_YEAR = 4
DAYS = 91
# Of a quarter: at most one alarm falls into each.
CELLS = 400


class Quarter:
    """Runs of one kind, each with its own evaluation at the promotion.

    base: the error rate; it is the same all the time, or has the weeks of benchmarks.drifting.company and wanders
    """

    def __init__(self, base: float, wanders: bool, labels_a_day: float, runs: int, seed: int) -> None:
        self._draw = np.random.default_rng([seed, round(base * 1000), wanders, round(labels_a_day)])
        self._base, self._wanders, self._labels_a_day = base, wanders, labels_a_day
        self._wander = np.zeros(runs)
        if wanders:
            self._wander = np.clip(self._draw.normal(0, WANDER, runs), -FARTHEST, FARTHEST)

    def first_alarms(self, thresholds: Sequence[float]) -> tuple[First, int]:
        """With which label each run first reached each threshold, thresholds x runs, and how many labels there were.

        Labels count from 1; 0 for never. The statistic is looked at after every label.
        """
        runs = len(self._wander)
        mixture = Mixture(self._draw.binomial(EVALUATED, self._base + self._wander), EVALUATED)
        levels = np.array([*thresholds, np.inf])
        first = np.zeros((len(thresholds), runs), int)
        reached = np.zeros(runs, int)
        n = 0
        for n, wrong in enumerate(self._labels(), 1):
            statistic = mixture.add(wrong)
            for run in np.flatnonzero(statistic >= levels[reached]):
                up = int(np.searchsorted(thresholds, statistic[run], side="right"))
                first[reached[run] : up, run] = n
                reached[run] = up
        return first, n

    def _labels(self) -> Iterator[NDArray[np.bool_]]:
        runs = len(self._wander)
        for day in range(DAYS):
            weekday = day % 7
            rate = self._base + self._wander + (SEASON[weekday] if self._wanders else 0)
            for _ in range(self._draw.poisson(self._labels_a_day * TRAFFIC[weekday])):
                yield self._draw.random(runs, dtype=np.float32) < rate
            if self._wanders:
                pull = self._wander * (1 - 1 / WANDER_DAYS)
                noise = self._draw.normal(0, WANDER * (2 / WANDER_DAYS) ** 0.5, runs)
                self._wander = np.clip(pull + noise, -FARTHEST, FARTHEST)


def alarms_a_year(first: NDArray[np.int_], n: int) -> float:
    """Alarms expected in a year of such quarters of n labels, the detector starting over after each alarm.

    first: with which label each run first alarmed, 0 for never. Solves the renewal equation m(t) = F(t) + the integral
    of m(t - s) dF(s) (Feller, An Introduction to Probability Theory, volume 2, chapter XI) in CELLS cells.
    """
    cells = np.histogram(first[first > 0], bins=CELLS, range=(0, n))[0] / len(first)
    alarms = np.zeros(CELLS + 1)
    for end in range(1, CELLS + 1):
        alarms[end] = cells[:end] @ (1 + alarms[end - 1 :: -1])
    return PROMOTIONS_A_YEAR * float(alarms[-1])
