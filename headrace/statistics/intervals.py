"""Intervals for proportions, shared by the monitor, the gate, the rollout and the report."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def quantile(confidence: float) -> float:
    """The standard normal quantile: 1.96 for .975."""
    return NormalDist().inv_cdf(confidence)


def wilson(correct: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided score interval of a proportion (Wilson, JASA 1927). (0, 1) where n is 0."""
    if n <= 0:
        return 0.0, 1.0
    z = quantile(0.5 + confidence / 2)
    p = correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def wilson_upper(errors: float, n: float, confidence: float) -> float:
    """One-sided upper bound of an error rate (Wilson): what it may be without being fooled by luck."""
    return wilson(errors, n, 2 * confidence - 1)[1]
