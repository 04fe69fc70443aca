"""What a monitoring cycle costs as history grows: `make bench-monitor`, ARGS="--rows 1000000 100000000" at its largest.

History is generated inside ClickHouse: twenty tasks with a version each that has been live from the start, a twentieth
of all answers audited and labelled, a tenth of the labels wrong, a thumb on one answer in thirty. Then answers and
labels arrive, and the monitor looks at every task with the plan's detectors, as a worker does it: figures, accuracy by
group, detectors, decision. clickhouse_s is the sum over all statements of the time that the server reports for each.

first     nothing of the rolling span is counted but by hour, and no window was profiled
restart   a monitor that has just started, and the one before has counted everything
steady    one that runs: since the last cycle came what 20 s bring, two hundred answers, some ten labels and thumbs;
          the median of a few
closing   the most expensive of those in the minutes after a window has closed
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.generated import CHUNK, FEEDBACK_FIXED, FIXED, ID, RATE_PER_HOUR, History
from benchmarks.history import warehouse_in
from benchmarks.measured import Measured
from benchmarks.table import keep, machine, tell
from headrace.contract import ids
from headrace.contract.control import Promotion, Served, Step
from headrace.contract.topics import PROMOTIONS
from headrace.plan import Plan, parse
from headrace.warehouse import Warehouse, clickhouse_time
from streams import window_counts
from streams.audits import Audits
from streams.decode import Raw
from streams.monitor import Monitor
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

TASKS = 20
BATCH = 200
CYCLES = 15
MERGED_WITHIN_S = 120
# Eight minutes: a window ends, a minute later it is closed, and within a twelfth of it every task has read it.
CLOSING = 24
# History ends twenty minutes past an hour; so many answers later the hour is nearly over.
LEFT_OF_HOUR = RATE_PER_HOUR * 2 // 3 - BATCH
PLAN = """
[tasks."task{number}"]
labels = ["hr", "it", "finance", "product", "out_of_scope"]
[tasks."task{number}".incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks."task{number}".candidates.probe]
method = "probe"
"""
LABELS = "['hr', 'it', 'finance', 'product', 'out_of_scope']"
# SQL, of answer `number`: its task and tenant, its label, whether it was audited, and what it should have been.
TASK = f"concat('task', toString(number % {TASKS}))"
TENANT = f"concat('tenant', toString(intDiv(number, {TASKS}) % 3))"
LABEL = f"{LABELS}[sipHash64(number, 'label') % 5 + 1]"
AUDITED = "sipHash64(number, 'audit') % 20 = 0"
TRUTH = f"{LABELS}[(sipHash64(number, 'label') + (sipHash64(number, 'wrong') % 10 = 0)) % 5 + 1]"
THUMBED = "sipHash64(number, 'thumb') % 30 = 0"
THUMB = "if(sipHash64(number, 'up') % 3 = 0, -1, 1)"
NOW, AS_IT_HAPPENED = "now64(3)", "occurred_at"
QUESTION = "How many days of parental leave are left for me this year?"


def plan() -> Plan:
    """Twenty tasks, all with the plan's defaults."""
    return parse("version = 1\n" + "".join(PLAN.format(number=number) for number in range(TASKS)))


def answers(history: History, first: int, rows: int, ingested: str = NOW) -> str:
    """SQL that writes answers `first` up to `first + rows`; ingested: when they are stored, SQL."""
    millis = history.millis("number")
    return f"""
        INSERT INTO inferences (inference_id, occurred_at, tenant, task, version, arm, session_id, input, label,
                                scores, audited, audit_probability, first_token_ms, latency_ms, tokens_in, tokens_out,
                                cost, emitter, ingested_at)
        SELECT {ID.format(millis=millis, fixed=FIXED, n="number")},
               fromUnixTimestamp64Milli({millis}, 'UTC') AS occurred_at, {TENANT}, {TASK}, concat({TASK}, '@1'), 'live',
               toString(intDiv(number, {4 * TASKS})), '{QUESTION}',
               {LABEL}, map({LABEL}, 0.5 + (sipHash64(number, 'score') % 500) / 1000), {AUDITED}, 0.05, 5, 20, 100, 3,
               0.0001, 'bench.1', {ingested}
        FROM numbers({first}, {rows})"""


def said(history: History, first: int, rows: int, ingested: str = NOW) -> str:
    """SQL that writes what was said of them, a minute after each: the audit's labels, and thumbs."""
    millis, later = history.millis("number"), f"({history.millis('number')} + 60000)"
    return f"""
        INSERT INTO feedback (feedback_id, inference_id, occurred_at, tenant, task, source, signal, value, label,
                              emitter, ingested_at)
        SELECT {ID.format(millis=later, fixed=FEEDBACK_FIXED, n="(number, what)")},
               {ID.format(millis=millis, fixed=FIXED, n="number")},
               fromUnixTimestamp64Milli({later}, 'UTC') AS occurred_at, {TENANT}, {TASK},
               if(what = 'thumb', 'user', 'audit'), what,
               if(what = 'thumb', {THUMB}, NULL), if(what = 'thumb', '', {TRUTH}), 'bench.1', {ingested}
        FROM numbers({first}, {rows})
        ARRAY JOIN arrayConcat(if({AUDITED}, ['label'], []), if({THUMBED}, ['thumb'], [])) AS what"""


