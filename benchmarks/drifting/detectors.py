"""Detectors over many runs at once: each returns the place of the first alarm in every run, or the length for none."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river.drift import kswin as kswin_module
from scipy.stats import ks_2samp

from benchmarks.drifting.worlds import REFERENCE, Labels, World
from headrace.statistics.intervals import quantile
from streams.detectors.shiryaev_roberts import (
    BLOCK,
    HEAD_START,
    HIGHEST_RATE,
    LAG,
    LOWEST_BASELINE,
    MAX_LABELS,
    STEPS,
    UNSEEN,
    WEIGHTS,
    known_before,
)

First = NDArray[np.int_]
# Terms of a block are dropped when they are worth less in every run; each new block adds BLOCK.
FORGOTTEN = 1e-3
# Of the reference's rate, one-sided: CUSUM's baseline.
CUSUM_CONFIDENCE = 0.70
# Far above any threshold, and far from an overflow.
HIGHEST_TERM = 1e100


class Mixture:
    """The statistic of streams/detectors/shiryaev_roberts.py for many runs at once, a label of each at a time.

    All k of a block share a baseline, so their terms of one step together follow R_n = (R_n-1 + weight) LR(label n),
    and those of a closed block R_n = R_n-1 LR(label n). Blocks beyond MAX_LABELS are dropped.
    """

    def __init__(self, known_errors: NDArray[np.int_], known: int) -> None:
        runs = len(known_errors)
        self._known_errors, self._known, self._place = known_errors, known, 0
        # After each of the newest labels, as far back as a baseline looks.
        self._errors = deque([np.zeros(runs)], maxlen=LAG + 1)
        # A row a block and step, its first label, and for each run the terms' sum and what a wrong answer and a right
        # one multiply it by. The last rows are of the present block.
        self._begins = np.zeros(0, int)
        self._terms, self._hits, self._misses = (np.zeros((0, runs)) for _ in range(3))

    def add(self, wrong: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The statistic of each run after this label of each."""
        place = self._place
        if place % BLOCK == 0:
            self._next_block(place)
        self._terms[-len(STEPS) :] += np.array(WEIGHTS)[:, None] * (1 + HEAD_START * (place == 0))
        self._terms *= np.where(wrong, self._hits, self._misses)
        self._errors.append(self._errors[-1] + wrong)
        self._place += 1
        statistic: NDArray[np.float64] = self._terms.sum(axis=0)
        return statistic

    def _next_block(self, place: int) -> None:
        used = known_before(place)
        errors = self._known_errors + self._errors[used - place - 1]
        known = self._known + used
        hit, miss = _ratios(np.maximum(LOWEST_BASELINE, (errors + UNSEEN) / (known + UNSEEN)))
        kept = (self._terms.max(axis=1) > FORGOTTEN) & (self._begins + BLOCK > place - MAX_LABELS)
        self._begins = np.append(self._begins[kept], [place] * len(STEPS))
        self._terms = np.concatenate([self._terms[kept], np.zeros_like(hit)])
        self._hits = np.concatenate([self._hits[kept], hit])
        self._misses = np.concatenate([self._misses[kept], miss])
        # A block of nothing but errors multiplies by less than 1e166.
        np.minimum(self._terms, HIGHEST_TERM, out=self._terms)


def shiryaev_roberts(world: World, thresholds: list[float]) -> dict[float, First]:
    """headrace's hard trigger for several thresholds, looked at after every label."""
    mixture = Mixture(world.reference.sum(axis=1), REFERENCE)
    return _first(world.labels, (mixture.add(wrong) for wrong in world.labels.T), thresholds)


