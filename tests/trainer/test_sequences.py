"""Shares that may be looked at after every draw: how often they are wrong, and how soon they tell."""

from __future__ import annotations

from math import inf, isclose

import numpy as np
import pytest

from headrace.statistics.sequences import above, bounds, evidence


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
def test_evidence_against_the_truth_is_a_martingale(share: float) -> None:
    """Its expectation over the next draw is what it was: the levels that Ville gives are exact."""
    for count, n in ((0, 0), (0, 30), (3, 7), (40, 90)):
        after = share * evidence(count + 1, n + 1, share) + (1 - share) * evidence(count, n + 1, share)
        assert isclose(after, evidence(count, n, share), rel_tol=1e-9)


def test_a_share_that_is_met_is_hardly_ever_exceeded() -> None:
    """Looked at after each of 2,000 draws: at most alpha of the series at the share itself, and fewer below it."""
    random, alpha, trials = np.random.default_rng(3), 0.02, 400
    for share, most in ((0.05, alpha), (0.03, alpha / 2)):
        draws = (random.random((trials, 2000)) < share).cumsum(axis=1)
        stopped = [
            any(above(int(row[n]), n + 1, 0.05, alpha) for n in range(2000) if row[n] > (n + 1) * 0.05) for row in draws
        ]
        assert sum(stopped) / trials <= most + 3 * (most / trials) ** 0.5


def test_what_is_far_above_is_known_within_few_draws() -> None:
    """Of a share of .01 at a level of .001: two failures of two; four of twenty; and one is never enough."""
    assert above(2, 2, 0.01, 0.001) and above(4, 20, 0.01, 0.001) and not above(3, 20, 0.01, 0.001)
    assert not any(above(1, n, 0.01, 0.001) for n in range(1, 1000))
    assert above(1, 10_000, 0.0, 0.001) and not above(0, 10_000, 0.0, 0.001)


def test_the_ends_of_the_sequence_are_where_the_evidence_is_enough() -> None:
    """Just outside a share is refuted, just inside it is not; nothing drawn leaves everything possible."""
    assert bounds(0, 0, 0.01) == (0.0, 1.0)
    assert bounds(0, 50, 0.01)[0] == 0.0 and bounds(50, 50, 0.01)[1] == 1.0
    for count, n in ((1, 5), (7, 100), (300, 400)):
        low, high = bounds(count, n, 0.01)
        assert low < count / n < high
        assert evidence(count, n, low - 1e-6) > 100 > evidence(count, n, low + 1e-6)
        assert evidence(count, n, high + 1e-6) > 100 > evidence(count, n, high - 1e-6)
    assert evidence(3, 1_000_000, 0.9) == inf
