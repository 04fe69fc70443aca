"""`make bench-ingest`: events a second from Kafka, or from HTTP, into ClickHouse, beside the loops it is compared with.

make bench-ingest                                   all cases, about five minutes
make bench-ingest ARGS="--case headrace-50 --case plain-50 --scale 0.5"

One Kafka, one ClickHouse, one worker process (with its monitor, window refresh and resolver) and this process share the
machine. Records are in Kafka before a case begins, except where said; the rate is that between the first rows that a
query finds and the last, so a process's start is left out. rss_mb is the most memory that the measured process had.

plain-50            aiokafka + pydantic + one insert a batch, 50 events a record; see ingesting/loops.py
faust-empty-1       a Faust agent that does nothing, one event a record
headrace-N          the worker, N events a record, feedback beside them
…-short             the same with events of about 320 bytes
collector-100       POST /v1/events in batches of 100 to the gateway, until answered, while the worker stores them
cpu_us              processor time of the measured process for an event; servers_cpu_us that of Kafka and ClickHouse
visible_p99_s       from the call that emits an event until a query finds it, 99th percentile, at 20,000 events a second
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ingesting import cases
from benchmarks.ingesting.stage import Stage, raised
from benchmarks.options import options
from benchmarks.table import keep, machine, tell

HOME, CACHE = Path("var/bench/ingest"), Path("var/cache")
PACED = 20_000

# case: how to run it, and with how many events
CASES: dict[str, tuple[Callable[..., dict[str, Any]], int, dict[str, Any]]] = {
    "plain-50": (cases.plain, 400_000, {"packed": 50}),
    "plain-50-short": (cases.plain, 600_000, {"packed": 50, "short": True}),
    "faust-empty-1": (cases.faust_empty, 100_000, {}),
    "headrace-1": (cases.headrace, 100_000, {"packed": 1}),
    "headrace-10": (cases.headrace, 300_000, {"packed": 10}),
    "headrace-50": (cases.headrace, 500_000, {"packed": 50, "paced": PACED}),
    "headrace-200": (cases.headrace, 500_000, {"packed": 200}),
    "headrace-50-short": (cases.headrace, 800_000, {"packed": 50, "short": True, "paced": PACED}),
    "collector-100": (cases.collector, 300_000, {"batch": 100}),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 1 where events are missing, doubled or dead-lettered."""
    given = options("ingest", __doc__, CASES, "events", HOME).parse_args(argv)
    home = given.home.absolute()
    shutil.rmtree(home, ignore_errors=True)
    rows: list[dict[str, Any]] = []
    began = time.monotonic()
    with raised(home, CACHE.absolute(), cases.PLAN) as stage:
        for name in given.case or CASES:
            rows.append(_run(stage, name, given.scale))
            print(f"{time.monotonic() - began:6.0f} s  {rows[-1]}", flush=True)
    conditions = machine() | {
        "bytes": cases.sizes(),
        "paced_events_per_s": PACED,
        "scale": given.scale,
        "seconds": round(time.monotonic() - began),
    }
    tell("ingest", conditions, rows)
    print(keep("ingest", conditions, rows, home.parent))
    return int(any(row["wrong"] for row in rows))


def _run(stage: Stage, name: str, scale: float) -> dict[str, Any]:
    run, events, how = CASES[name]
    events = int(events * scale) // 1000 * 1000
    found = run(stage, name, events, **how)
    columns = ("case", "events", "events_per_s", "visible_p99_s", "rss_mb", "cpu_us", "servers_cpu_us", "wrong")
    return {column: ({"case": name, "events": events, "wrong": 0} | found).get(column) for column in columns}


if __name__ == "__main__":
    sys.exit(main())
