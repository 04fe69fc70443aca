"""`make chaos`: 70 faults and more of 30 kinds over a million events: a table, and var/bench/chaos.json.

make chaos                              all of it, about twenty minutes
make chaos ARGS="--only 'broker killed' --only poison --times 1"
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.load import Load
from benchmarks.chaos.round import Outcome, play
from benchmarks.chaos.stage import raised
from headrace.warehouse import Warehouse

HOME = Path("var/chaos")
RESULT = Path("var/bench/chaos.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 1 where an event is missing or stands twice, or where a fault's own check fails."""
    options = _parser().parse_args(argv)
    unknown = set(options.only) - set(FAULTS)
    if unknown:
        print(f"there is no fault {sorted(unknown)[0]!r}; there are: {', '.join(FAULTS)}", file=sys.stderr)
        return 2
    kinds = {name: options.times or FAULTS[name][1] for name in options.only or FAULTS}
    order = [name for name, times in kinds.items() for _ in range(times)]
    random.Random(options.seed).shuffle(order)
    home = HOME.absolute()
    shutil.rmtree(home, ignore_errors=True)
    console, began = Console(), time.monotonic()
    outcomes: dict[str, list[Outcome]] = {name: [] for name in kinds}
    with raised(home, home.parent / "cache") as stage, Load(stage.settings, options.rate).running() as load:
        for number, name in enumerate(order, 1):
            outcome = play(FAULTS[name][0], stage, load, f"chaos-{number}.")
            outcomes[name].append(outcome)
            console.print(
                f"{time.monotonic() - began:6.0f} s  {number:3} of {len(order)}  {name}: {outcome.events:,} events, "
                f"missing {outcome.missing}, duplicated {outcome.duplicated}, recovered in {outcome.recover_s:.1f} s"
            )
            for sentence in outcome.untrue:
                console.print(f"         {name}: {sentence}", markup=False)
        reconciled = Warehouse.connect(stage.settings).query("cli/reconcile")
    conditions = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "events_per_s": options.rate,
        "seed": options.seed,
        "seconds": round(time.monotonic() - began),
    }
    rows = [_row(name, found) for name, found in outcomes.items()]
    rows.append(_row("all", [outcome for found in outcomes.values() for outcome in found]))
    _tell(console, conditions, rows)
    console.print("headrace reconcile:", *(dict(row) for row in reconciled))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"conditions": conditions, "rows": rows, "reconcile": reconciled}, indent=1) + "\n")
    return int(any(rows[-1][name] for name in ("missing", "duplicated", "untrue")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], metavar="FAULT", help="this kind; may be repeated")
    parser.add_argument("--times", type=int, default=0, help="how many of each kind (default: as the table says)")
    parser.add_argument("--rate", type=float, default=2500.0, help="events a second (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the order of the faults (default %(default)s)")
    return parser


def _row(name: str, found: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "fault": name,
        "times": len(found),
        "events": sum(outcome.events for outcome in found),
        "missing": sum(outcome.missing for outcome in found),
        "duplicated": sum(outcome.duplicated for outcome in found),
        "untrue": sum(len(outcome.untrue) for outcome in found),
        "recover_s": round(max(outcome.recover_s for outcome in found), 1),
    }


def _tell(console: Console, conditions: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    console.print(" · ".join(f"{name} {value}" for name, value in conditions.items()))
    table = Table("fault", *("times", "events", "missing", "duplicated", "untrue", "recover_s, worst"))
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
