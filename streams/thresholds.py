"""Thresholds from what false alarms may cost a task in a year. Pure functions; the rates are measured, not promised.

The hard trigger's rates come from `make bench-drift ARGS="--detector shiryaev-roberts --runs 2000 --seed 2"`: at each
threshold the greatest of six worlds, error rates of .03, .10 and .20 before the change, each fresh (the first 2,000
labels after a promotion) and after a run-in of 2,000. Most tasks are quieter than that.
"""

from __future__ import annotations

from itertools import pairwise
from math import exp, log, sqrt

PER = 10_000
# Threshold, and false alarms per 10,000 labels.
MEASURED = ((3e3, 3.51), (1e4, 1.24), (2e4, 0.70), (3e4, 0.53), (5e4, 0.37), (8e4, 0.28), (1.2e5, 0.21), (3e5, 0.12))
# Share of the budget that is spent on chance in a world that stands still, as the measured ones do. Real ones have
# weeks and wander: with the whole budget `make bench-years` gave 1.08 false retrainings a year at fifty labels a day.
SPENT = 0.5
HIGHEST_WINDOW_RATE = 0.05
LOWEST_WINDOW_RATE = 1e-6


def hard_threshold(false_alarms_per_year: float, labels_per_year: float) -> float:
    """The Shiryaev-Roberts threshold at which no measured world has more false alarms a year than half of that.

    Between the measured thresholds and beyond them the logarithm of the rate is linear in that of the threshold; none
    is below the least one measured.
    """
    rate = SPENT * false_alarms_per_year / max(labels_per_year, 1e-9) * PER
    if rate >= MEASURED[0][1]:
        return MEASURED[0][0]
    for (low, often), (high, seldom) in pairwise(MEASURED):
        if rate >= seldom or high == MEASURED[-1][0]:
            share = log(often / rate) / log(often / seldom)
            return exp(log(low) + share * log(high / low))
    raise AssertionError("MEASURED has at least two rows")


def window_false_alarm(draws_per_year: float, windows_per_year: float) -> float:
    """The nominal false-alarm probability of one window of a label-free detector, from a budget of audit draws.

    A draw needs alarms of two families, and an alarm two of three windows in a row. Were the families one and the same
    and windows independent, one in 1 / (2 p^2) windows would begin an alarm: more there cannot be.
    """
    return min(HIGHEST_WINDOW_RATE, max(LOWEST_WINDOW_RATE, sqrt(draws_per_year / (2 * windows_per_year))))
