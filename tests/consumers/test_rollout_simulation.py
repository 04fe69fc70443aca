"""The decision on simulated traffic, a small part of `make bench-rollouts`."""

from __future__ import annotations

import pytest

from benchmarks.rollouts import CASES, ended, summed

TRIALS = 60


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_candidates_end_where_they_should(number: int) -> None:
    """Worse ones never serve, equal ones always do, a drift of both is nobody's fault; the shadow needs about a day."""
    row, held = summed(CASES[number], ended(number, TRIALS, seed=5))
    assert held, row
