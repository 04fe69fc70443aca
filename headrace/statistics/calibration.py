"""How far a model's probabilities can be trusted: calibration, and whether a score separates two kinds of rows.

    confidence  probability that the model gives its answer, in [0, 1]
    right       score of the answer in [0, 1]; 1 is right

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, for the calibration error and temperature scaling;
Brier, Monthly Weather Review 1950.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headrace.statistics.intervals import quantile

Floats = NDArray[np.float64]

BINS = 10
COLDEST, HOTTEST = 0.1, 10.0
"""Temperatures are sought between these."""
PRIOR_ROWS = 16.0
"""How many rows the assumption that the temperature is near 1 counts as."""
PRIOR_SPREAD = 0.7
"""Standard deviation of the temperature's logarithm under that assumption: within 2 times either way, mostly."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of like confidence, in (low, high]; the first bin holds 0 too.

    confidence, right: means over its `rows` rows; both 0 where there are none
    """

    low: float
    high: float
    rows: int
    confidence: float
    right: float


def reliability(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> list[Bin]:
    """The points of a reliability diagram: `bins` bins of equal width. Raises ValueError where the lengths differ."""
    given, hits = _paired(confidence, right)
    slot = np.clip(np.ceil(given * bins).astype(np.intp) - 1, 0, bins - 1)
    rows = np.bincount(slot, minlength=bins)
    shared = np.maximum(rows, 1)
    means = np.bincount(slot, given, minlength=bins) / shared, np.bincount(slot, hits, minlength=bins) / shared
    return [
        Bin(number / bins, (number + 1) / bins, int(rows[number]), float(means[0][number]), float(means[1][number]))
        for number in range(bins)
    ]


def ece(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error: |right - confidence| by bins, weighted by rows; 0 without rows. Raises ValueError."""
    found = reliability(confidence, right, bins)
    rows = sum(one.rows for one in found)
    return sum(one.rows * abs(one.right - one.confidence) for one in found) / rows if rows else 0.0


def brier(probabilities: ArrayLike, truth: Sequence[int] | NDArray[np.int_]) -> float:
    """Mean squared distance of the probabilities (rows, labels) from the truth: 0 is perfect, 2 the worst.

    truth: numbers of the labels; 0 without rows. Raises ValueError where the lengths differ.
    """
    given, true = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.intp)
    if len(given) != len(true):
        raise ValueError(f"probabilities of {len(given)} rows, labels of {len(true)}")
    if not len(true):
        return 0.0
    of_truth = given[np.arange(len(true)), true]
    return float(((given**2).sum(axis=1) - 2 * of_truth + 1).mean())


def fit_temperature(log_probabilities: ArrayLike, truth: Sequence[int] | NDArray[np.int_]) -> float:
    """The temperature by which logits, or log-probabilities (rows, labels), are divided to be calibrated on these rows.

    truth: numbers of the labels. It minimises the negative log-likelihood, with a weak prior around 1: without it, few
    rows that are all right would make the model certain. 1 without rows. Raises ValueError where the lengths differ.
    """
    given, true = np.asarray(log_probabilities, dtype=np.float64), np.asarray(truth, dtype=np.intp)
    if len(given) != len(true):
        raise ValueError(f"log-probabilities of {len(given)} rows, labels of {len(true)}")
    if not len(true):
        return 1.0
    shifted = given - given.max(axis=1, keepdims=True)
    of_truth = shifted[np.arange(len(true)), true]

    def loss(logarithm: float) -> float:
        scaled = exp(-logarithm)
        likelihood = (scaled * of_truth - np.log(np.exp(scaled * shifted).sum(axis=1))).sum()
        return float(PRIOR_ROWS * (logarithm / PRIOR_SPREAD) ** 2 / 2 - likelihood)

    # By golden sections: the loss has one minimum, since the likelihood is convex in the inverse temperature.
    low, high, ratio = log(COLDEST), log(HOTTEST), (5**0.5 - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return exp((low + high) / 2)


def auroc(lower: ArrayLike, higher: ArrayLike) -> float:
    """Probability that a score of `higher` is above one of `lower`, ties counted half: the area under the ROC curve.

    .5 where either is empty. By ranks (Mann and Whitney, Ann. Math. Stat. 1947).
    """
    below, above = np.asarray(lower, dtype=np.float64), np.asarray(higher, dtype=np.float64)
    if not len(below) or not len(above):
        return 0.5
    order = np.sort(below)
    wins = (np.searchsorted(order, above, "left") + np.searchsorted(order, above, "right")).sum() / 2
    return float(wins / (len(below) * len(above)))


def auroc_interval(area: float, higher: int, lower: int) -> tuple[float, float]:
    """The 95 % interval of an area under the ROC curve of so many rows of either kind; (0, 1) where one is missing.

    Newcombe's score method (Stat Med 2006, part 2, method 5): areas whose own variance, Hanley and McNeil's (Radiology
    1982), explains the observed one. With the observed area's variance an area of 1 would be certain, however few rows.
    """
    if not higher or not lower:
        return 0.0, 1.0
    half, squared = (higher + lower) / 2 - 1, quantile(0.975) ** 2

    def explains(true: float) -> bool:
        variance = true * (1 - true) * (1 + half * ((1 - true) / (2 - true) + true / (1 + true))) / (higher * lower)
        return (area - true) ** 2 <= squared * variance

    def end(outside: float) -> float:
        inside = area
        for _ in range(50):
            middle = (outside + inside) / 2
            outside, inside = (outside, middle) if explains(middle) else (middle, inside)
        return inside

    return (end(0.0) if area > 0 else 0.0), (end(1.0) if area < 1 else 1.0)


def _paired(confidence: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    given, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if len(given) != len(hits):
        raise ValueError(f"{len(given)} confidences of {len(hits)} answers")
    return given, hits
