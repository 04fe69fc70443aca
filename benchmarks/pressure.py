"""`make bench-pressure`: how long the other topics' events take while one table refuses rows for ten minutes.

make bench-pressure                                 some fourteen minutes
make bench-pressure ARGS="--refuse-s 60 --calm-s 30"

One Kafka, one ClickHouse and one worker with its monitor share the machine; a front before ClickHouse refuses the
inserts into `inferences` (code 252, too many parts) for the second phase. Inferences, feedback and labels come at
a steady rate all the time. lag is from an event's own time until the insert of its row began, of feedback and labels
together. The events are all stored once in the end, or it is an error. Exit status 1 where the median or the 99th
percentile of the refused phase is more than 1.5 times that of the undisturbed one, or where the worker ended or held
more than its bound.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.ingesting.cases import PLAN
from benchmarks.ingesting.events import TASK, Emitter, thumbs
from benchmarks.ingesting.stage import PARTITIONS, WORKER, Process, Stage, raised
from benchmarks.refusing import Front, refusing
from benchmarks.table import keep, machine, tell
from benchmarks.waiting import until
from headrace.contract import ids
from headrace.contract.events import new_feedback
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS, MIB
from headrace.process.readiness import health_file
from streams.pressure import OF_EVENTS, POLL_BYTES

HOME, CACHE = Path("var/bench/pressure-run"), Path("var/cache")
PACKED = 50
EVERY_S = 0.1
WORSE = 1.5
HELD = re.compile(rb'headrace_held_bytes\{topic="headrace.inferences"\} (\S+)')

LAG = """
SELECT count() AS events, uniqExact(feedback_id) AS ids,
    quantile(0.5)(dateDiff('millisecond', occurred_at, ingested_at)) AS p50_ms,
    quantile(0.99)(dateDiff('millisecond', occurred_at, ingested_at)) AS p99_ms
FROM feedback WHERE occurred_at >= {since:DateTime64(3, 'UTC')} AND occurred_at < {until:DateTime64(3, 'UTC')}
"""


class Traffic:
    """Steady events until it is stopped; knows how many it sent."""

    def __init__(self, stage: Stage, rate: int) -> None:
        self._stage, self._rate = stage, rate
        self.inferences = self.feedback = 0
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Send."""
        emitter, places, began = Emitter(), cycle(range(PARTITIONS)), time.monotonic()
        async with self._stage.producer() as producer:
            while not self.stopping.is_set():
                due = (time.monotonic() - began) * self._rate
                while self.inferences < due:
                    await producer.send(INFERENCES.name, next(emitter.records(PACKED, PACKED)), partition=next(places))
                    self.inferences += PACKED
                await producer.send(FEEDBACK.name, thumbs(10), partition=next(places))
                label = new_feedback(ids.uuid7(), "outcome", "label", label="it", task=TASK)
                await producer.send(LABELS.name, label.to_json(), partition=next(places))
                self.feedback += 11
                await asyncio.sleep(EVERY_S)


async def phase(name: str, seconds: float, stage: Stage, worker: Process, front: Front) -> dict[str, Any]:
    """What happened within so many seconds."""
    began, since, refused, held = time.monotonic(), datetime.now(UTC), front.refused, 0.0
    while time.monotonic() - began < seconds:
        await asyncio.sleep(1.0)
        held = max(held, await asyncio.to_thread(_held, stage))
    until_ = datetime.now(UTC)
    await asyncio.sleep(5.0)
    parameters = {"since": since.strftime("%F %T.%f")[:-3], "until": until_.strftime("%F %T.%f")[:-3]}
    (lag,) = await asyncio.to_thread(lambda: stage.warehouse.rows(LAG, **parameters))
    row = {"phase": name, "seconds": round(seconds), **lag}
    row |= {"held_mb": round(held / MIB, 1), "rss_mb": worker.resident_mb(), "refused": front.refused - refused}
    print(row, flush=True)
    return row


async def measure(stage: Stage, worker: Process, front: Front, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows; returns when all events are stored."""
    traffic = Traffic(stage, options.rate)
    sending = asyncio.create_task(traffic.run())
    await asyncio.sleep(10.0)
    rows = [await phase("undisturbed", options.calm_s, stage, worker, front)]
    front.refuses = frozenset({"inferences"})
    rows.append(await phase("inferences refused", options.refuse_s, stage, worker, front))
    front.refuses = frozenset()
    rows.append(await phase("afterwards", options.calm_s, stage, worker, front))
    traffic.stopping.set()
    await sending
    sent = {"inferences": traffic.inferences, "feedback": traffic.feedback}
    await asyncio.to_thread(until, lambda: _stored(stage) == sent, f"{sent}, each once, to be stored", 300.0)
    return rows


def _stored(stage: Stage) -> dict[str, int]:
    """Rows without duplicates of the tables that were filled."""
    return {
        table: int(stage.warehouse.rows(f"SELECT count() AS n FROM {table} FINAL")[0]["n"])
        for table in ("inferences", "feedback")
    }


def _held(stage: Stage) -> float:
    url = health_file(stage.settings.home, WORKER).read_text().strip()
    with urlopen(f"{url}/metrics", timeout=5) as answer:
        found = HELD.search(answer.read())
    return float(found[1]) if found else 0.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-pressure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--refuse-s", type=float, default=600.0, help="how long rows are refused (%(default)s)")
    parser.add_argument("--calm-s", type=float, default=90.0, help="how long before and after it (%(default)s)")
    parser.add_argument("--rate", type=int, default=2000, help="inferences a second (%(default)s)")
    options = parser.parse_args(argv)
    home = HOME.absolute()
    shutil.rmtree(home, ignore_errors=True)
    with raised(home, CACHE.absolute(), PLAN) as stage, refusing(stage.settings.clickhouse) as front:
        behind = replace(stage, settings=stage.settings.replaced(clickhouse=front.url))
        with behind.worker() as worker:
            rows = asyncio.run(measure(stage, worker, front, options))
            ended = worker.popen.poll() is not None
            peak = worker.peak_mb()
    before, during = rows[0], rows[1]
    worse = max(during[name] / max(1.0, before[name]) for name in ("p50_ms", "p99_ms"))
    conditions = machine() | {"inferences_per_s": options.rate, "peak_mb": peak, "lag_ratio": round(worse, 2)}
    tell("pressure", conditions, rows)
    print(keep("pressure", conditions, rows))
    too_much = during["held_mb"] * MIB > OF_EVENTS.high + POLL_BYTES + MIB
    return int(worse > WORSE or ended or too_much)


if __name__ == "__main__":
    sys.exit(main())