# What the monitors of that time counted: one row a window and label, silent answers all.
COUNTED = """
    INSERT INTO strata (task, window_from, tenant, version, arm, expert, stratum, confidence, probability, answers,
                        labelled, errors, audited, audit_labelled, audit_errors, known_at)
    SELECT task, toStartOfHour(occurred_at), tenant, version, arm, label, 'silent', '', audited * 0.05, count(),
           countIf(audited), 0, countIf(audited), countIf(audited), 0, now64(6)
    FROM inferences WHERE toUInt128(inference_id) >= bitShiftLeft(toUInt128({first:UInt64}), 80)
    GROUP BY ALL"""


def fill(warehouse: Warehouse, history: History) -> None:
    """Write history in chunks, each stored, counted and its audit copied as if that was done as it happened."""
    audits = Audits(warehouse)
    for first in range(0, history.rows, CHUNK):
        rows = min(CHUNK, history.rows - first)
        for write in (answers, said):
            sql = write(history, first, rows, AS_IT_HAPPENED)
            warehouse.command(f"{sql} SETTINGS max_partitions_per_insert_block = 0")
        start = int(warehouse.rows(f"SELECT {history.millis(str(first))} AS at")[0]["at"])
        copied(warehouse, ids.EPOCH + timedelta(milliseconds=start))
        audits.copy()
        warehouse.command(COUNTED, first=start)
        print(f"{first + rows:,} of {history.rows:,} rows are there", flush=True)
    # As if the rest came later than what the views still read themselves, and the last look an hour ago.
    copied(warehouse, datetime.now(UTC) + timedelta(seconds=5.1))
    since = history.now - timedelta(hours=history.rows / RATE_PER_HOUR)
    for name in plan().tasks:
        live = Served(version=f"{name}@1", artifact="a", errors=100, labelled=1000)
        told = Promotion(task=name, generation=1, step=Step.STEADY, live=live, since=since, at=since)
        assert store([Raw(PROMOTIONS.name, 0, 0, told.to_json())], table_of(PROMOTIONS), warehouse, Rules()) == []


def copied(warehouse: Warehouse, reached: datetime) -> None:
    """As if the audit's labels that came before were copied."""
    row = {"name": "audit_labels", "reached": clickhouse_time(reached)}
    warehouse.insert("cursors", [json.dumps(row).encode()])


def settled(warehouse: Warehouse) -> None:
    """Wait until ClickHouse has merged what the history left to merge, and it counts as written before."""
    time.sleep(window_counts.SLACK.total_seconds())
    for _ in range(MERGED_WITHIN_S):
        if not warehouse.rows("SELECT 1 FROM system.merges LIMIT 1"):
            return
        time.sleep(1)


@contextmanager
def told(rows: int, home: Path) -> Iterator[tuple[Warehouse, History]]:
    """A warehouse with this much history."""
    folder = Path(tempfile.mkdtemp(prefix="monitor-", dir=home))
    try:
        with warehouse_in(folder) as warehouse:
            # Ends within an hour's first half, so that a few batches later it is still the same window.
            now = datetime.now(UTC).replace(minute=20, second=0, microsecond=0) - timedelta(hours=1)
            history = History(rows, now)
            fill(warehouse, history)
            yield warehouse, history
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(rows: int, home: Path, detail: bool) -> list[dict[str, Any]]:
    """Fill a warehouse, then measure each kind of cycle."""
    with told(rows, home) as (warehouse, history):
        measured = Measured(warehouse)
        settled(warehouse)
        found = [{"cycle": "first", "history": rows} | cycle(measured, Monitor(measured, plan()), detail)]
        monitor, place = Monitor(measured, plan()), rows
        settled(warehouse)
        found.append({"cycle": "restart", "history": rows} | cycle(measured, monitor, detail))
        for name, cycles, of in (("steady", CYCLES, statistics.median), ("closing", CLOSING, max)):
            if name == "closing":
                rest = rows + LEFT_OF_HOUR - place
                arrive(warehouse, history, place, rest)
                place += rest
                cycle(measured, monitor, False)
            taken = []
            for _ in range(cycles):
                arrive(warehouse, history, place, BATCH)
                place += BATCH
                taken.append(cycle(measured, monitor, detail))
            found.append({"cycle": name, "history": rows} | {key: of(row[key] for row in taken) for key in taken[0]})
        for row in found:
            print(row, flush=True)
        return found


def arrive(warehouse: Warehouse, history: History, first: int, rows: int) -> None:
    """Answers, and what was said of them."""
    warehouse.command(answers(history, first, rows))
    warehouse.command(said(history, first, rows))


def cycle(measured: Measured, monitor: Monitor, detail: bool) -> dict[str, Any]:
    """Look at every task; the slowest statement is told by name."""
    measured.forget()
    began = time.perf_counter()
    for name in monitor.plan.tasks:
        monitor.look(name)
    wall = time.perf_counter() - began
    if detail:
        print(measured.told(), flush=True)
    return {
        "clickhouse_s": round(sum(measured.seconds.values()), 3),
        "wall_s": round(wall, 3),
        "statements": measured.statements,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 5_000_000], help="sizes of history")
    parser.add_argument("--home", type=Path, default=Path("var/bench"), help="where it works and writes monitor.json")
    parser.add_argument("--detail", action="store_true", help="say what each statement took")
    arguments = parser.parse_args()
    arguments.home.mkdir(parents=True, exist_ok=True)
    conditions = machine() | {"tasks": TASKS, "answers_per_hour": RATE_PER_HOUR, "batch": BATCH}
    conditions["detectors"] = ", ".join(next(iter(plan().tasks.values())).triggers.detectors)
    rows = [row for size in arguments.rows for row in measure(size, arguments.home, arguments.detail)]
    tell("monitor", conditions, rows)
    print(keep("monitor", conditions, rows, arguments.home))


if __name__ == "__main__":
    main()
