"""The simulated company-years go through the real policy."""

from __future__ import annotations

from benchmarks.drifting.company import MISSED, live
from benchmarks.years import figures
from headrace.plan import Triggers

SEED = (1, 1000, 2)


def test_a_year_is_the_same_again_and_its_drops_are_found() -> None:
    """The same seed is the same year; with the plan's defaults each of its drops is answered within sixty days."""
    year = live(100.0, Triggers(), SEED)
    assert year == live(100.0, Triggers(), SEED)
    assert year.drops and 100 * 300 < year.labels < 100 * 500
    row = figures(100.0, [year])
    assert row["missed"] == 0 and row["days"] < MISSED.days and row["drops"] == len(year.drops)


def test_a_plan_that_never_fires_misses_every_drop() -> None:
    """With a threshold beyond all evidence nothing is retrained, for nothing or for a reason."""
    row = figures(100.0, [live(100.0, Triggers(hard_threshold=1e200), SEED)])
    assert (row["missed"], row["false_per_year"], row["swept"]) == (1.0, 0.0, 0)
