"""What a look costs as history grows: `make bench-history`, ARGS="--rows 1000000 10000000 100000000" for the largest.

History (benchmarks/generated.py) spans 500 days however many answers it has. Passes of housekeeping have settled it
and let expire what was parked; the monitor has counted its windows and copied its labels.

Then a batch arrives, and each look runs as the parts run it: the join of feedback that just arrived, the refresh of the
current windows, `headrace reconcile`, a pass of housekeeping, and what reads all of history, to compare. Then

    late label    an expert labels an answer of a year ago: the monitor asks what arrived, counts its window and strata,
                  estimates the spans that it is in, and copies the label
    a view's day  all columns of all rows of one day, half a year ago
    retention     the oldest month leaves: its ids are collected, the ledger written, its rows deleted
    the pass after it  settles that month's hours, and those of months that left within ten minutes before

Seconds are the sum of what the server reports for each statement, median of a few; rows and MB are what it read.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.generated import (
    CHUNK,
    COUNTERS,
    DAYS,
    FIXED,
    ID,
    RATE_PER_HOUR,
    History,
    feedback,
    inferences,
)
from benchmarks.measured import Measured
from benchmarks.table import keep, machine, tell
from headrace.contract import ids
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.plan import CandidateSpec, Incumbent, Privacy, Task
from headrace.settings import Settings
from headrace.warehouse import Warehouse, clickhouse_time, query_text
from streams import window_counts
from streams.attempts import Attempts
from streams.audits import Audits
from streams.housekeeping import GRACE, Housekeeping
from streams.retention import Retention

BATCH = 10_000
# What reads all of history takes minutes for a hundred million rows.
MAX_AT_ONCE = 20_000_000
REPEATS = 5
MONTHS = 3
MERGED_WITHIN_S = 300
VIEWS = ("review_queue", "feedback_current", "ground_truth_current")
ROUTER = Task(
    labels=("hr", "it", "finance", "product", "out_of_scope"),
    incumbent=Incumbent(url="http://127.0.0.1:9/v1", model="big"),
    candidates={"probe": CandidateSpec(method="probe")},
)
KEEPS = Privacy(parked_days=30, retention_days=DAYS + 60)
LEFT_AT = f"UUIDv7ToDateTime(feedback_id, 'UTC') + INTERVAL {KEEPS.parked_days} DAY"
AGED = (
    # A copy was made when its label came.
    "ALTER TABLE audit_labels UPDATE ingested_at = labelled_at WHERE 1 SETTINGS mutations_sync = 2",
    f"ALTER TABLE expired UPDATE expired_at = {LEFT_AT} WHERE why = 'parked' SETTINGS mutations_sync = 2",
    f"ALTER TABLE ledger UPDATE ingested_at = hour + INTERVAL {KEEPS.parked_days} DAY WHERE 1"
    " SETTINGS mutations_sync = 2",
    # The time is the row's version, which nothing updates.
    "CREATE TABLE parked_then ENGINE = MergeTree ORDER BY tuple() AS"
    " SELECT * REPLACE(toDateTime64(UUIDv7ToDateTime(feedback_id, 'UTC'), 6) AS known_at) FROM parked FINAL",
    "TRUNCATE TABLE parked",
    "INSERT INTO parked SELECT * FROM parked_then",
    "DROP TABLE parked_then",
)


def fill(warehouse: Warehouse, history: History) -> float:
    """Write history in chunks, each settled, counted and copied; returns how long the last one took to settle."""
    keeper, audits, took = Housekeeping(warehouse, KEEPS, "bench"), Audits(warehouse), 0.0
    chunk = CHUNK // history.per_hour * history.per_hour
    began = time.perf_counter()
    for first in range(0, history.rows, chunk):
        rows = min(chunk, history.rows - first)
        for write in (inferences, feedback):
            warehouse.command(write(history, first, rows) + " SETTINGS max_partitions_per_insert_block = 0")
        reach(warehouse, history.at(first))
        audits.copy()
        count(warehouse, history.at(first), history.at(first + rows))
        settling = time.perf_counter()
        keeper.look()
        took = time.perf_counter() - settling
        print(f"{first + rows:,} of {history.rows:,} answers after {time.perf_counter() - began:.0f} s", flush=True)
    warehouse.command(COUNTERS)
    keeper.look()
    age(warehouse)
    return took


def age(warehouse: Warehouse) -> None:
    """As if each copy and each pass had been made in its own time: they bear the times of this run, within minutes."""
    for statement in AGED:
        warehouse.command(statement)


def reach(warehouse: Warehouse, moment: datetime) -> None:
    """As if what was stored up to then were settled and copied, and nothing that came since."""
    warehouse.command("TRUNCATE TABLE balance_passes")
    until = clickhouse_time(moment + timedelta(minutes=10))
    warehouse.insert("balance_passes", [json.dumps({"until": until}).encode()])
    row = {"name": "audit_labels", "reached": clickhouse_time(moment)}
    warehouse.insert("cursors", [json.dumps(row).encode()])


def count(warehouse: Warehouse, since: datetime, until: datetime) -> None:
    """Count these windows, as the monitors of that time did."""
    span = {
        "tasks": ["router"],
        "size_ms": int(ROUTER.windows.size_s * 1000),
        "window_from": ids.millis(since),
        "window_to": ids.millis(until),
        "known_at": clickhouse_time(until),
    }
    warehouse.command(query_text("monitor/windows_refresh"), **span, out_of_scope=[ROUTER.out_of_scope])


def merged(warehouse: Warehouse) -> None:
    """Wait until ClickHouse has merged what the history left to merge.

    Labels that came late were written with their answers: in a store that grew, parts follow each other in time.
    """
    warehouse.command("OPTIMIZE TABLE feedback FINAL")
    for _ in range(MERGED_WITHIN_S):
        if not warehouse.rows("SELECT 1 FROM system.merges LIMIT 1"):
            return
        time.sleep(1)


def goes_on(warehouse: Warehouse, watermark: datetime, counted: datetime) -> None:
    """As if a monitor had counted everything up to then."""
    moments = {"watermark": watermark, "newest": watermark, "arrived_at": counted, "counted": counted}
    row = {name: clickhouse_time(moment) for name, moment in moments.items()}
    row |= {"task": "router", "known_at": clickhouse_time(datetime.now(UTC) + timedelta(days=1))}
    warehouse.insert("monitor_progress", [json.dumps(row).encode()])


class Looks:
    """A warehouse with its history, a batch that has just arrived, and the looks at them, by name."""

    def __init__(self, warehouse: Warehouse, history: History) -> None:
        self.warehouse, self.history, self.measured = warehouse, history, Measured(warehouse)
        # The batch came an hour ago, so that what is still to come does not lie ahead of ClickHouse's clock.
        self.since: datetime = warehouse.rows("SELECT now64(3, 'UTC') AS now")[0]["now"] - timedelta(hours=1)
        self.clock = self.since + 2 * window_counts.SLACK
        at = f"toDateTime64('{clickhouse_time(self.since + window_counts.SLACK)}', 3, 'UTC')"
        batch = dataclasses.replace(history, per_hour=RATE_PER_HOUR)
        for write in (inferences, feedback):
            warehouse.command(write(batch, history.rows, BATCH, at))
        self.keeper = Housekeeping(self.measured, KEEPS, "bench")
        self.counts = window_counts.WindowCounts(self.measured, {"router": ROUTER}, privacy=KEEPS)
        self.labelled = history.number(history.now - timedelta(days=366))

    def all(self) -> Iterator[dict[str, Any]]:
        """Measure them in this order; the last ones leave less than there was."""
        yield self.cost("join on arrival (parked_now)", lambda: self.measured.rows("SELECT count() FROM parked_now"))
        yield self.cost("refresh of the current windows and the rolling accuracy", self.refresh, self.restart)
        yield self.cost("reconcile", lambda: self.measured.query("cli/reconcile"))
        yield self.cost("housekeeping pass", self.keeper.look, lambda: reach(self.measured, self.since))
        if self.history.rows <= MAX_AT_ONCE:
            yield self.cost(
                "all history (reconcile_full)", lambda: self.measured.query("cli/reconcile_full"), repeats=1
            )
        yield self.cost("late label on an answer of a year ago", self.refresh, self.label)
        for view in VIEWS:
            yield self.cost(f"a day of {view}", partial(self.day, view))
        yield from self.months()

    def restart(self) -> None:
        """A monitor that goes on from before the batch."""
        reach(self.measured, self.since)
        goes_on(self.measured, self.history.now, self.since)
        self.counts = window_counts.WindowCounts(self.measured, {"router": ROUTER}, privacy=KEEPS)

    def refresh(self) -> None:
        self.measured.clock = self.clock
        self.counts.watermark("router")

    def label(self) -> None:
        """A label on an answer that was given a year ago; what came before it is counted and copied."""
        self.clock += 4 * window_counts.SLACK
        arrived = self.clock - 2 * window_counts.SLACK
        reach(self.measured, arrived)
        self.labelled += self.history.per_hour * 24 // 20 * 20
        answer = ID.format(millis=self.history.millis("number"), fixed=FIXED, n="number")
        (row,) = self.measured.rows(f"SELECT {answer} AS id FROM numbers({self.labelled}, 1)")
        said = {
            "feedback_id": str(ids.uuid7(arrived)), "inference_id": str(row["id"]), "tenant": "default",
            "task": "router", "source": "audit", "signal": "label", "label": "it", "rater": "late", "emitter": "late",
            "ground_truth": True, "occurred_at": clickhouse_time(arrived), "ingested_at": clickhouse_time(arrived),
        }  # fmt: skip
        self.measured.insert("feedback", [json.dumps(said).encode()])

    def day(self, view: str) -> None:
        day = (self.history.now - timedelta(days=DAYS // 2)).date()
        self.measured.rows(f"SELECT count(), sum(cityHash64(*)) FROM {view} WHERE answered_on = '{day}'")

    def months(self) -> Iterator[dict[str, Any]]:
        """The month in which history begins is no whole one; the next ones are."""
        reach(self.measured, self.since)
        self.keeper.look()
        month, left, settled = self.history.at(0), [], []
        for place in range(MONTHS + 1):
            month = (month.replace(day=1, hour=0) + timedelta(days=32)).replace(day=1)
            taken = self.cost("retention of a month", partial(self.leave, month), repeats=1)
            after = self.cost("housekeeping pass after it", self.keeper.look, repeats=1)
            if place:
                left.append(taken)
                settled.append(after)
        for found in (left, settled):
            yield sorted(found, key=lambda row: row["seconds"])[MONTHS // 2]

    def leave(self, month: datetime) -> None:
        """What is of before this month leaves, as in a pass of housekeeping."""
        attempts, now = Attempts(), datetime.now(UTC)
        (clock,) = self.measured.query("maintenance/expire_clock")
        privacy = Privacy(retention_days=(clock["newest"] - month).days - 14)
        retention = Retention.of(self.measured, privacy, clock["newest"], now - GRACE, attempts)
        leaving = retention.collect()
        self.measured.command(query_text("maintenance/expire_ledger"), since=clickhouse_time(now))
        retention.delete(leaving)
        assert leaving and not attempts.failed, attempts.failed

    def cost(
        self,
        case: str,
        work: Callable[[], object],
        before: Callable[[], object] = lambda: None,
        repeats: int = REPEATS,
    ) -> dict[str, Any]:
        """Medians of ClickHouse's seconds, the rows and MB that it read."""
        taken = []
        for _ in range(repeats):
            before()
            self.measured.forget()
            spent = self._spent()
            work()
            more = [after - until for after, until in zip(self._spent(), spent, strict=True)]
            taken.append((sum(self.measured.seconds.values()), *more))
        print(f"{case}: {self.measured.told()}", flush=True)
        seconds, cpu_us, rows, size = (statistics.median(column) for column in zip(*taken, strict=True))
        row = {"case": case, "history": self.history.rows, "seconds": round(seconds, 3)}
        return row | {"cpu_s": round(cpu_us / 1e6, 3), "rows_read": int(rows), "mb_read": round(size / 1e6, 1)}

    def _spent(self) -> tuple[int, int, int]:
        """Microseconds of processor time, rows and bytes read by ClickHouse's statements so far."""
        found = {
            row["event"]: int(row["value"]) for row in self.warehouse.rows("SELECT event, value FROM system.events")
        }
        times = found.get("UserTimeMicroseconds", 0) + found.get("SystemTimeMicroseconds", 0)
        return times, found.get("SelectedRows", 0), found.get("SelectedBytes", 0)


