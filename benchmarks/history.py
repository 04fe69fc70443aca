"""What a look costs as history grows: `make bench-history`, ARGS="--rows 1000000 100000000" for the largest.

History is generated inside ClickHouse: inferences at a steady rate, feedback on every tenth (one in a hundred of it on
answers that never come, until it expires), an emitter's counters; a pass of housekeeping settles each chunk of it. The
smallest history is longer than the day that looks reach back. Then a batch arrives, and each look runs as the parts
run it: the join of feedback that just arrived, the refresh of the current windows, `headrace reconcile`, a pass of
housekeeping; and, to compare, what reads all of history. The figures are ClickHouse's own: rows and bytes read.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.table import keep, machine, tell
from headrace import ids
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.plan import CandidateSpec, Incumbent, Privacy, Task, Windows
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams import figures
from streams.housekeeping import Housekeeping
from streams.queries import clickhouse_time

RATE_PER_HOUR = 36_000
BATCH = 10_000
CHUNK = 5_000_000
# What reads all of history takes minutes for a hundred million rows.
MOST_AT_ONCE = 20_000_000
REPEATS = 3
ROUTER = Task(
    labels=("hr", "it", "finance"),
    incumbent=Incumbent(url="http://127.0.0.1:9/v1", model="big"),
    windows=Windows(size_s=600, rolling=6, lateness_s=0),
    candidates={"probe": CandidateSpec(method="probe")},
)
# SQL: a version 7 id of the time `millis` and the number `n`. Ids of feedback differ from those of inferences by a bit.
ID = (
    "toUUID(hex(bitOr(bitShiftLeft(toUInt128({millis}), 80),"
    " bitOr(toUInt128('{fixed}'), toUInt128(sipHash64({n}) % 1000000000000000)))))"
)
FIXED = (7 << 76) | (2 << 62)
FEEDBACK_FIXED = FIXED | (1 << 64)


@dataclasses.dataclass(frozen=True)
class History:
    """rows inferences, ending at `now`."""

    rows: int
    now: datetime

    def millis(self, n: str) -> str:
        """SQL: the time of inference n."""
        start = ids.millis(self.now) - self.rows * 3_600_000 // RATE_PER_HOUR
        return f"toUInt64({start} + intDiv({n} * 3600000, {RATE_PER_HOUR}))"


def inferences(history: History, first: int, rows: int, ingested: str) -> str:
    """SQL that writes inferences `first` up to `first + rows`."""
    millis = history.millis("number")
    return f"""
        INSERT INTO inferences (inference_id, occurred_at, tenant, task, version, arm, session_id, input, label,
                                audited, audit_probability, latency_ms, emitter, kafka_topic, kafka_offset, ingested_at)
        SELECT {ID.format(millis=millis, fixed=FIXED, n="number")}, fromUnixTimestamp64Milli({millis}, 'UTC'),
               'default', 'router', 'router@1', 'live', toString(intDiv(number, 4)), 'how do I?',
               ['hr', 'it', 'finance'][number % 3 + 1], number % 20 = 0, 0.05, 20, 'bench.1', 'headrace.inferences',
               number, {ingested}
        FROM numbers({first}, {rows})"""


def feedback(history: History, first: int, rows: int, ingested: str) -> str:
    """SQL that writes feedback on every tenth inference; one in a hundred of it names an answer that never comes."""
    about = "if(number % 1000 = 0, 1000000000000 + number, number)"
    millis = history.millis("number")
    return f"""
        INSERT INTO feedback (feedback_id, inference_id, occurred_at, tenant, task, source, signal, value, label,
                              emitter, kafka_topic, kafka_offset, ingested_at)
        SELECT {ID.format(millis=millis, fixed=FEEDBACK_FIXED, n="number")},
               {ID.format(millis=millis, fixed=FIXED, n=about)},
               fromUnixTimestamp64Milli({millis}, 'UTC'), 'default', 'router', if(number % 20 = 0, 'audit', 'user'),
               if(number % 20 = 0, 'label', 'thumb'), 1, if(number % 20 = 0, 'it', ''), 'bench.1', 'headrace.feedback',
               number, {ingested}
        FROM (SELECT number * 10 AS number FROM numbers({first // 10}, {rows // 10}))"""


def counters(history: History) -> str:
    """SQL that writes the emitter's counters, one a minute of history."""
    every = RATE_PER_HOUR // 60
    at = f"fromUnixTimestamp64Milli({history.millis(f'(number + 1) * {every}')}, 'UTC')"
    return f"""
        INSERT INTO emitters (emitter, kind, sequence, at, emitted, acknowledged, dropped, ingested_at)
        SELECT 'bench.1', kind, number + 1, {at}, sent, sent, 0, now64(3)
        FROM numbers({history.rows // every}) ARRAY JOIN ['inferences', 'feedback'] AS kind,
             [(number + 1) * {every}, intDiv((number + 1) * {every}, 10)] AS sent"""


def fill(warehouse: Warehouse, history: History) -> float:
    """Write history in chunks, and settle each before the next; returns how long the last one took to settle."""
    keeper, took = Housekeeping(warehouse, Privacy(parked_days=30), "bench"), 0.0
    for first in range(0, history.rows, CHUNK):
        rows = min(CHUNK, history.rows - first)
        for write in (inferences, feedback):
            warehouse.command(write(history, first, rows, "now64(3)") + " SETTINGS max_partitions_per_insert_block = 0")
        if first + rows == history.rows:
            warehouse.command(counters(history))
        began = time.perf_counter()
        keeper.look()
        took = time.perf_counter() - began
        later(warehouse)
        print(f"{first + rows:,} of {history.rows:,} rows are there and settled", flush=True)
    for table, event_id in (("inferences", "inference_id"), ("feedback", "feedback_id")):
        # A pass looks at what was ingested within a day; that of months ago was ingested months ago.
        warehouse.command(
            f"ALTER TABLE {table} UPDATE ingested_at = UUIDv7ToDateTime({event_id}, 'UTC') WHERE 1"
            " SETTINGS mutations_sync = 2"
        )
    return took


def later(warehouse: Warehouse) -> None:
    """As if the next rows came later than the tail that a pass takes over: nothing of these counts as changed."""
    warehouse.command("INSERT INTO balance_passes (until) VALUES (now64(3) + INTERVAL 600001 MILLISECOND)")
    time.sleep(0.01)


def goes_on(warehouse: Warehouse, watermark: datetime, counted: datetime) -> None:
    """As if a monitor had counted everything up to then."""
    moments = {"watermark": watermark, "newest": watermark, "arrived_at": counted, "counted": counted}
    row = {name: clickhouse_time(moment) for name, moment in moments.items()}
    row |= {"task": "router", "known_at": clickhouse_time(datetime.now(UTC) + timedelta(days=1))}
    warehouse.insert("monitor_progress", [json.dumps(row).encode()])


def cost(warehouse: Warehouse, work: Callable[[], object]) -> dict[str, float]:
    """Seconds (the best of a few), and the rows that ClickHouse read."""
    best, rows = float("inf"), 0
    for _ in range(REPEATS):
        before = _read(warehouse)
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
        rows = _read(warehouse) - before
    return {"seconds": round(best, 3), "rows_read": rows}


def _read(warehouse: Warehouse) -> int:
    sql = "SELECT value FROM system.events WHERE event = 'SelectedRows'"
    found = warehouse.rows(sql)
    return int(found[0]["value"]) if found else 0


def looks(warehouse: Warehouse, history: History, since: datetime) -> Iterator[tuple[str, Callable[[], object]]]:
    """The looks, by name; the batch has arrived since then, by ClickHouse's clock."""
    keeper = Housekeeping(warehouse, Privacy(parked_days=30), "bench")

    def tidy() -> None:
        keeper.look()
        later(warehouse)

    yield "join on arrival (parked_now)", lambda: warehouse.rows("SELECT count() FROM parked_now")

    def refresh() -> None:
        goes_on(warehouse, history.now, since)
        figures.Figures(warehouse, {"router": ROUTER}).watermark("router")

    yield "refresh of the current windows and the rolling accuracy", refresh
    yield "reconcile", lambda: warehouse.query("reconcile")
    yield "housekeeping pass", tidy
    if history.rows <= MOST_AT_ONCE:
        yield "all history (reconcile_full)", lambda: warehouse.query("reconcile_full")


@contextmanager
def warehouse_in(folder: Path) -> Iterator[Warehouse]:
    """A ClickHouse of its own, prepared."""
    with ClickHouseServer(folder) as server:
        warehouse = Warehouse.connect(Settings(home=folder, clickhouse=server.url, database="history"))
        warehouse.prepare()
        yield warehouse
        warehouse.close()


def measure(rows: int, home: Path) -> list[dict[str, Any]]:
    """Fill a warehouse, settle it, let a batch arrive, and measure each look."""
    folder = Path(tempfile.mkdtemp(prefix="history-", dir=home))
    try:
        with warehouse_in(folder) as warehouse:
            history = History(rows, datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30))
            settled = fill(warehouse, history)
            # What is refreshed is what came within SLACK before `since`, too.
            since = warehouse.rows("SELECT now64(3, 'UTC') AS now")[0]["now"] + figures.SLACK
            warehouse.command(inferences(history, rows, BATCH, "now64(3)"))
            warehouse.command(feedback(history, rows, BATCH, "now64(3)"))
            found = []
            for name, work in looks(warehouse, history, since):
                found.append({"case": name, "history": rows, **cost(warehouse, work)})
                print(found[-1], flush=True)
            (kind,) = [row for row in warehouse.query("reconcile") if row["kind"] == "inferences"]
            assert (kind["stored"], kind["duplicated"]) == (rows + BATCH, 0), kind
            if rows <= MOST_AT_ONCE:
                assert warehouse.query("reconcile") == warehouse.query("reconcile_full")
            chunk = min(rows, CHUNK)
            name = f"housekeeping pass over {chunk:,} new rows"
            return [{"case": name, "history": rows, "seconds": round(settled, 3), "rows_read": None}, *found]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000], help="sizes of history")
    parser.add_argument("--home", type=Path, default=Path("var/bench"), help="where it works and writes history.json")
    arguments = parser.parse_args()
    arguments.home.mkdir(parents=True, exist_ok=True)
    conditions = machine() | {"inferences_per_hour": RATE_PER_HOUR, "batch": BATCH, "repeats": REPEATS}
    conditions["feedback"] = "one on every tenth inference, one in a hundred of it parked"
    rows = [row for size in arguments.rows for row in measure(size, arguments.home)]
    rows.sort(key=lambda row: str(row["case"]))
    tell("history", conditions, rows)
    print(keep("history", conditions, rows, arguments.home))


if __name__ == "__main__":
    main()
