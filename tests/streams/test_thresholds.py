"""Thresholds from a budget of false alarms."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from benchmarks.drifting.quarters import DAYS, PROMOTIONS_A_YEAR, Quarter, alarms_a_year
from streams.thresholds import BUDGETS, DAYS_A_YEAR, LABELS_A_DAY, THRESHOLDS, hard_threshold, window_false_alarm

YEAR = DAYS_A_YEAR


def test_what_was_measured_gives_its_threshold() -> None:
    """At each measured pace and budget the threshold is the measured one."""
    for (pace, row), (place, budget) in product(zip(LABELS_A_DAY, THRESHOLDS, strict=True), enumerate(BUDGETS)):
        assert hard_threshold(budget, pace * YEAR) == pytest.approx(row[place])


def test_five_thousand_labels_a_day_lie_within_what_was_measured() -> None:
    """Ten and five thousand labels a day, and one and twelve false alarms a year, need no extrapolation."""
    assert min(LABELS_A_DAY) <= 10 and max(LABELS_A_DAY) >= 5_000
    assert min(BUDGETS) < 1 and max(BUDGETS) >= 12


def test_more_labels_or_less_budget_ask_for_a_higher_threshold() -> None:
    """It grows with the labels a day and falls with the budget, beyond what was measured too; fewer count as ten."""
    paces = (10, 11, 49, 51, 114, 1_000, 4_999, 5_001, 20_000, 1_000_000)
    budgets = (0.01, 0.2, 0.26, 1.0, 1.1, 5.0, 12.0)
    for budget in budgets:
        assert all(low < high for low, high in pairwise(hard_threshold(budget, pace * YEAR) for pace in paces))
    for pace in paces:
        assert all(high > low for high, low in pairwise(hard_threshold(budget, pace * YEAR) for budget in budgets))
    assert hard_threshold(1.0, 0) == hard_threshold(1.0, 10 * YEAR)
    assert hard_threshold(100.0, 10 * YEAR) == hard_threshold(12.0, 10 * YEAR) == pytest.approx(THRESHOLDS[0][-1])
    assert hard_threshold(1e-300, 1e12) < float("inf")


@pytest.mark.parametrize("pace", [10.0, 5_000.0])
def test_nothing_jumps_where_the_measured_range_ends(pace: float) -> None:
    """A label a day more or less than was measured changes the threshold by little."""
    assert hard_threshold(1.0, pace * 0.999 * YEAR) == pytest.approx(hard_threshold(1.0, pace * 1.001 * YEAR), rel=0.02)


@pytest.mark.parametrize(("base", "wanders"), [(0.10, True), (0.10, False)])
def test_a_year_at_a_thousand_labels_a_day_keeps_its_budget(base: float, wanders: bool) -> None:
    """Where nothing gets worse, a year has at most the budget's four false alarms, with weeks and wander some too."""
    quarter = Quarter(base, wanders, 1_000, runs=40, seed=1)
    first, n = quarter.first_alarms([hard_threshold(4.0, 1_000 * YEAR)])
    assert n == pytest.approx(1_000 * DAYS, rel=0.02)
    alarms = alarms_a_year(first[0], n)
    assert alarms <= 4.0
    assert alarms >= 0.4 or not wanders


def test_alarms_a_year_start_over_after_each() -> None:
    """Alarms 30 to 50 labels apart are two in a hundred labels, and seldom three; runs without one count as none."""
    first = np.arange(30, 51)
    assert alarms_a_year(first, 100) == pytest.approx(PROMOTIONS_A_YEAR * 2.03, abs=0.2)
    assert alarms_a_year(np.zeros(10, int), 100) == 0
    assert alarms_a_year(np.array([100, 0]), 100) == pytest.approx(PROMOTIONS_A_YEAR * 0.5, abs=0.02)


def test_a_window_rate_from_a_budget_of_draws() -> None:
    """Twelve draws a year of hourly windows: 2 p^2 of 8,760 windows are twelve; and it stays within its bounds."""
    rate = window_false_alarm(12, 8760)
    assert 2 * rate**2 * 8760 == pytest.approx(12)
    assert window_false_alarm(12, 10) == 0.05
    assert 0 < window_false_alarm(1e-9, 1e9) < 1e-5
