"""`make bench-drift`: how fast and how falsely headrace's hard trigger and others find that answers got worse.

make bench-drift                                    every detector, some nine minutes on two cores
make bench-drift ARGS="--base 0.1 --detector shiryaev-roberts --runs 1000"

Every detector sees the same streams of labels (true: the answer was wrong) and the same 1,000 labelled reference rows,
and none the true rate; river's, which take a label at a time, see the first 300 runs of a thousand. `fresh`: the stream
begins with the change; `run-in`: 2,000 labels without a change come before it, and runs that alarm in those are left
out. The rate then rises by 5, 10 or 20 points.

false_alarms_per_10k   alarms in unchanged labels over the labels until then (a run ends with its first alarm)
delay_5, _10, _20      labels from the change to the alarm, median over runs, missed ones counted as late
missed_5               share of runs without an alarm 4,000 labels after a rise by 5 points

A second table has the fastest other detector at the same rate of false alarms. The last rows are of a world that never
changes while experts review twice as many of the answers that users were unhappy with: the hard trigger, which reads
the base audit alone, and the same statistic over all labels.

ADWIN, PageHinkley, KSWIN, DDM and HDDM are river's, with its defaults or as `setting` says; CUSUM and the two-window
test are vectorised here. Settings of one detector differ in its threshold, so that detectors can be compared at the
same rate of false alarms.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from river import drift
from river.drift import binary

from benchmarks.drifting import detectors, reviews
from benchmarks.drifting.compare import compare
from benchmarks.drifting.detectors import First
from benchmarks.drifting.worlds import AFTER, CHANGES, QUIET_RUNS, World, worlds
from benchmarks.table import keep, machine, tell

BASES = (0.03, 0.10, 0.20)
STARTS = ("fresh", "run-in")
# Each gives the places of first alarms, by setting and world.
Measure = Callable[[Mapping[float, World]], dict[str, dict[float, First]]]


def _named(form: str, measure: Callable[[World], dict[float, First]]) -> Measure:
    def named(streams: Mapping[float, World]) -> dict[str, dict[float, First]]:
        found = {change: measure(world) for change, world in streams.items()}
        return {form.format(a): {change: first[a] for change, first in found.items()} for a in found[0.0]}

    return named


def _river(**settings: Callable[[], object]) -> Measure:
    return lambda streams: {setting: detectors.one_by_one(streams, make) for setting, make in settings.items()}


THRESHOLDS = [3e3, 1e4, 2e4, 3e4, 5e4, 8e4, 1.2e5, 3e5]
VECTORISED: dict[str, Measure] = {
    "shiryaev-roberts": _named("A={:g}", partial(detectors.shiryaev_roberts, thresholds=THRESHOLDS)),
    "cusum +5": _named("h={:g}", partial(detectors.cusum, change=0.05, thresholds=[4.0, 5.0, 6.0, 7.0, 8.0])),
    "cusum +10": _named("h={:g}", partial(detectors.cusum, change=0.10, thresholds=[5.0, 6.0, 6.5, 7.0, 7.5, 8.0])),
    "cusum +20": _named("h={:g}", partial(detectors.cusum, change=0.20, thresholds=[6.0, 7.0, 7.5, 8.0, 8.5, 9.0])),
    "two windows of 100": _named("z={:g}", partial(detectors.two_windows, size=100, thresholds=[3.5, 4.0, 4.5, 5.0])),
    "two windows of 300": _named("z={:g}", partial(detectors.two_windows, size=300, thresholds=[3.0, 3.5, 4.0, 4.5])),
}
# They take a label of a run at a time, so they see the first FEWER runs only.
RIVERS: dict[str, Measure] = {
    "adwin": _river(default=drift.ADWIN),
    "page-hinkley": _river(default=drift.PageHinkley),
    "page-hinkley tuned": _river(
        **{
            "threshold=10, delta=.025": partial(drift.PageHinkley, threshold=10, delta=0.025),
            "threshold=20, delta=.02": partial(drift.PageHinkley, threshold=20, delta=0.02),
        }
    ),
    "kswin": _river(default=detectors.kswin),
    "ddm": _river(default=binary.DDM),
    "hddm_a": _river(default=binary.HDDMA),
    "hddm_w": _river(default=binary.HDDMW),
}
DETECTORS = VECTORISED | RIVERS
SLOW = ("kswin", "hddm_a", "hddm_w")
FEWER = 300


def measure(detector: str, base: float, start: str, runs: int, seed: int) -> list[dict[str, Any]]:
    """The rows of a detector in one kind of world, one a setting."""
    streams = worlds(base, start, runs, seed)
    if detector in RIVERS:
        runs = min(runs, FEWER)
        streams = {
            change: world.first(runs * (1 if change else QUIET_RUNS[start])) for change, world in streams.items()
        }
    return [
        {"detector": detector, "setting": setting, "base": base, "start": start, "runs": runs}
        | dict(_figures({change: (world, first[change]) for change, world in streams.items()}))
        for setting, first in DETECTORS[detector](streams).items()
    ]


def measure_reviews(base: float, runs: int, seed: int) -> list[dict[str, Any]]:
    """The rows of an unchanged world with the usual number of targeted reviews, and with twice as many."""
    rows = []
    for often, share in (("usual", reviews.USUAL), ("twice as many", reviews.TWICE)):
        audits, everything = reviews.worlds(base, share, runs, seed)
        for name, world in (("shiryaev-roberts", audits), ("shiryaev-roberts over reviews too", everything)):
            for threshold, first in detectors.shiryaev_roberts(world, [3e4, 8e4]).items():
                kept = first[first >= world.start] - world.start
                rows.append(
                    {
                        "detector": f"{name}, {often} reviews",
                        "setting": f"A={threshold:g}",
                        "base": base,
                        "start": "run-in",
                        "runs": runs,
                        "false_alarms_per_10k": _false_alarms(world, first),
                        "median_labels_to_alarm": float(np.median(kept)) + 1 if len(kept) else None,
                    }
                )
    return rows


def _figures(found: dict[float, tuple[World, First]]) -> Iterator[tuple[str, float]]:
    yield "false_alarms_per_10k", _false_alarms(*found[0.0])
    missed = 0.0
    for change in CHANGES:
        world, first = found[change]
        kept = first[first >= world.start] - world.start
        yield f"delay_{round(change * 100)}", float(np.median(kept)) + 1 if len(kept) else float("nan")
        if change == CHANGES[0]:
            missed = float((kept >= AFTER).mean()) if len(kept) else float("nan")
    yield "missed_5", round(missed, 3)


def _false_alarms(world: World, first: First) -> float:
    """Per 10,000 labels without a change."""
    kept = first[first >= world.start] - world.start
    alarms, exposed = int((kept < world.labels.shape[1] - world.start).sum()), int(kept.sum())
    return round(alarms / exposed * 10_000, 3) if exposed else float("nan")


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
    parser.add_argument(
        "--runs", type=_count, default=1000, help=f"of each kind, at most {FEWER} for river's (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    began = time.monotonic()
    bases = options.base or BASES
    tasks = [
        (detector, base, start, options.runs, options.seed)
        # The slowest first, so that both cores are busy to the end.
        for detector in sorted(options.detector or DETECTORS, key=lambda name: name not in SLOW)
        for base in bases
        for start in reversed(STARTS)
    ]
    with ProcessPoolExecutor() as pool:
        unchanged = [pool.submit(measure_reviews, base, options.runs, options.seed) for base in bases]
        found = []
        for number, rows in enumerate(pool.map(_measure, tasks), 1):
            found += rows
            done = ", ".join(map(str, tasks[number - 1][:3]))
            print(f"{time.monotonic() - began:5.0f} s  {number} of {len(tasks)}: {done}", flush=True)
        targeted = [row for future in unchanged for row in future.result()]
    order = {name: place for place, name in enumerate(DETECTORS)}
    rows = sorted(found, key=lambda row: (row["base"], row["start"], order[row["detector"]]))
    conditions = machine() | {"seed": options.seed, "seconds": round(time.monotonic() - began)}
    tell("drift", conditions, rows)
    tell("the fastest other at the same rate of false alarms", conditions, list(compare(rows)))
    tell("unchanged, with targeted reviews", conditions, targeted)
    print(keep("drift", conditions, rows + targeted))
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