@contextmanager
def warehouse_in(folder: Path) -> Iterator[Warehouse]:
    """A ClickHouse of its own, prepared."""
    with ClickHouseServer(folder) as server:
        warehouse = Warehouse.connect(Settings(home=folder, clickhouse=server.url, database="history"))
        warehouse.prepare()
        yield warehouse
        warehouse.close()


def measure(rows: int, home: Path) -> Iterator[dict[str, Any]]:
    """Fill a warehouse, let a batch arrive, and measure each look."""
    folder = Path(tempfile.mkdtemp(prefix="history-", dir=home))
    try:
        with warehouse_in(folder) as warehouse:
            now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
            history = History.of_days(rows, now)
            settled = fill(warehouse, history)
            chunk = min(history.rows, CHUNK)
            case = f"housekeeping pass over {chunk:,} new rows"
            yield {"case": case, "history": history.rows, "seconds": round(settled, 3), "rows_read": None}
            merged(warehouse)
            yield from Looks(warehouse, history).all()
            (kind,) = [row for row in warehouse.query("cli/reconcile") if row["kind"] == "inferences"]
            assert (kind["stored"] + kind["expired"], kind["duplicated"]) == (history.rows + BATCH, 0), kind
            if rows <= MAX_AT_ONCE:
                quick, full = warehouse.query("cli/reconcile"), warehouse.query("cli/reconcile_full")
                assert quick == full, (quick, full)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000], help="sizes of history")
    parser.add_argument("--home", type=Path, default=Path("var/bench"), help="where it works and writes history.json")
    arguments = parser.parse_args()
    arguments.home.mkdir(parents=True, exist_ok=True)
    conditions = machine() | {"days": DAYS, "batch": BATCH, "repeats": REPEATS, "windows_s": ROUTER.windows.size_s}
    rows = []
    for size in arguments.rows:
        for row in measure(size, arguments.home):
            rows.append(row)
            print(row, flush=True)
    rows.sort(key=lambda row: str(row["case"]))
    tell("history", conditions, rows)
    print(keep("history", conditions, rows, arguments.home))


if __name__ == "__main__":
    main()
