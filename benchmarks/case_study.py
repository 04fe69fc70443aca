"""`make case-study`: the case study's way from feedback to a small model, on real questions, and this project's gate.

make case-study                                    five seeds: hours on two cores
make case-study ARGS="--seed 1"                    one seed; may be repeated
make case-study ARGS="--seed 1 --candidate words"  one candidate; may be repeated
make case-study ARGS="--causal"                    SmolLM2-135M by few-shot and LoRA too: hours more on a CPU

What var/bench/case_study.json has already is not run again (--again runs it), so that it may be interrupted at any
time. Incumbents are kept in var/case_study.

CLINC150's ten domains. The incumbent is really trained, on 2,000 rows of one half of the training split, and is in the
place of the case study's router of 70 billion parameters. It answers the other half until 1,224 answers have feedback;
users, judge and experts are simulated (simulation/complaints.py). Of the 685 rows of ground truth 411 train and 274
test. `+teacher` trains besides on up to 5,000 of the incumbent's answers that nobody said anything about. 274
validation rows calibrate; no setting is chosen on rows that test.

274 rows       accuracy on the ground truth's test rows, mean of the seeds, with the 95 % Wilson interval of one seed
independent    the same on 3,500 questions of the test split, which nobody gave feedback to
published      seeds in which it is at most two points below the incumbent on the 274 rows, as the case study's were
gate           this project's verdict on the same 274 rows, with the plan's defaults, as an attempt's first candidate
gate at 1,000  its verdict on as many blind audits, drawn uniformly from the rest of the test split
truly          seeds in which it is within the gate's margin of the incumbent on the independent questions
parameters     of the whole model; mb: of the weights that a server loads, 1e6 bytes
p50_ms         one question at a time in this process on one thread, as it passed on this machine
N a day        US dollars a day for N requests: whole machines of one core, always on, by the seconds of a core that a
               request takes; the incumbent by the token; `arithmetic`: nothing was measured (studying/costs.py)

Exits with 1 where a goal is missed (studying/tables.py): the numbers of the funnel, an incumbent near 96 %, no
candidate that the gate lets pass and that is worse by more than the margin, and a smallest candidate that holds in
every seed, 70 times smaller and faster than the incumbent and 98 % cheaper at ten million requests a day.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.studying import costs, tables
from benchmarks.studying.candidates import CANDIDATES, CAUSAL, measured
from benchmarks.studying.incumbent import incumbent
from benchmarks.studying.rows import Study, study
from benchmarks.studying.split import world
from benchmarks.studying.tables import INCUMBENT
from benchmarks.studying.verdicts import SLACK, TRAFFIC
from benchmarks.table import RESULTS, keep, machine, tell
from headrace.models.encoder_base import sleep_while_waiting

DATA = Path("../shared/data")
SEEDS = (1, 2, 3, 4, 5)
FILE = "case_study"


@cache
def studied(data: Path, seed: int) -> Study:
    """A seed's world, its incumbent and its rows."""
    of = world(data, seed)
    return study(of, incumbent(of, seed), seed)


def of_incumbent(found: Study) -> dict[str, Any]:
    """The incumbent's row: its accuracy, and what the feedback on its answers gave."""
    places, said = found.test
    test = float((found.incumbent.said[places] == said).mean())
    return {
        "test_n": len(places),
        "test_accuracy": test,
        "true_n": len(found.world.test),
        "true_accuracy": found.incumbent.accuracy(found.world, found.world.test),
        "traffic_accuracy": found.incumbent.accuracy(found.world, found.world.traffic),
        "funnel": found.counts,
        "train_s": found.incumbent.seconds,
    }


def run(name: str, seed: int, data: Path) -> dict[str, Any]:
    """One row."""
    found = studied(data, seed)
    figures = of_incumbent(found) if name == INCUMBENT else measured(name, found)
    return {"candidate": name, "seed": seed, **figures}


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    every = CANDIDATES | CAUSAL
    parser = argparse.ArgumentParser(
        prog="make case-study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder with CLINC150 (default %(default)s)")
    parser.add_argument("--seed", type=int, action="append", help=f"may be repeated (default: {SEEDS})")
    parser.add_argument(
        "--candidate", action="append", choices=every, help="may be repeated (default: all but smollm2)"
    )
    parser.add_argument("--causal", action="store_true", help="SmolLM2-135M too")
    parser.add_argument("--again", action="store_true", help="also what was run before, but for the incumbents")
    options = parser.parse_args(argv)
    for name in ("clinc150.json", "clinc150_domains.json"):
        if not (options.data / name).exists():
            print(f"{options.data} has no {name}; docs/running.md says where anyone gets it", file=sys.stderr)
            return 2
    sleep_while_waiting()
    names = options.candidate or [*CANDIDATES, *(CAUSAL if options.causal else ())]
    wanted = [(name, seed) for seed in options.seed or SEEDS for name in (INCUMBENT, *names)]
    file = RESULTS / f"{FILE}.json"
    rows: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["rows"] if file.exists() else []
    if options.again:
        rows = [row for row in rows if (row["candidate"], row["seed"]) not in wanted]
    conditions = machine() | {"threads": 1}
    for name, seed in wanted:
        if any((row["candidate"], row["seed"]) == (name, seed) for row in rows):
            continue
        rows.append(run(name, seed, options.data))
        true = rows[-1]["true_accuracy"]
        rows.sort(key=lambda row: (row["seed"], [INCUMBENT, *every].index(row["candidate"])))
        keep(FILE, conditions | costs.conditions(), rows)
        print(f"seed {seed}  {name}: {true:.4f} on the independent test", flush=True)
    tell("funnel", conditions, tables.funnels(rows))
    tell("accuracy", {"published: points below the incumbent": 100 * SLACK}, tables.accuracies(rows))
    tell("costs, US dollars a day", costs.conditions() | {"the gate's traffic": f"{TRAFFIC:,}"}, tables.prices(rows))
    for way, name in tables.smallest(rows).items():
        print(f"the smallest that holds by {way}: {name or 'none'}")
    print(file)
    for sentence in tables.missed(rows):
        print(f"missed: {sentence}", file=sys.stderr)
    return bool(tables.missed(rows))


if __name__ == "__main__":
    sys.exit(main())
