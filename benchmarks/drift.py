"""`make bench-drift`: how fast and how falsely headrace's hard trigger and others find that answers got worse.

make bench-drift                                    every detector, about ten minutes on two cores
make bench-drift ARGS="--base 0.1 --detector shiryaev-roberts --runs 1000"

Every detector sees the same streams of labels (true: the answer was wrong) and the same 1,000 labelled reference rows,
and none the true rate. `fresh`: the stream begins with the change; `run-in`: 2,000 labels without a change come before
it, and runs that alarm in those are left out. The rate then rises by 5, 10 or 20 points.

false_alarms_per_10k   alarms in unchanged labels over the labels until then (a run ends with its first alarm)
delay_5, _10, _20      labels from the change to the alarm, median over runs, missed ones counted as late
missed_5               share of runs without an alarm 4,000 labels after a rise by 5 points

ADWIN, PageHinkley, KSWIN, DDM and HDDM are river's, with its defaults or as `setting` says; CUSUM and the two-window
test are vectorised here. Settings of one detector differ in its threshold, so that detectors can be compared at the
same rate of false alarms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from river import drift
from river.drift import binary

from benchmarks.drifting import detectors
from benchmarks.drifting.detectors import First
from benchmarks.drifting.worlds import AFTER, CHANGES, World, worlds
from benchmarks.table import keep, machine, tell

BASES = (0.03, 0.10, 0.20)
STARTS = ("fresh", "run-in")
# Each gives the places of first alarms by setting.
Measure = Callable[[World], dict[str, First]]


def _named(form: str, measure: Callable[[World], dict[float, First]]) -> Measure:
    return lambda world: {form.format(threshold): first for threshold, first in measure(world).items()}


def _river(setting: str, make: Callable[[], object]) -> Measure:
    return lambda world: {setting: detectors.one_by_one(world, make)}


DETECTORS: dict[str, Measure] = {
    "shiryaev-roberts": _named("A={:g}", partial(detectors.shiryaev_roberts, thresholds=[3e3, 1e4, 2e4, 3e4, 1e5])),
    "cusum +5": _named("h={:g}", partial(detectors.cusum, change=0.05, thresholds=[4.0, 5.0, 6.0, 7.0, 8.0])),
    "cusum +10": _named("h={:g}", partial(detectors.cusum, change=0.10, thresholds=[5.0, 6.0, 6.5, 7.0, 7.5])),
    "cusum +20": _named("h={:g}", partial(detectors.cusum, change=0.20, thresholds=[6.0, 7.0, 8.0, 9.0])),
    "two windows of 100": _named("z={:g}", partial(detectors.two_windows, size=100, thresholds=[3.5, 4.0, 4.5, 5.0])),
    "two windows of 300": _named("z={:g}", partial(detectors.two_windows, size=300, thresholds=[3.0, 3.5, 4.0, 4.5])),
    "adwin": _river("default", drift.ADWIN),
    "page-hinkley": _river("default", drift.PageHinkley),
    "page-hinkley tuned": _river("threshold=10, delta=.025", partial(drift.PageHinkley, threshold=10, delta=0.025)),
    "kswin": _river("default", detectors.kswin),
    "ddm": _river("default", binary.DDM),
    "hddm_a": _river("default", binary.HDDMA),
    "hddm_w": _river("default", binary.HDDMW),
}


def measure(detector: str, base: float, start: str, runs: int, seed: int) -> list[dict[str, Any]]:
    """The rows of a detector in one kind of world, one a setting."""
    found = {change: (world, DETECTORS[detector](world)) for change, world in worlds(base, start, runs, seed).items()}
    return [
        {"detector": detector, "setting": setting, "base": base, "start": start, "runs": runs}
        | dict(_figures({change: (world, first[setting]) for change, (world, first) in found.items()}))
        for setting in found[0.0][1]
    ]


def _figures(found: dict[float, tuple[World, First]]) -> Iterator[tuple[str, float]]:
    world, first = found[0.0]
    kept = first[first >= world.start] - world.start
    alarms = int((kept < world.labels.shape[1] - world.start).sum())
    exposed = int(kept.sum())
    yield "false_alarms_per_10k", round(alarms / exposed * 10_000, 3) if exposed else float("nan")
    missed = 0.0
    for change in CHANGES:
        world, first = found[change]
        kept = first[first >= world.start] - world.start
        yield f"delay_{round(change * 100)}", float(np.median(kept)) + 1 if len(kept) else float("nan")
        if change == CHANGES[0]:
            missed = float((kept >= AFTER).mean()) if len(kept) else float("nan")
    yield "missed_5", round(missed, 3)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-drift", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--detector", action="append", choices=DETECTORS, help="this one; may be repeated (default: all)"
    )
    parser.add_argument(
        "--base", action="append", type=_rate, help="error rate before the change (default: .03 .10 .20)"
    )
    parser.add_argument("--runs", type=_count, default=300, help="of each kind (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    began = time.monotonic()
    tasks = [
        (detector, base, start, options.runs, options.seed)
        for detector in options.detector or DETECTORS
        for base in options.base or BASES
        for start in STARTS
    ]
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor() as pool:
        for number, found in enumerate(pool.map(_measure, tasks), 1):
            rows += found
            done = ", ".join(map(str, tasks[number - 1][:3]))
            print(f"{time.monotonic() - began:5.0f} s  {number} of {len(tasks)}: {done}", flush=True)
    conditions = machine() | {"seed": options.seed, "seconds": round(time.monotonic() - began)}
    tell("drift", conditions, rows)
    print(keep("drift", conditions, rows))
    return 0


def _rate(text: str) -> float:
    if not 0 < float(text) <= 1 - max(CHANGES):
        raise argparse.ArgumentTypeError(f"{text} leaves no room for a rise by {max(CHANGES)}; it takes above 0 to .8")
    return float(text)


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return int(text)


def _measure(task: tuple[str, float, str, int, int]) -> list[dict[str, Any]]:
    return measure(*task)


if __name__ == "__main__":
    sys.exit(main())
