"""Intervals: against published values and by coverage."""

import random

import pytest

from headrace.statistics.intervals import wilson, wilson_upper


def test_wilson_matches_newcombe():
    """Newcombe (1998), table I, method 3: 81/263 gives .2553 to .3662; 0/20 gives 0 to .1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_upper_bound_covers():
    """A one-sided 90 % bound lies above the truth in about 90 % of samples."""
    rng = random.Random(7)
    covered = sum(wilson_upper(sum(rng.random() < 0.1 for _ in range(274)), 274, 0.9) > 0.1 for _ in range(2000))
    assert 0.87 < covered / 2000 < 0.94
