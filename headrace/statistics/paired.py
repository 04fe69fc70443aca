"""What paired answers can prove: the candidate and the live version on the same test rows.

    gained: the candidate is right and the live version wrong; lost: the other way round; n: all rows

Rows on which both are right, or both wrong, tell nothing about the difference except through n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, inf, sqrt

from headrace.statistics.intervals import quantile

ZETA_3 = 1.2020569031595942
"""The sum of 1 / n^3 over all n from 1 (Apery's constant)."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Paired outcomes of the candidate and of the live version."""

    n: int
    gained: int
    lost: int

    @property
    def difference(self) -> float:
        """Accuracy of the candidate less that of the live version."""
        return (self.gained - self.lost) / self.n if self.n else 0.0


def pairs(candidate: Sequence[bool], live: Sequence[bool]) -> Pairs:
    """Count two runs over the same rows; True is right."""
    both = list(zip(candidate, live, strict=True))
    return Pairs(len(both), both.count((True, False)), both.count((False, True)))


def mcnemar(pairs: Pairs) -> float:
    """Exact one-sided p-value against "the candidate is no better": a sign test (McNemar, Psychometrika 1947)."""
    discordant = pairs.gained + pairs.lost
    # Each binomial from the one before it: by itself each costs as much as all of them do so.
    ways = tail = comb(discordant, pairs.gained)
    for k in range(pairs.gained, discordant):
        ways = ways * (discordant - k) // (k + 1)
        tail += ways
    return tail / (1 << discordant)


def tango_z(pairs: Pairs, difference: float) -> float:
    """Score statistic of "candidate - live = difference", standard normal where that is true (Tango, Stat Med 1998).

    The probability of `lost` is estimated under the hypothesis, which keeps the statistic right with few
    discordant rows, where Wald's is not. Infinite where the hypothesis leaves no variance.
    """
    n, b, c, d = pairs.n, pairs.gained, pairs.lost, difference
    a2 = 2 * n
    a1 = -b - c + (2 * n - b + c) * d
    a0 = -c * d * (1 - d)
    lost = (sqrt(max(0.0, a1 * a1 - 4 * a2 * a0)) - a1) / (2 * a2)
    variance = n * (2 * lost + d * (1 - d))
    numerator = b - c - n * d
    if variance <= 1e-12:
        return inf if numerator > 1e-9 else -inf if numerator < -1e-9 else 0.0
    return numerator / sqrt(variance)


def tango_lower(pairs: Pairs, alpha: float) -> float:
    """Lower end of the one-sided (1 - alpha) score interval of the difference; -1 where there are no rows."""
    if pairs.n == 0:
        return -1.0
    z = quantile(1 - alpha)
    # The statistic falls as the hypothesised difference grows, so the bound is where it falls below z.
    low, high = -1.0, pairs.difference
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tango_z(pairs, middle) > z else (low, middle)
    return high


def spent(alpha: float, number: int) -> float:
    """The share of alpha for the number-th candidate (from 1) that meets test rows: alpha / (number^3 zeta(3)).

    The shares of all candidates, however many, add up to alpha, so trying again cannot buy a pass. The first gets five
    sixths: it is the one that most often decides, since looking at it again as rows come costs nothing.
    """
    if number < 1:
        raise ValueError("candidates are counted from 1")
    return alpha / (float(number) ** 3 * ZETA_3)
