"""Confidence: the distribution of the greatest score, against its reference, by the Kolmogorov-Smirnov test.

The statistic is the greatest distance between the two empirical distribution functions (Smirnov, Ann. Math. Statist.
1948), over bins of a twentieth of a unit of log-odds: so narrow that ties hardly matter, and where a model gives few
different scores the test is conservative.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt

from headrace.statistics.significance import kolmogorov_tail
from streams.detectors import soft
from streams.detectors.detector import CONFIDENCE, Reading, View
from streams.profiles import MIN_SAMPLES, Pair, Profile

NO_SCORES = "the live version's answers carry no label scores"


def distance(before: Mapping[int, int], now: Mapping[int, int]) -> float:
    """The greatest difference between two distribution functions, of counts by bin."""
    n, m = sum(before.values()), sum(now.values())
    below = most = 0.0
    for bin_ in sorted({*before, *now}):
        below += before.get(bin_, 0) / n - now.get(bin_, 0) / m
        most = max(most, abs(below))
    return most


def tested(pair: Pair, alpha: float) -> soft.Tested:
    """Both sides have scored answers."""
    n, m = pair.reference.scored, pair.window.scored
    statistic = distance(pair.reference.confidences, pair.window.confidences)
    size = n * m / (n + m)
    # the first term of the series, which is all of it for small alpha
    threshold = sqrt(log(2 / alpha) / 2) / (sqrt(size) + 0.12 + 0.11 / sqrt(size))
    return soft.Tested(pair.window_from, n, m, statistic, kolmogorov_tail(statistic, n, m), threshold)


def scored(view: View) -> list[Pair]:
    """The pairs with enough scored answers on both sides. Raises WarehouseError."""
    return [pair for pair in soft.pairs(view) if min(pair.reference.scored, pair.window.scored) >= MIN_SAMPLES]


def without_scores(view: View, name: str) -> Reading:
    """Why nothing can be said of confidence: too little traffic yet, or none of it scored."""
    found = soft.pairs(view)
    unscored: Profile | None = found[-1].window if found else None
    reason = NO_SCORES if unscored is not None and not unscored.scored else ""
    return soft.quiet(view, name, CONFIDENCE, reason)


class ConfidenceKs:
    """Reads the greatest scores of the live arm of the current version."""

    name = "confidence_ks"

    def read(self, view: View) -> Reading:
        found = [tested(pair, soft.alpha(view)) for pair in scored(view)]
        if not found:
            return without_scores(view, self.name)
        return soft.verdict(view, self.name, CONFIDENCE, found, "the confidences")


MAKE = ConfidenceKs
