"""Detectors over many runs at once: each returns the place of the first alarm in every run, or the length for none."""

from __future__ import annotations

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
from headrace.intervals import quantile
from streams.detectors.shiryaev_roberts import (
    BASELINE_CONFIDENCE,
    BLOCK,
    HEAD_START,
    HIGHEST_RATE,
    LOWEST_BASELINE,
    STEPS,
    known_before,
)

First = NDArray[np.int_]
FORGOTTEN = 1e-6
# Far above any threshold, and far from an overflow.
HIGHEST_TERM = 1e100


def shiryaev_roberts(world: World, thresholds: list[float]) -> dict[float, First]:
    """The statistic of streams/detectors/shiryaev_roberts.py for several thresholds, looked at after every label.

    All k of a block share a baseline, so their terms together follow R_n = (R_n-1 + 1) LR(label n), and those of a
    closed block R_n = R_n-1 LR(label n).
    """
    labels = world.labels.T
    n, runs = labels.shape
    errors = np.concatenate([np.zeros((1, runs)), np.cumsum(labels, axis=0)])
    known = world.reference.sum(axis=1)
    found = {threshold: np.full(runs, n) for threshold in thresholds}
    # blocks x steps x runs: the terms' sum, and what a wrong answer and a right one multiply it by
    terms, hits, misses = (np.zeros((0, len(STEPS), runs)) for _ in range(3))
    for place, wrong in enumerate(labels):
        if place % BLOCK == 0:
            used = known_before(place)
            hit, miss = _ratios(np.maximum(LOWEST_BASELINE, _upper(known + errors[used], np.array(REFERENCE + used))))
            # What is forgotten here could grow to a millionth of what a change at a later label adds.
            worth = terms.sum(axis=1).max(axis=1) > FORGOTTEN
            terms = np.concatenate([terms[worth], np.zeros((1, *hit.shape))])
            hits, misses = np.concatenate([hits[worth], hit[None]]), np.concatenate([misses[worth], miss[None]])
        terms[-1] += 1 + HEAD_START * (place == 0)
        terms *= np.where(wrong, hits, misses)
        np.minimum(terms, HIGHEST_TERM, out=terms)
        statistic = terms.sum(axis=(0, 1)) / len(STEPS)
        for threshold, first in found.items():
            first[(statistic >= threshold) & (first == n)] = place
        if (found[max(thresholds)] < n).all():
            break
    return found


def _ratios(before: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Likelihood ratios of a wrong and of a right answer, steps x runs; 0 where a step leaves no room."""
    after = before + np.array(STEPS)[:, None]
    room = after < HIGHEST_RATE
    return np.where(room, after / before, 0.0), np.where(room, (1 - after) / (1 - before), 0.0)


def cusum(world: World, change: float, thresholds: list[float]) -> dict[float, First]:
    """Page's CUSUM for a rise by `change` (Page 1954) over the same upper bound of the reference's rate."""
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
    runs, start = past.labels.shape[0], past.start
    found = {change: np.full(runs, world.labels.shape[1]) for change, world in worlds.items()}
    for run in range(runs):
        detector: Any = make()
        for label in past.reference[run].tolist():
            detector.update(label)
        rate = float(past.reference[run].mean())
        early = _alarm(detector, past.labels[run], range(start), rate)
        for change, world in worlds.items():
            n = world.labels.shape[1]
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
    """headrace.intervals.wilson_upper for arrays."""
    z = quantile(BASELINE_CONFIDENCE)
    upper: NDArray[np.float64] = (errors + z * z / 2 + z * np.sqrt(errors * (n - errors) / n + z * z / 4)) / (n + z * z)
    return upper
