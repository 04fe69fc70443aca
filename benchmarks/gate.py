"""`make bench-gate`: how often the gate promotes what it should, and what it should not, on simulated test rows.

make bench-gate                            some ten minutes on two cores
make bench-gate ARGS="--trials 1000"

Two versions disagree on .07 of the rows in being right, the design effect is 1.3 (benchmarks/gating/worlds.py), and the
plan has its defaults. A candidate may be looked at after every row: its test is valid at any number of them, so the one
look at the end of a trial counts a proof that was there at any time before.

share      of the trials in which it happened; low, high: 95 % Wilson interval
goal       what the share must not exceed, or must reach

Exits with 1 where a goal is missed. var/bench/gate.json has the same rows.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.gating import worlds
from benchmarks.gating.cases import CASES, GATE
from benchmarks.table import keep, machine, tell
from headrace.statistics.intervals import wilson

TRIALS = 10_000
CHUNKS = 16


def happened(case: int, trials: int, seed: int) -> int:
    """In how many trials of a case."""
    random = np.random.default_rng([seed, case])
    return sum(CASES[case].trial(random) for _ in range(trials))


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        prog="make bench-gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each case (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    began = time.monotonic()
    each = -(-options.trials // CHUNKS)
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor() as pool:
        for number, case in enumerate(CASES):
            seeds = range(options.seed * CHUNKS, (options.seed + 1) * CHUNKS)
            counts = list(pool.map(happened, [number] * CHUNKS, [each] * CHUNKS, seeds))
            trials = each * CHUNKS
            low, high = wilson(sum(counts), trials)
            share = sum(counts) / trials
            rows.append(
                {"case": case.name, "trials": trials, "share": round(share, 4), "low": round(low, 4),
                 "high": round(high, 4), "goal": case.asked, "met": case.met(share)}
            )  # fmt: skip
            print(f"{time.monotonic() - began:5.0f} s  {case.name}: {share:.4f}", flush=True)
    conditions = machine() | {
        "alpha": GATE.alpha, "margin_alpha": GATE.margin_alpha, "margin": GATE.margin,
        "discordant": worlds.DISCORDANT, "design effect": worlds.DESIGN_EFFECT, "seed": options.seed,
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    tell(
        "gate", conditions, [{**row, **{name: f"{row[name]:.4f}" for name in ("share", "low", "high")}} for row in rows]
    )
    print(keep("gate", conditions, rows))
    return int(not all(row["met"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
