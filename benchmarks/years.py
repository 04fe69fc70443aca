"""`make bench-years`: fifty company-years through the real policy: how often for nothing, what is missed, how soon.

make bench-years
make bench-years ARGS="--years 200 --labels-a-day 30"

A company's router is 4 to 15 % wrong, a little more on weekends when there is less traffic, and wanders by half a point
over a month. At drawn times, twice a year on average, it falls by 5 to 25 points at once until a retraining has learned
that. Labels of the base audit come a day after the answer. Every hour of event time the hard trigger's statistic (as
`make bench-drift` computes it, a test compares it with ClickHouse's) and the plan's defaults go through the policy's
`decide`. A trigger is followed by a job of two to six days, a day of rollout, and a new version with a new baseline of
1,000 evaluated rows. A year is followed by sixty days without new drops. Only the clock is simulated, not the policy.

false_per_year    retrainings while nothing had fallen, a task-year
missed            share of the drops that no retraining began to answer within 60 days
days, days_p90    from the drop to the trigger, median and 90th percentile, the day that labels take included
days_5_to_10, days_10_up   median for drops of that many points
swept             drops in the days between a trigger and the end of its job, learned without being found; not in days
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.drifting.company import GRACE, MISSED, Drop, Year, live
from benchmarks.table import keep, machine, tell
from headrace.plan import Triggers

LABELS_A_DAY = (50.0, 100.0, 200.0)


def figures(labels_a_day: float, years: Sequence[Year]) -> dict[str, Any]:
    """The row of one rate of labels."""
    drops = [drop for year in years for drop in year.drops]
    sought = [drop for drop in drops if not drop.swept]
    missed = [drop for drop in sought if drop.found_at is None or drop.found_at - drop.at > MISSED]
    task_years = len(years) * (1 + GRACE.days / 365)
    return {
        "labels_a_day": labels_a_day,
        "years": len(years),
        "false_per_year": round(sum(year.false for year in years) / task_years, 3),
        "years_without_a_drop": sum(not year.drops for year in years),
        "drops": len(drops),
        "swept": len(drops) - len(sought),
        "missed": round(len(missed) / len(sought), 4) if sought else 0.0,
        "days": _days(sought, 50),
        "days_p90": _days(sought, 90),
        "days_5_to_10": _days([drop for drop in sought if drop.points < 0.10], 50),
        "days_10_up": _days([drop for drop in sought if drop.points >= 0.10], 50),
    }


def _days(drops: Sequence[Drop], percentile: float) -> float | None:
    """Drops that were never found count as late."""
    late = [(drop.found_at - drop.at).total_seconds() / 86_400 if drop.found_at else np.inf for drop in drops]
    return round(float(np.percentile(late, percentile, method="higher")), 1) if late else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-years", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--years", type=int, default=50, help="for each rate of labels (default %(default)s)")
    parser.add_argument("--labels-a-day", type=float, action="append", help="(default: 50, 100 and 200)")
    parser.add_argument(
        "--false-alarms", type=float, default=1.0, help="the plan's budget a year (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    plan = Triggers(false_alarms_per_year=options.false_alarms, cheaper_after_labels=0)
    began, rows = time.monotonic(), []
    with ProcessPoolExecutor() as pool:
        for rate in options.labels_a_day or LABELS_A_DAY:
            seeds = [(options.seed, round(rate * 10), number) for number in range(options.years)]
            rows.append(figures(rate, list(pool.map(live, [rate] * len(seeds), [plan] * len(seeds), seeds))))
            print(f"{time.monotonic() - began:5.0f} s  {options.years} years at {rate:g} labels a day", flush=True)
    conditions = machine() | {
        "budget": options.false_alarms, "cool_down_s": plan.cool_down_s, "min_labels": plan.min_labels,
        "seed": options.seed, "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    tell("years", conditions, rows)
    print(keep("years", conditions, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
