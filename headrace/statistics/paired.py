"""What paired answers can prove: the candidate and the live version on the same test rows.

    gained: the candidate is right and the live version wrong; lost: the other way round; n: all rows

Rows on which both are right, or both wrong, tell nothing about the difference except through n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, comb, inf, sqrt

from headrace.statistics.intervals import quantile


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
    tail = sum(comb(discordant, k) for k in range(pairs.gained, discordant + 1))
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


def spent(alpha: float, look: int) -> float:
    """The share of alpha for the look-th time (from 1) that a candidate meets the test rows: alpha / (look (look + 1)).

    The shares of all looks, however many, add up to alpha, so trying again cannot buy a pass. The first look gets half.
    """
    if look < 1:
        raise ValueError("looks are counted from 1")
    return alpha / (look * (look + 1))


def rows_needed(margin: float, alpha: float, discordant: float, power: float = 0.9, difference: float = 0.0) -> int:
    """Rows at which a candidate whose true difference is `difference` proves itself within the margin.

    discordant: share of rows on which the two disagree in being right (two models of .96 disagree on .05 to .08)
    power: how probable a pass shall be
    Normal approximation of the score test: n = (z_alpha + z_power)^2 (discordant - d^2) / (margin + d)^2.
    """
    room = margin + difference
    if room <= 0:
        raise ValueError("a difference at or below the margin cannot be proved within it")
    z = quantile(1 - alpha) + quantile(power)
    variance = max(discordant, abs(difference)) - difference * difference
    return int(-(-(z * z * variance) // (room * room)))


def rows_to_decide(pairs: Pairs, alpha: float, margin: float | None = None, power: float = 0.9) -> int | None:
    """Test rows at which the difference and the disagreement that were observed would be significant.

    As better than the live version, by McNemar's exact test, or within the margin where one is given, whichever takes
    fewer rows; None where neither can be at this difference.
    power: how probable significance shall be, if the observed difference is the true one
    Better: n = (z_alpha sqrt(p) + z_power sqrt(p - d^2))^2 / d^2 for a share p of discordant rows (Connor, Biometrics
    1987), and 1 / d rows more because the exact test is conservative (Fleiss, Statistical Methods for Rates and
    Proportions, ch. 3). Within the margin: see rows_needed.
    """
    if not pairs.n:
        return None
    difference = pairs.difference
    discordant = max((pairs.gained + pairs.lost) / pairs.n, 1 / pairs.n)
    found = list[int]()
    if difference > 0:
        spread = quantile(1 - alpha) * sqrt(discordant) + quantile(power) * sqrt(discordant - difference * difference)
        found.append(ceil((spread / difference) ** 2 + 1 / difference))
    if margin is not None and margin + difference > 0:
        found.append(rows_needed(margin, alpha, discordant, power, difference))
    return min(found, default=None)


def calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: |accuracy - confidence| by bins of the top label's probability, weighted by rows.

    Guo et al., ICML 2017.
    """
    total: list[list[float]] = [[0.0, 0.0] for _ in range(bins)]
    for given, hit in zip(confidence, right, strict=True):
        slot = total[min(int(given * bins), bins - 1)]
        slot[0] += given
        slot[1] += hit
    return sum(abs(given - hits) for given, hits in total) / len(right) if right else 0.0
