"""Exact statements about a share that may be looked at after every draw: no correction for the number of looks.

    count of n    how many of the draws so far were of the kind that is counted

The evidence against a share is how much a gambler wins who knows only that the share lies somewhere between 0 and 1:
the probability of the draws under all shares alike, divided by that under the one in question. While a share is the
true one its evidence ever reaches 1 / alpha with probability alpha at most (Ville), so the shares whose evidence is
below that are a confidence sequence (Robbins, Ann. Math. Stat. 41, 1970). For any n, without an approximation.
"""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p

FAILURES_ALPHA = 0.001
"""Probability that a version which fails no more often than it may is ever taken for one that does."""
LARGEST = 700.0
"""Logarithms above this are infinite as numbers."""


def evidence(count: int, n: int, share: float) -> float:
    """Against the share: 1 where nothing was drawn, infinite where the draws are impossible under it."""
    if (share <= 0 and count) or (share >= 1 and count < n):
        return inf
    found = lgamma(count + 1) + lgamma(n - count + 1) - lgamma(n + 2)
    if count:
        found -= count * log(share)
    if count < n:
        found -= (n - count) * log1p(-share)
    return exp(found) if found < LARGEST else inf


def above(count: int, n: int, share: float, alpha: float) -> bool:
    """Whether the true share is shown to be above this one; wrong at any time with probability alpha at most.

    That holds for every true share up to this one: with more counted than it says, all of those are less likely still.
    """
    return n > 0 and count > share * n and evidence(count, n, share) >= 1 / alpha


def fails_too_often(failed: int, requests: int, most: float) -> bool:
    """Whether more than that share of requests is shown to fail: a gateway asks it of its own, a rollout of all."""
    return above(failed, requests, most, FAILURES_ALPHA)


def bounds(count: int, n: int, alpha: float) -> tuple[float, float]:
    """The confidence sequence: the truth is ever outside with probability alpha at most. (0, 1) where n is 0."""
    if n <= 0:
        return 0.0, 1.0
    middle = count / n

    def end(outside: float) -> float:
        inside = middle
        for _ in range(50):
            tried = (outside + inside) / 2
            outside, inside = (tried, inside) if evidence(count, n, tried) >= 1 / alpha else (outside, tried)
        return outside

    return (end(0.0) if count else 0.0), (end(1.0) if count < n else 1.0)
