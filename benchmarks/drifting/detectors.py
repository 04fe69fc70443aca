"""Detectors over many runs at once: each returns the place of the first alarm in every run, or the length for none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray
from river.drift import kswin as kswin_module
from scipy.stats import ks_2samp

from benchmarks.drifting.worlds import REFERENCE, Labels, World
from headrace.intervals import quantile
from streams.detectors.shiryaev_roberts import BASELINE_CONFIDENCE, HIGHEST_RATE, LOWEST_BASELINE, STEPS

First = NDArray[np.int_]
LOOK_EVERY = 5
"""headrace looks at all labels again each time; here after every fifth, and at every fifth place where it began."""


def shiryaev_roberts(world: World, thresholds: list[float]) -> dict[float, First]:
    """The statistic of streams/detectors/shiryaev_roberts.py for several thresholds."""
    labels, every = world.labels, LOOK_EVERY
    runs, n = labels.shape
    errors = np.concatenate([np.zeros((runs, 1)), np.cumsum(labels, axis=1)], axis=1)[:, ::every]
    known = REFERENCE + np.arange(0, n + 1, every)
    known_errors = world.reference.sum(axis=1)[:, None] + errors
    baseline = np.maximum(LOWEST_BASELINE, _upper(known_errors, known))
    found = {threshold: np.full(runs, n) for threshold in thresholds}
    open_runs = np.arange(runs)
    hits, misses = [], []
    for step in STEPS:
        after = np.minimum(baseline + step, HIGHEST_RATE)
        hits.append(np.log(after / baseline))
        misses.append(np.log((1 - after) / (1 - baseline)))
    for look in range(1, errors.shape[1]):
        wrong = errors[open_runs, look, None] - errors[open_runs, :look]
        right = every * (look - np.arange(look)) - wrong
        total = np.zeros(len(open_runs))
        for hit, miss in zip(hits, misses, strict=True):
            ratio = wrong * hit[open_runs, :look] + right * miss[open_runs, :look]
            total += np.exp(np.minimum(ratio, 600)).sum(axis=1)
        statistic = total * every / len(STEPS)
        for threshold, first in found.items():
            hit_now = open_runs[(statistic >= threshold) & (first[open_runs] == n)]
            first[hit_now] = look * every - 1
        # Past the highest threshold nothing more can be learned of a run.
        open_runs = open_runs[found[max(thresholds)][open_runs] == n]
        if not len(open_runs):
            break
    return found


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


def one_by_one(world: World, make: Callable[[], object]) -> First:
    """One of river's, fed with the reference first, then label by label until its first alarm."""
    runs, n = world.labels.shape
    found = np.full(runs, n)
    for run in range(runs):
        detector: object = make()
        for label in world.reference[run]:
            detector.update(int(label))  # type: ignore[attr-defined]
        rate = world.reference[run].mean()
        for place, label in enumerate(world.labels[run]):
            detector.update(int(label))  # type: ignore[attr-defined]
            # It may tell of a fall too, where that is what it found: such an alarm starts no retraining.
            recent = world.labels[run, max(0, place - 99) : place + 1]
            if detector.drift_detected and recent.mean() > rate:  # type: ignore[attr-defined]
                found[run] = place
                break
    return found


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
