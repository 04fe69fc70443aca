"""Exact tests that hold for any number of rows: no normal approximation. What a chain's thresholds are fitted by.

    accuracy at least a floor        one binomial tail
    not below another by a margin    paired answers, by the unconditional exact test of Hsueh, Liu and Chen (Biometrics
                                     2001): the largest probability, over all worlds in which the accuracy is lower by
                                     the margin, of a score statistic (Tango, Stat Med 1998) as large as the one seen

How often the new model alone is right, which the second one does not know, is bounded first, at a level that is added
to the p-value (Berger and Boos, JASA 1994): else worlds that nobody would believe in after these rows decide.
"""

from __future__ import annotations

from functools import lru_cache
from math import lgamma, log

import numpy as np
from numpy.typing import NDArray

from headrace.statistics.paired import Pairs

Floats = NDArray[np.float64]

BOUNDED_AT = 0.001
"""Level of the bound on how often the new model alone is right."""
WORLDS = 13
"""So many worlds within that bound are looked at."""
TAIL = 1e-9
"""Probability of outcomes that are left out of a world, which is added to the p-value."""


def upper(count: int, n: int, level: float) -> float:
    """Exact one-sided upper bound of a probability (Clopper and Pearson, Biometrika 1934); 1 where n is 0.

    level: probability that the truth is above it, at most
    """
    if count >= n:
        return 1.0
    low, high = count / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if binomial_tail(count, n, middle) < level else (middle, high)
    return high


def binomial_tail(count: int, n: int, probability: float) -> float:
    """P(X <= count) of n draws with this probability."""
    if probability <= 0 or count >= n:
        return 1.0
    if probability >= 1:
        return 0.0
    odds, rest = log(probability), log(1 - probability)
    ways = [lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * odds + (n - k) * rest for k in range(count + 1)]
    return min(1.0, float(np.exp(np.array(ways)).sum()))


def floor_p_value(correct: int, n: int, floor: float) -> float:
    """Against "the accuracy is below the floor"."""
    return binomial_tail(n - correct, n, 1 - floor)


@lru_cache(maxsize=65_536)
def margin_p_value(pairs: Pairs, margin: float) -> float:
    """Against "the accuracy is lower by `margin` or more". margin: 0 or more, below 1"""
    if not pairs.n or pairs.gained + pairs.lost > pairs.n:
        return 1.0
    seen = float(_score(pairs.n, np.array(pairs.gained), np.array(pairs.lost), margin))
    if seen <= 0:
        return 1.0
    most = min(upper(pairs.gained, pairs.n, BOUNDED_AT), (1 - margin) / 2)
    rows, columns = _most(pairs.n, most), _most(pairs.n, most + margin)
    gained, lost = (counts.ravel() for counts in np.mgrid[: rows + 1, : columns + 1])
    large = (gained + lost <= pairs.n) & (_score(pairs.n, gained, lost, margin) >= seen - 1e-9)
    gained, lost = gained[large], lost[large]
    rest, factorials = pairs.n - gained - lost, _log_factorials(pairs.n)
    ways = factorials[pairs.n] - factorials[gained] - factorials[lost] - factorials[rest]
    worst = 0.0
    for rate in np.linspace(1e-12, most, WORLDS):
        other, both = max(rate + margin, 1e-300), max(1 - 2 * rate - margin, 1e-300)
        logs = ways + gained * log(rate) + lost * log(other) + rest * log(both)
        worst = max(worst, float(np.exp(logs).sum()))
    return min(1.0, worst + BOUNDED_AT + TAIL)


def _most(n: int, probability: float) -> int:
    """A count that so many draws exceed with less than half of TAIL (Bernstein's inequality)."""
    bits = log(2 / TAIL)
    spread = (2 * n * probability * (1 - probability) * bits + bits * bits / 9) ** 0.5
    return min(n, int(n * probability + spread + bits / 3) + 1)


@lru_cache(maxsize=64)
def _log_factorials(n: int) -> Floats:
    return np.concatenate(([0.0], np.log(np.arange(1, n + 1)).cumsum()))


def _score(n: int, gained: NDArray[np.int_], lost: NDArray[np.int_], margin: float) -> Floats:
    """Tango's statistic of "lower by the margin" (paired.tango_z), of many counts at once; 0 without variance."""
    d = -margin
    a1 = -gained - lost + (2 * n - gained + lost) * d
    a0 = -lost * d * (1 - d)
    estimate = (np.sqrt(np.maximum(0.0, a1 * a1 - 8 * n * a0)) - a1) / (4 * n)
    variance = np.maximum(n * (2 * estimate + d * (1 - d)), 0.0)
    numerator = gained - lost - n * d
    found: Floats = np.where(
        variance > 1e-12, numerator / np.sqrt(np.maximum(variance, 1e-12)), np.sign(numerator) * 1e6
    )
    return found