def _ratios(before: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Likelihood ratios of a wrong and of a right answer, steps x runs; 0 where a step leaves no room."""
    after = before + np.array(STEPS)[:, None]
    room = after < HIGHEST_RATE
    return np.where(room, after / before, 0.0), np.where(room, (1 - after) / (1 - before), 0.0)


def cusum(world: World, change: float, thresholds: list[float]) -> dict[float, First]:
    """Page's CUSUM for a rise by `change` (Page 1954) over an upper bound of the reference's rate."""
    before = np.maximum(LOWEST_BASELINE, _upper(world.reference.sum(axis=1), np.array(REFERENCE)))
    after = np.minimum(before + change, HIGHEST_RATE)
    hit, miss = np.log(after / before), np.log((1 - after) / (1 - before))

    def statistics() -> Iterator[NDArray[np.float64]]:
        sums = np.zeros(len(before))
        for column in world.labels.T:
            sums = np.maximum(0, sums + np.where(column, hit, miss))
            yield sums

    return _first(world.labels, statistics(), thresholds)


def two_windows(world: World, size: int, thresholds: list[float]) -> dict[float, First]:
    """The z statistic between the last `size` labels and the reference (pooled variance)."""
    runs, n = world.labels.shape
    sums = np.concatenate([np.zeros((runs, 1)), np.cumsum(world.labels, axis=1)], axis=1)
    reference = world.reference.mean(axis=1)

    def statistics() -> Iterator[NDArray[np.float64]]:
        for end in range(1, n + 1):
            if end < size:
                yield np.zeros(runs)
                continue
            recent = (sums[:, end] - sums[:, end - size]) / size
            pooled = (recent * size + reference * REFERENCE) / (size + REFERENCE)
            spread = np.sqrt(np.maximum(1e-9, pooled * (1 - pooled) * (1 / size + 1 / REFERENCE)))
            yield (recent - reference) / spread

    return _first(world.labels, statistics(), thresholds)


def one_by_one(worlds: Mapping[float, World], make: Callable[[], object]) -> dict[float, First]:
    """One of river's, fed with the reference first, then label by label until its first alarm.

    Worlds share a run's past (benchmarks.drifting.worlds), so it is fed once, and each goes on with a copy.
    """
    past = worlds[0.0]
    start = past.start
    found = {change: np.full(len(world.labels), world.labels.shape[1]) for change, world in worlds.items()}
    for run in range(len(past.labels)):
        detector: Any = make()
        for label in past.reference[run].tolist():
            detector.update(label)
        rate = float(past.reference[run].mean())
        early = _alarm(detector, past.labels[run], range(start), rate)
        for change, world in worlds.items():
            n = world.labels.shape[1]
            if run >= len(world.labels):
                continue
            found[change][run] = (
                early if early < start else _alarm(deepcopy(detector), world.labels[run], range(start, n), rate)
            )
    return found


def _alarm(detector: Any, labels: NDArray[np.bool_], places: range, rate: float) -> int:
    """The place of its first alarm, or the one after the last."""
    update = detector.update
    for place, label in zip(places, labels[places.start : places.stop].tolist(), strict=True):
        update(label)
        # It may tell of a fall too, where that is what it found: such an alarm starts no retraining.
        if detector.drift_detected and labels[max(0, place - 99) : place + 1].mean() > rate:
            return place
    return places.stop


def kswin() -> object:
    """river's KSWIN. Of zeros and ones the exact test knows few cases, so each is computed once."""
    kswin_module.stats = SimpleNamespace(ks_2samp=lambda old, new, method: _ks(sum(old), sum(new), len(new)))  # type: ignore[assignment, attr-defined]
    return kswin_module.KSWIN(seed=1)


@cache
def _ks(old: int, new: int, size: int) -> tuple[float, float]:
    before, after = (np.repeat([0, 1], [size - ones, ones]) for ones in (old, new))
    found = ks_2samp(before, after, method="auto")
    return float(found.statistic), float(found.pvalue)


def _first(labels: Labels, statistics: Iterator[NDArray[np.float64]], thresholds: list[float]) -> dict[float, First]:
    runs, n = labels.shape
    found = {threshold: np.full(runs, n) for threshold in thresholds}
    for place, statistic in enumerate(statistics):
        for threshold, first in found.items():
            first[(statistic >= threshold) & (first == n)] = place
        if (found[max(thresholds)] < n).all():
            break
    return found


def _upper(errors: NDArray[np.float64], n: NDArray[np.int_]) -> NDArray[np.float64]:
    """headrace.statistics.intervals.wilson_upper for arrays."""
    z = quantile(CUSUM_CONFIDENCE)
    upper: NDArray[np.float64] = (errors + z * z / 2 + z * np.sqrt(errors * (n - errors) / n + z * z / 4)) / (n + z * z)
    return upper
