"""`make bench-thresholds`: how often the hard trigger alarms for nothing in a year, from 10 to 5,000 labels a day.

make bench-thresholds                        some five minutes on two cores
make bench-thresholds ARGS="--runs 500 --labels-a-day 5000"

A year is four quarters. Each begins with a promotion and its evaluation of 1,000 rows. After an alarm the detector
starts over with another evaluation. Nothing ever gets worse. In `still` worlds the error rate is .03, .10 or .20 all
the time; in `wandering` ones it also has the weeks of `make bench-years` and wanders by half a point over a month.

budget             the plan's false alarms a year
threshold          what streams/thresholds.py gives for it
still, wandering   false alarms a year at that threshold, the greatest of the three error rates
needed             the least threshold that spends half the budget in still worlds at most, and all in wandering ones
world              where that is
runs_alarmed       how many runs of that world alarmed at `needed`: the fewer, the less it is known

var/bench/thresholds.json has the false alarms a year at each threshold in each world, too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.drifting.quarters import DAYS, Quarter, alarms_a_year
from benchmarks.table import keep, machine, tell
from streams.thresholds import BUDGETS, DAYS_A_YEAR, SPENT, hard_threshold

# Those that were measured for streams/thresholds.py, and some between them.
LABELS_A_DAY = (10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)
BASES = (0.03, 0.10, 0.20)
STILL, WANDERING = "still", "wandering"
# Of the budget.
AT_MOST = {STILL: SPENT, WANDERING: 1.0}
# Thresholds, four to a factor of ten.
GRID = 10.0 ** np.arange(3, 14.1, 0.25)
SELDOM = 1e-9

Task = tuple[str, float, float, int, int]


class Curve:
    """False alarms a year of one world by threshold.

    first: with which label each run first reached each threshold of GRID, 0 for never; n: labels in a quarter
    """

    def __init__(self, kind: str, base: float, first: NDArray[np.int_], n: int) -> None:
        reached = np.where(first <= n, first, 0)
        self.kind, self.world = kind, f"{kind} {base:g}"
        self.alarmed = (reached > 0).sum(axis=1)
        self.alarms = np.array([alarms_a_year(row, n) for row in reached])

    def at(self, threshold: float) -> float:
        """False alarms a year; between thresholds the logarithms are linear."""
        return float(np.exp(np.interp(np.log(threshold), np.log(GRID), np.log(np.maximum(self.alarms, SELDOM)))))

    def needed(self, alarms: float) -> float:
        """The threshold with so many alarms a year."""
        places = np.log(np.maximum(self.alarms, SELDOM))[::-1]
        return float(np.exp(np.interp(np.log(alarms), places, np.log(GRID)[::-1])))

    def known_by(self, threshold: float) -> int:
        """How many runs reached it."""
        return int(np.interp(np.log(threshold), np.log(GRID), self.alarmed))


def measure(task: Task) -> tuple[NDArray[np.int_], int]:
    """First alarms by threshold and run, and labels in a quarter."""
    world, base, labels_a_day, runs, seed = task
    return Quarter(base, world == WANDERING, labels_a_day, runs, seed).first_alarms(list(GRID))


def rows(labels_a_day: float, curves: Sequence[Curve]) -> Iterator[dict[str, Any]]:
    """One a budget."""
    for budget in BUDGETS:
        threshold = hard_threshold(budget, labels_a_day * DAYS_A_YEAR)
        needed, worst = max(
            ((curve.needed(AT_MOST[curve.kind] * budget), curve) for curve in curves), key=lambda pair: pair[0]
        )
        yield {
            "labels_a_day": labels_a_day,
            "budget": budget,
            "threshold": round(threshold),
            **{kind: round(max(curve.at(threshold) for curve in curves if curve.kind == kind), 3) for kind in AT_MOST},
            "needed": round(needed),
            "world": worst.world,
            "runs_alarmed": worst.known_by(needed),
        }


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-thresholds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--labels-a-day", type=float, action="append", help=f"may be repeated (default: {LABELS_A_DAY})"
    )
    parser.add_argument("--runs", type=int, default=3000, help="quarters of each world (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    began = time.monotonic()
    paces = sorted(options.labels_a_day or LABELS_A_DAY, reverse=True)
    # A still world is the same at each rate of labels, for as long as it lasts. The longest first, for both cores.
    tasks: list[Task] = [
        (world, base, pace, options.runs, options.seed)
        for pace in paces
        for base in reversed(BASES)
        for world in (STILL, WANDERING)
        if world == WANDERING or pace == paces[0]
    ]
    found: dict[tuple[str, float, float], tuple[NDArray[np.int_], int]] = {}
    with ProcessPoolExecutor() as pool:
        for task, measured in zip(tasks, pool.map(measure, tasks), strict=True):
            found[task[:3]] = measured
            print(f"{time.monotonic() - began:5.0f} s  {task[0]} {task[1]:g} at {task[2]:g} labels a day", flush=True)
    told: list[dict[str, Any]] = []
    measured_rows: list[dict[str, Any]] = []
    for pace in reversed(paces):
        curves = list(_curves(pace, paces[0], found))
        told += rows(pace, curves)
        measured_rows += [
            {"labels_a_day": pace, "world": curve.world, "threshold": float(threshold), "alarms_a_year": float(alarms)}
            for curve in curves
            for threshold, alarms in zip(GRID, curve.alarms, strict=True)
        ]
    conditions = machine() | {
        "runs": options.runs, "seed": options.seed, "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    tell("thresholds", conditions, told)
    print(keep("thresholds", conditions, told + measured_rows))
    return 0


def _curves(
    pace: float, most: float, found: Mapping[tuple[str, float, float], tuple[NDArray[np.int_], int]]
) -> Iterator[Curve]:
    for base in BASES:
        first, _ = found[STILL, base, most]
        yield Curve(STILL, base, first, round(pace * DAYS))
        yield Curve(WANDERING, base, *found[WANDERING, base, pace])


if __name__ == "__main__":
    sys.exit(main())
