"""`make bench-router`: small intent classifiers on real questions, as this project tunes them and as others do.

make bench-router                                         everything: hours
make bench-router ARGS="--case domains-411 --seed 1"      one case, one seed; each may be repeated
make bench-router ARGS="--case domains-411 --way ours --way probe"

What var/bench/router.json has already is not run again (--again runs it), so that it may be interrupted at any time.
MiniLM for all, one thread. Cases: CLINC150's ten domains with 411 or 2,000 checked rows, and with 411 and 5,000 rows
of a teacher that is right in 96 or 90 of 100 (benchmarks/teacher.py); BANKING77 with ten rows an intent and with all;
CLINC's 150 intents with ten rows each. 274 validation rows calibrate `ours` and choose nothing else but whether
neighbours have a say.

way         ours: method `full` with the plan's defaults, as it is served; lora, distil: likewise; probe, tfidf: the
            baselines
            trainer-lora: transformers.Trainer with PEFT's defaults; trainer-full: all weights, 1e-4, six epochs of 16
            setfit: its published procedure (benchmarks/routing/pairs.py)
accuracy    on the test rows, mean of the seeds; low, high: 95 % Wilson interval of one seed's rows around it
seconds     of one core, training, embedding included; wall_s: as it passed on this machine
p50_ms      one question at a time, in this process
rows_per_s  training rows a second of one core, each as often as it was shown
auroc       questions out of scope against those in scope; ece: calibration error of the test rows
goal        of `ours`; the command ends with 1 where one is missed
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.routing import ours, pairs, plain
from benchmarks.routing.asked import Clock, Made, figures
from benchmarks.routing.cases import CASES
from benchmarks.routing.rows import Rows
from benchmarks.table import RESULTS, keep, machine, tell
from headrace.models.encoder_base import sleep_while_waiting
from headrace.statistics.intervals import wilson

DATA = Path("../shared/data")
SEEDS = (1, 2, 3, 4, 5)
ECE = 0.03
FASTER = 1.5
"""So many times the rows a second of the plain Trainer, at its accuracy at least."""
OURS = "ours"
WAYS: dict[str, Callable[[Rows, int, Path], tuple[Made, Clock]]] = {
    OURS: partial(ours.tuned, method="full"),
    "lora": partial(ours.tuned, method="lora"),
    "distil": partial(ours.tuned, method="distil"),
    "probe": partial(ours.tuned, method="probe"),
    "tfidf": partial(ours.tuned, method="tfidf", base_name="words"),
    "trainer-lora": partial(plain.trained, lora=True),
    "trainer-full": partial(plain.trained, lora=False),
    "setfit": pairs.trained,
}
AVERAGED = ("seconds", "wall_s", "p50_ms", "p95_ms", "rows_per_s", "auroc", "ece")


def run(case: str, way: str, seed: int, data: Path) -> dict[str, Any]:
    """Make one classifier and ask it the test questions."""
    rows = CASES[case][0](data, seed)
    with tempfile.TemporaryDirectory() as folder:
        made, clock = WAYS[way](rows, seed, Path(folder))
        return {"case": case, "way": way, "seed": seed, "tested": len(rows.test[0]), **figures(made, rows, clock)}


def summed(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One a case and way, over its seeds."""
    for case in CASES:
        for way in WAYS:
            of = [row for row in rows if (row["case"], row["way"]) == (case, way)]
            if not of:
                continue
            accuracy, tested = float(np.mean([row["accuracy"] for row in of])), of[0]["tested"]
            low, high = wilson(accuracy * tested, tested)
            means = {
                name: float(np.mean([row[name] for row in of])) if of[0][name] is not None else None
                for name in AVERAGED
            }
            yield {
                "case": case,
                "way": way,
                "seeds": len(of),
                "accuracy": accuracy,
                "low": low,
                "high": high,
                **means,
                "parameters": of[0]["parameters"],
                "goal": CASES[case][1].accuracy if way == OURS else None,
            }


def missed(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Goals that do not hold, in words."""
    found = {(row["case"], row["way"]): row for row in summed(rows)}
    out: list[str] = []
    for (case, way), row in found.items():
        if way != OURS:
            continue
        goal, plainly = CASES[case][1], found.get((case, "trainer-full"))
        if row["accuracy"] < goal.accuracy:
            out.append(f"{case}: accuracy {row['accuracy']:.4f} < {goal.accuracy}")
        if goal.seconds and row["seconds"] > goal.seconds:
            out.append(f"{case}: {row['seconds']:.0f} s > {goal.seconds:.0f} s of one core")
        if goal.auroc and row["auroc"] < goal.auroc:
            out.append(f"{case}: AUROC {row['auroc']:.4f} < {goal.auroc}")
        if row["ece"] > ECE:
            out.append(f"{case}: calibration error {row['ece']:.4f} > {ECE}")
        if plainly and row["accuracy"] < plainly["accuracy"]:
            out.append(f"{case}: the plain Trainer is more accurate, {plainly['accuracy']:.4f}")
        if plainly and row["rows_per_s"] < FASTER * plainly["rows_per_s"]:
            out.append(f"{case}: {row['rows_per_s']:.0f} rows/s < {FASTER} x {plainly['rows_per_s']:.0f}")
    return out


def shown(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The table."""
    digits = {"accuracy": 4, "low": 3, "high": 3, "auroc": 3, "ece": 3}
    return [
        {
            name: f"{value:.{digits[name]}f}" if name in digits and value is not None else value
            for name, value in row.items()
        }
        for row in summed(rows)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-router", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the data sets (default %(default)s)")
    parser.add_argument("--case", action="append", choices=CASES, help="may be repeated (default: all)")
    parser.add_argument("--way", action="append", choices=WAYS, help="may be repeated (default: all)")
    parser.add_argument("--seed", type=int, action="append", help=f"may be repeated (default: {SEEDS})")
    parser.add_argument("--again", action="store_true", help="also what was run before")
    options = parser.parse_args(argv)
    for name in ("clinc150.json", "clinc150_domains.json", "banking77_train.csv", "banking77_test.csv"):
        if not (options.data / name).exists():
            print(f"{options.data} has no {name}; docs/running.md says where anyone gets it", file=sys.stderr)
            return 2
    sleep_while_waiting()
    file = RESULTS / "router.json"
    rows: list[dict[str, Any]] = json.loads(file.read_text())["rows"] if file.exists() else []
    wanted = [
        (case, way, seed)
        for seed in options.seed or SEEDS
        for case in options.case or CASES
        for way in options.way or WAYS
    ]
    if options.again:
        rows = [row for row in rows if (row["case"], row["way"], row["seed"]) not in wanted]
    conditions = machine() | {"threads": 1}
    for one in wanted:
        if any((row["case"], row["way"], row["seed"]) == one for row in rows):
            continue
        row = run(*one, options.data)
        # Another process may have added to the file meanwhile.
        rows = (json.loads(file.read_text())["rows"] if file.exists() else []) if not options.again else rows
        rows.append(row)
        keep("router", conditions, rows)
        print(*one, f"{row['accuracy']:.4f} in {row['seconds']:.0f} s of one core", flush=True)
    tell("router", conditions, shown(rows))
    print(file)
    for sentence in missed(rows):
        print(f"missed: {sentence}", file=sys.stderr)
    return bool(missed(rows))


if __name__ == "__main__":
    sys.exit(main())
