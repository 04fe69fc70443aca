"""Anytime-valid tests of a mean, by betting: how much a gambler wins who bets against the hypothesis.

    sums   one a cluster, in order of time: its rows' values, weighted and added up
    sizes  what the cluster weighs, in rows; a sum is never below -size

Hypothesis: the mean of the sums is at most 0. A share of one unit of capital is bet on each sum before it is seen.
While the hypothesis holds the capital is a supermartingale, so it ever reaches 1 / alpha with probability alpha at most
(Ville). A test may therefore be looked at at any time, and ends as soon as the capital is there. Waudby-Smith & Ramdas,
"Estimating means of bounded random variables by betting", J. R. Statist. Soc. B 86, 2024. For rows that are right or
wrong it is a bet on gained against lost. A cluster is one bet, so its rows may depend on one another in any way. A bet
cannot be more than the capital: a cluster that weighs more than 1 / bet counts as if it weighed that.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RISES = ((0.7, 0.45), (0.4, 0.3))
"""Bets on a rise, shares of the capital a row, and how much of the capital is bet so. (gained - lost) / (gained + lost)
is the best bet: .8 for 18 gained and 2 lost, .4 for 14 and 6."""
SMALL = ((0.03, 0.15), (0.01, 0.07), (0.003, 0.03))
"""Rises, shares of the rows, that the rest of the capital expects, and how much of the capital does so."""
PARTS = ((1.0, 0.7), (0.5, 0.2), (0.25, 0.1))
"""Parts of an expected mean that are expected, and how much of the capital expects each.

Whoever bets more than twice what the true mean is worth loses in the long run: by the first alone a mean below half of
the expected one is never proven.
"""
MOST = 0.95
"""What is bet on one cluster at most, so that no loss is the end."""
EXPECTED_SPREAD, EXPECTED_ROWS = 0.1, 100
"""Mean square a row of the sums before any is seen, and how many rows that counts as."""


def on_a_rise(sums: Floats, sizes: Floats) -> Floats:
    """Logarithm of the capital after each cluster, where the size of the rise is unknown: a mixture of bets."""
    worth = _worth(sums, sizes)
    return _mixed(sums, sizes, [*RISES, *((rise * worth, share) for rise, share in SMALL)])


def on_at_least(mean: float, sums: Floats, sizes: Floats) -> Floats:
    """The same where the mean a row is `mean` at most, and most likely so."""
    worth = _worth(sums, sizes)
    return _mixed(sums, sizes, [(part * mean * worth, share) for part, share in PARTS])


def _worth(sums: Floats, sizes: Floats) -> Floats:
    """What is bet on each cluster for each unit of the expected mean a row: 1 / (mean square), as seen until then."""
    rows = np.concatenate(([0.0], sizes.cumsum()[:-1])) + EXPECTED_ROWS
    squares = np.concatenate(([0.0], (sums * sums).cumsum()[:-1])) + EXPECTED_ROWS * EXPECTED_SPREAD
    worth: Floats = rows / squares
    return worth


def _mixed(sums: Floats, sizes: Floats, bets: Sequence[tuple[float | Floats, float]]) -> Floats:
    """Logarithm of the capital of several gamblers, each with bets of his own and a share of it."""
    grown = [np.log1p(np.minimum(bet, MOST / sizes) * sums).cumsum() + log(share) for bet, share in bets]
    capital: Floats = np.logaddexp.reduce(grown)
    return capital


def p_value(log_capital: Floats) -> float:
    """The smallest level at which the capital was enough at any time; 1 where it never grew, or nothing was seen."""
    return min(1.0, exp(-float(log_capital.max()))) if log_capital.size else 1.0
