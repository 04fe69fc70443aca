"""`make bench-weeks`: simulated weeks of a task with 50 labels a day whose live version falls from .96 to .80.

make bench-weeks                            some minutes on two cores
make bench-weeks ARGS="--trials 500"

The detector, the monitor's policy, the job's waits and the gate are the loop's own, with the plan's defaults; labels
and candidates are simulated (benchmarks/weekly/world.py). A trial begins with RUN_IN_DAYS days without a change.

share      of the trials with a successor that was proven better within `days` of the change; low, high: 95 % Wilson
goal       what the share must reach, or must not exceed; none where the row is there to compare
median, p95  days from the change to the successor, over all trials; empty where so many had none
candidates, looks  mean of a trial

Exits with 1 where a goal is missed. var/bench/weeks.json has the same rows.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.drifting.detectors import Mixture
from benchmarks.table import keep, machine, tell
from benchmarks.weekly.turn import TASK, Turn, turn
from benchmarks.weekly.world import BEFORE, RUN_IN_DAYS, History, World, history
from headrace.statistics.intervals import wilson
from streams.thresholds import hard_threshold

TRIALS = 4_000
BATCH = 50
EVALUATED = 1_000
"""Test rows of the live version's own evaluation, the detector's baseline."""


@dataclass(frozen=True, slots=True)
class Case:
    """days: within which a successor is counted; horizon: of a trial, days; first_rows: `min_test_rows`"""

    name: str
    world: World
    days: float
    horizon: float
    goal: float | None = None
    at_most: bool = False
    first_rows: int = TASK.curation.min_test_rows

    def met(self, share: float) -> bool | None:
        """Whether the share is within the goal; None where there is none."""
        return None if self.goal is None else share <= self.goal if self.at_most else share >= self.goal


CASES = (
    Case("falls to .80", World(), 7, 21, 0.95),
    Case("no candidate is better", World(equal=True), 60, 60, 0.01, at_most=True),
    Case("falls to .80, first look at 1,000 test rows", World(), 7, 40, first_rows=1000),
    Case("falls to .80, audits alone train", World(corrections=False), 7, 40),
    Case("falls to .90", World(after=0.90), 14, 40),
    Case("falls to .80, 10 labels a day", World(per_day=10), 35, 90),
)


def alarms(world: World, found: Sequence[History], random: np.random.Generator) -> list[tuple[float, float] | None]:
    """For each history when the hard trigger fires first after the change, and the change as it is dated, in days."""
    threshold = hard_threshold(TASK.triggers.false_alarms_per_year, world.per_day * 365)
    known = random.binomial(EVALUATED, 1 - BEFORE, len(found))
    most = max(len(one.at) for one in found)
    wrong = np.zeros((most, len(found)), dtype=bool)
    for run, one in enumerate(found):
        wrong[: len(one.at), run] = one.wrong
    statistic, fired = Mixture(known, EVALUATED), np.full(len(found), -1)
    for place in range(most):
        value = statistic.add(wrong[place])
        new = (fired < 0) & (value >= threshold)
        new &= np.array([place < len(one.at) and one.at[place] >= 0 for one in found])
        fired[new] = place
        if (fired >= 0).all():
            break
    return [
        None if at < 0 else (float(one.at[at]), dated(world, one, int(at)))
        for one, at in zip(found, fired, strict=True)
    ]


def dated(world: World, found: History, place: int) -> float:
    """The likeliest change before a label, for the rates before and after it."""
    hit, miss = np.log((1 - world.after) / (1 - BEFORE)), np.log(world.after / BEFORE)
    evidence = np.where(found.wrong[: place + 1], hit, miss)[::-1].cumsum()[::-1]
    return float(found.at[int(evidence.argmax())])


def batch(case: int, trials: int, seed: int) -> list[Turn]:
    """Trials of a case."""
    random, one = np.random.default_rng([seed, case]), CASES[case]
    share = TASK.curation.validation_share
    found = [history(one.world, one.horizon, share, random) for _ in range(trials)]
    nothing = Turn(None, 0, 0)
    return [
        nothing if alarm is None else turn(one.world, run, *alarm, one.first_rows, random)
        for run, alarm in zip(found, alarms(one.world, found, random), strict=True)
    ]


def row_of(case: Case, turns: Sequence[Turn]) -> dict[str, Any]:
    """What a case showed."""
    within = sum(one.days is not None and one.days <= case.days for one in turns)
    days = np.array([np.inf if one.days is None else one.days for one in turns])
    median, p95 = (
        float(found) if np.isfinite(found) else None for found in np.quantile(days, [0.5, 0.95], method="higher")
    )
    low, high = wilson(within, len(turns))
    goal = "" if case.goal is None else f"{'at most' if case.at_most else 'at least'} {case.goal:g}"
    return {
        "case": case.name, "days": case.days, "trials": len(turns), "share": round(within / len(turns), 4),
        "low": round(low, 4), "high": round(high, 4), "goal": goal, "met": case.met(within / len(turns)),
        "median": median and round(median, 1), "p95": p95 and round(p95, 1),
        "candidates": round(float(np.mean([one.candidates for one in turns])), 1),
        "looks": round(float(np.mean([one.looks for one in turns])), 1),
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="make bench-weeks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each case with a goal, a quarter of the others")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    began, rows = time.monotonic(), list[dict[str, Any]]()
    with ProcessPoolExecutor() as pool:
        for number, case in enumerate(CASES):
            batches = -(-options.trials // BATCH) if case.goal is not None else -(-options.trials // BATCH // 4)
            seeds = [options.seed * 1_000_000 + place for place in range(batches)]
            found = pool.map(batch, [number] * batches, [BATCH] * batches, seeds)
            rows.append(row_of(case, [one for turns in found for one in turns]))
            print(f"{time.monotonic() - began:5.0f} s  {case.name}: {rows[-1]['share']:.4f}", flush=True)
    gate = TASK.gate
    conditions = machine() | {
        "before": BEFORE, "run-in days": RUN_IN_DAYS, "alpha": gate.alpha, "test share": TASK.curation.test_share,
        "seed": options.seed, "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    tell(
        "weeks",
        conditions,
        [{**row, **{name: f"{row[name]:.4f}" for name in ("share", "low", "high")}} for row in rows],
    )
    print(keep("weeks", conditions, rows))
    return int(any(row["met"] is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
