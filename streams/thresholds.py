"""Thresholds from what false alarms may cost a task in a year. Pure functions; the rates are measured, not promised.

The hard trigger's come from `make bench-thresholds`. A year there is four quarters. Each begins with a promotion and
its evaluation of 1,000 rows, and nothing gets worse. THRESHOLDS has the least threshold that keeps the budget at error
rates of .03, .10 and .20: half of it where the rate is constant, all of it where it has weeks and wanders slowly. Most
tasks are quieter than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import exp, log, sqrt

# Base-audit labels a day: a row of THRESHOLDS each.
LABELS_A_DAY = (10.0, 50.0, 200.0, 1_000.0, 5_000.0)
# False alarms a year, as the plan has them: a column each.
BUDGETS = (0.25, 1.0, 4.0, 12.0)
THRESHOLDS = (
    (6.0e4, 9.3e3, 2.0e3, 1.0e3),
    (5.0e5, 6.7e4, 1.1e4, 3.2e3),
    (1.8e6, 2.2e5, 4.3e4, 1.3e4),
    (8.8e7, 4.1e6, 2.7e5, 6.3e4),
    (2.2e10, 2.2e8, 5.3e6, 5.0e5),
)
# Share of the budget that may be spent on chance where the error rate is constant. Real ones are not.
SPENT = 0.5
# Above 5,000 labels a day and below a budget of .25 the threshold grows with this power of either. From 2,000 to 5,000
# labels a day it grew with a power of at most 3.6.
BEYOND = 4.0
# Of a threshold: where exp still gives a number.
HIGHEST_LOGARITHM = 690.0
DAYS_A_YEAR = 365
HIGHEST_WINDOW_RATE = 0.05
LOWEST_WINDOW_RATE = 1e-6


def hard_threshold(false_alarms_per_year: float, labels_per_year: float) -> float:
    """The Shiryaev-Roberts threshold at which no measured world has more false alarms a year than that.

    Between the measured points it is linear in logarithms. The measured curve is convex, so this errs upward. Fewer
    than 10 labels a day count as 10, and a budget above 12 counts as 12. Above 5,000 labels a day and below a budget of
    .25 nothing was measured. There the threshold grows with the power BEYOND, faster than it was measured to grow.
    """
    labels_a_day = labels_per_year / DAYS_A_YEAR
    beyond = max(1.0, labels_a_day / LABELS_A_DAY[-1]) * max(1.0, BUDGETS[0] / false_alarms_per_year)
    of_budget = [_between(BUDGETS, row, false_alarms_per_year) for row in THRESHOLDS]
    return exp(min(HIGHEST_LOGARITHM, log(_between(LABELS_A_DAY, of_budget, labels_a_day)) + BEYOND * log(beyond)))


def _between(places: Sequence[float], thresholds: Sequence[float], place: float) -> float:
    """The threshold at `place`; outside of `places` that of the nearest one."""
    for (low, lower), (high, higher) in pairwise(zip(places, thresholds, strict=True)):
        if place <= high:
            share = log(max(place, low) / low) / log(high / low)
            return exp(log(lower) + share * log(higher / lower))
    return thresholds[-1]


def window_false_alarm(draws_per_year: float, windows_per_year: float) -> float:
    """The nominal false-alarm probability of one window of a label-free detector, from a budget of audit draws.

    A draw needs alarms of two families, and an alarm two of three windows in a row. Were the families one and the same
    and windows independent, one in 1 / (2 p^2) windows would begin an alarm: more there cannot be.
    """
    return min(HIGHEST_WINDOW_RATE, max(LOWEST_WINDOW_RATE, sqrt(draws_per_year / (2 * windows_per_year))))
