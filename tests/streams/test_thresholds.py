"""Thresholds from a budget of false alarms."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streams.thresholds import MEASURED, hard_threshold, window_false_alarm


@pytest.mark.parametrize(("threshold", "per_10k"), MEASURED[1:])
def test_a_measured_rate_gives_its_threshold(threshold: float, per_10k: float) -> None:
    """A budget of which half is spent exactly at a measured threshold asks for that threshold."""
    assert hard_threshold(2 * per_10k, 10_000) == pytest.approx(threshold)


def test_more_labels_or_less_budget_ask_for_a_higher_threshold() -> None:
    """It grows with the labels a year and falls with the budget, beyond what was measured too, and never below it."""
    thresholds = [hard_threshold(1.0, labels) for labels in (5_000, 20_000, 40_000, 80_000, 400_000, 4_000_000)]
    assert all(low < high for low, high in pairwise(thresholds))
    assert hard_threshold(2.0, 36_500) < hard_threshold(1.0, 36_500)
    assert hard_threshold(100.0, 100) == MEASURED[0][0] == hard_threshold(1.0, 0)


def test_a_window_rate_from_a_budget_of_draws() -> None:
    """Twelve draws a year of hourly windows: 2 p^2 of 8,760 windows are twelve; and it stays within its bounds."""
    rate = window_false_alarm(12, 8760)
    assert 2 * rate**2 * 8760 == pytest.approx(12)
    assert window_false_alarm(12, 10) == 0.05
    assert 0 < window_false_alarm(1e-9, 1e9) < 1e-5
