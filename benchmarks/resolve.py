"""What it costs to resolve feedback by its references, as the history and what waits grow: `make bench-resolve`.

Each case is one step of the resolver (streams/resolver.py) on the real tables, with so many answers in the warehouse
(100 a second up to now, five a session) and so much feedback that waits for answers that never come.
Options: --answers 1000000 10000000 …, --waiting 0 1000000.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.table import keep, machine, tell
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.resolver import Resolver

BLOCK = 1_000_000
ARRIVALS = 100_000

FILL = """
INSERT INTO inferences (inference_id, occurred_at, tenant, task, version, arm, session_id, span_id, trace_id,
                        response_id, label, ingested_at)
SELECT dateTimeToUUIDv7(toDateTime(intDiv(ms, 1000), 'UTC')), fromUnixTimestamp64Milli(ms, 'UTC'), 'default', 'router',
       'router@1', 'live', concat('s', toString(intDiv(number, 5))), lower(hex(cityHash64(number, 1))),
       lower(hex(cityHash64(number, 2))), concat('chatcmpl-', hex(cityHash64(number, 3))), 'it',
       now64(3) - INTERVAL 1 DAY
FROM (SELECT {first:UInt64} + n AS number,
             toUnixTimestamp64Milli(now64(3)) - toInt64({all:UInt64} - {first:UInt64} - n) * 10 AS ms
      FROM (SELECT number AS n FROM numbers({rows:UInt64})))
"""
WAITING = """
INSERT INTO feedback_waiting (feedback_id, tenant, occurred_at, session_id, step, state)
SELECT generateUUIDv7(number), 'default', now64(6), concat('lost', toString(number)), 1, 'waiting'
FROM numbers({rows:UInt64})
"""
ARRIVE = """
INSERT INTO inferences (inference_id, occurred_at, tenant, task, version, arm, session_id)
SELECT generateUUIDv7(number), now64(6), 'default', 'router', 'router@1', 'live', concat('fresh', toString(number))
FROM numbers({rows:UInt64})
"""
SAY = """
INSERT INTO feedback (feedback_id, occurred_at, tenant, source, signal, COLUMN)
SELECT generateUUIDv7(number), now64(6), 'default', 'user', 'thumb', VALUE FROM numbers({rows:UInt64})
"""
# number of feedback rows, and the answer that each is about, counted from the newest or spread over all of them
SESSION = ("session_id", "concat('s', toString(intDiv({all:UInt64} - 50 - number * 7, 5)))")
RESPONSE = ("response_id", "concat('chatcmpl-', hex(cityHash64(number * intDiv({all:UInt64}, {rows:UInt64} + 1), 3)))")
CASES: tuple[tuple[str, int, tuple[str, str]], ...] = (
    ("10 by a recent session", 10, SESSION),
    ("1,000 by a recent session", 1_000, SESSION),
    ("10 by a response of any age", 10, RESPONSE),
    ("1,000 by a response of any age", 1_000, RESPONSE),
    ("20,000 by a response of any age", 20_000, RESPONSE),
)


def measured(answers: int, waiting: int) -> list[dict[str, Any]]:
    """A row a case."""
    with tempfile.TemporaryDirectory() as folder, ClickHouseServer(Path(folder)) as server:
        warehouse = Warehouse.connect(Settings(home=Path(folder), clickhouse=server.url))
        warehouse.prepare()
        for first in range(0, answers, BLOCK):
            warehouse.command(FILL, first=first, rows=min(BLOCK, answers - first), all=answers)
        warehouse.command(WAITING, rows=waiting)
        resolver = Resolver(warehouse)
        resolver.step()
        rows = []

        def step(case: str) -> None:
            started = time.perf_counter()
            resolved = resolver.step()
            seconds = time.perf_counter() - started
            rows.append(
                {
                    "case": case,
                    "answers": answers,
                    "waiting": waiting,
                    "seconds": round(seconds, 3),
                    "resolved": resolved,
                }
            )

        step("nothing new")
        for case, number, (column, value) in CASES:
            warehouse.command(SAY.replace("COLUMN", column).replace("VALUE", value), rows=number, all=answers)
            step(case)
        warehouse.command(ARRIVE, rows=ARRIVALS)
        step(f"{ARRIVALS:,} new answers, none meant")
        warehouse.close()
        return rows


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.resolve", description=__doc__)
    parser.add_argument("--answers", type=int, nargs="+", default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--waiting", type=int, nargs="+", default=[0, 1_000_000])
    options = parser.parse_args(argv)
    conditions = machine() | {"answers_per_s": 100, "answers_per_session": 5}
    rows = [row for answers in options.answers for waiting in options.waiting for row in measured(answers, waiting)]
    tell("One step of the resolver", conditions, rows)
    print(keep("resolve", conditions, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
