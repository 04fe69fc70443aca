"""`make bench-memory`: a worker's memory over ten minutes of traffic and a million feedbacks whose answers never come.

make bench-memory                                   ten minutes and some
make bench-memory ARGS="--minutes 2 --parked 100000"

One Kafka, one ClickHouse and one worker with its monitor, resolver and housekeeping (a pass a minute) share the
machine. Inferences come at a steady rate, feedback beside them such that all of it is parked when the time is up. Each
minute is a row of var/bench/memory.json: the worker's resident memory now and at most, and what is stored by then.
Exit status 1 where the last minute's memory is more than a tenth above the third's, or an event is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.ingesting import cases
from benchmarks.ingesting.events import Emitter, thumbs
from benchmarks.ingesting.stage import PARTITIONS, Process, Stage, raised
from benchmarks.table import keep, machine, tell
from benchmarks.waiting import until
from headrace.contract.topics import FEEDBACK, INFERENCES

HOME, CACHE = Path("var/bench/memory-run"), Path("var/cache")
PACKED = 50
WARM_MINUTES = 3
GROWTH = 1.1


async def emit(stage: Stage, minutes: float, rate: int, parked: int) -> int:
    """Send inferences at `rate` a second and `parked` feedbacks meanwhile; returns how many inferences."""
    emitter, began, sent, said = Emitter(), time.monotonic(), 0, 0
    partitions = cycle(range(PARTITIONS))
    whole = int(rate * minutes * 60) // PACKED * PACKED
    async with stage.producer() as producer:
        while sent < whole or said < parked:
            share = min(1.0, (time.monotonic() - began) / (minutes * 60))
            while sent < whole * share:
                await producer.send(INFERENCES.name, next(emitter.records(PACKED, PACKED)), partition=next(partitions))
                sent += PACKED
            while said < parked * share:
                await producer.send(FEEDBACK.name, thumbs(PACKED), partition=next(partitions))
                said += PACKED
            await asyncio.sleep(0.05)
    return sent


def watched(stage: Stage, worker: Process, sending: asyncio.Task[int]) -> Iterator[dict[str, Any]]:
    """A row a minute, while events are sent."""
    began = time.monotonic()
    minute = 0
    while not sending.done():
        minute += 1
        while not sending.done() and time.monotonic() - began < minute * 60:
            time.sleep(0.1)
        yield look(stage, worker, minute)


def look(stage: Stage, worker: Process, minute: int) -> dict[str, Any]:
    """What there is now."""
    feedback = stage.warehouse.rows("SELECT count() AS n FROM feedback")[0]["n"]
    resident, most = worker.resident_mb(), worker.peak_mb()
    row = {"minute": minute, "rss_mb": resident, "peak_mb": most, "stored": stage.stored(), "feedback": feedback}
    print(row, flush=True)
    return row


async def measure(stage: Stage, worker: Process, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows; returns when everything that was sent is stored."""
    sending = asyncio.create_task(emit(stage, options.minutes, options.rate, options.parked))
    rows, minutes = [], watched(stage, worker, sending)
    while (row := await asyncio.to_thread(next, minutes, None)) is not None:
        rows.append(row)
    sent = await sending
    await asyncio.to_thread(until, lambda: stage.stored() >= sent, "the inferences to be stored", 120.0)
    rows.append(await asyncio.to_thread(look, stage, worker, len(rows) + 1))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long events are sent (default %(default)s)")
    parser.add_argument("--rate", type=int, default=5000, help="inferences a second (default %(default)s)")
    parser.add_argument("--parked", type=int, default=1_000_000, help="feedbacks without an answer (%(default)s)")
    options = parser.parse_args(argv)
    if options.minutes <= 0:
        parser.error("--minutes is a time above 0")
    home = HOME.absolute()
    shutil.rmtree(home, ignore_errors=True)
    with raised(home, CACHE.absolute(), cases.PLAN) as stage, stage.worker("--housekeeping-s", "60") as worker:
        rows = asyncio.run(measure(stage, worker, options))
        until(lambda: _parked(stage) >= options.parked, "the feedback to be parked", 180.0, every_s=2.0)
        (kept,) = stage.warehouse.rows("SELECT uniqExact(feedback_id) AS n FROM feedback")
    grown = rows[-1]["rss_mb"] / rows[min(WARM_MINUTES, len(rows)) - 1]["rss_mb"]
    conditions = machine() | {
        "inferences_per_s": options.rate,
        "parked": kept["n"],
        "grown_since_minute_3": round(grown, 3),
    }
    tell("memory", conditions, rows)
    print(keep("memory", conditions, rows))
    return int(grown > GROWTH or kept["n"] != options.parked)


def _parked(stage: Stage) -> int:
    return int(stage.warehouse.rows("SELECT count() AS n FROM parked_now")[0]["n"])


if __name__ == "__main__":
    sys.exit(main())
