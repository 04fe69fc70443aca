"""What preparing a large store of the version before costs: `make bench-upkeep`, ARGS="--rows 1000000" for a small one.

Answers of a year stand in a table of the version before, which did not know the order of revisions and had a partition
a month of any ids; one in a hundred was corrected, and its first revision arrived once more after that. The preparation
that writes the table again is killed with the server (SIGKILL) a while after it began, again and again, and then left
to finish: no row may be missing, and the greatest revision counts. A query that reads one month with FINAL is timed
before and after."""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.generated import CHUNK, DAYS, History, inferences
from benchmarks.table import keep, machine, tell
from headrace.contract import ids
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.errors import HeadraceError
from headrace.settings import Settings
from headrace.warehouse import Warehouse, migration

KILLED_AFTER_S = (0.2, 0.5, 1.0)
REPEATS = 5
MONTHLY = "PARTITION BY toYYYYMM(UUIDv7ToDateTime(inference_id, 'UTC'))"
MONTH = """
SELECT count() AS n, countIf(label = 'corrected') AS corrected, sum(latency_ms) AS ms FROM inferences FINAL
WHERE toUInt128(inference_id) >= bitShiftLeft(toUInt128({from:Int64}), 80)
  AND toUInt128(inference_id) < bitShiftLeft(toUInt128({to:Int64}), 80)
"""


def before(warehouse: Warehouse) -> None:
    """Make of a new database one of the version before: its answers know no order of revisions, and are in months."""
    warehouse.prepare()
    (answers,) = [table for table in migration.schema()[0] if table.name == "inferences"]
    former = answers.statement.replace("ReplacingMergeTree(precedence)", "ReplacingMergeTree")
    former = former.replace("PARTITION BY place", MONTHLY)
    kept = [line for line in former.splitlines() if not line.startswith(("    precedence ", "    place "))]
    warehouse.command("DROP TABLE inferences")
    warehouse.command("\n".join(kept))
    warehouse.command("DELETE FROM schema_migrations WHERE name LIKE '041%' OR name LIKE '042%'")


def fill(warehouse: Warehouse, history: History) -> None:
    """Answers of the whole time, the corrections of some, and these first revisions once more."""
    for label, revision, condition in (
        ("first", 0, "1"),
        ("corrected", 1, "number % 100 = 0"),
        ("first", 0, "number % 100 = 0"),
    ):
        for first in range(0, history.rows, CHUNK):
            rows = min(CHUNK, history.rows - first)
            sql = inferences(history, first, rows, label=f"'{label}'", revision=str(revision))
            warehouse.command(f"{sql} WHERE {condition} SETTINGS max_partitions_per_insert_block = 0")
    print(f"{history.rows:,} answers are there, {history.rows // 100:,} of them corrected", flush=True)


def month(warehouse: Warehouse, history: History) -> dict[str, Any]:
    """Thirty days with FINAL, best of a few."""
    since = history.at(history.rows // 2)
    bounds = {"from": ids.millis(since), "to": ids.millis(since + timedelta(days=30))}
    best, found = float("inf"), {}
    for _ in range(REPEATS):
        began = time.perf_counter()
        (found,) = warehouse.rows(MONTH, **bounds)
        best = min(best, time.perf_counter() - began)
    return {"seconds": best, "rows": found["n"]}


class Stage:
    """A server on one folder, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ClickHouseServer(folder).start()

    def warehouse(self) -> Warehouse:
        settings = Settings(home=self.folder, database="upkeep", **self.server.login())
        return Warehouse.connect(settings, answer_within_s=3600)

    def kill_while(self, work: Callable[[Warehouse], object], after_s: float) -> None:
        """SIGKILL the server so long after `work` began, and start it again on what is on the disk."""
        warehouse = self.warehouse()

        def run() -> None:
            with suppress(HeadraceError):
                work(warehouse)

        working = threading.Thread(target=run)
        working.start()
        working.join(after_s)
        print(f"killed after {after_s} s, while it {'ran' if working.is_alive() else 'was done'}", flush=True)
        self.server.kill()
        working.join()
        self.server = ClickHouseServer(self.folder).start()


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(rows: int, home: Path) -> Iterator[dict[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="upkeep-", dir=home))
    stage, history = Stage(folder), History.of_days(rows, datetime.now(UTC))
    try:
        warehouse = stage.warehouse()
        before(warehouse)
        fill(warehouse, history)
        count = "SELECT count() AS n, countIf(label = 'corrected') AS corrected FROM inferences FINAL"
        (lost,) = warehouse.rows(count)
        yield {"case": "a month with FINAL, no order of revisions", **month(warehouse, history)}
        for after_s in KILLED_AFTER_S:
            stage.kill_while(lambda warehouse: warehouse.prepare(), after_s)
        warehouse = stage.warehouse()
        yield {"case": "the preparation that was let finish", "seconds": timed(warehouse.prepare), "rows": history.rows}
        (kept,) = warehouse.rows(count)
        assert kept["n"] == lost["n"] == history.rows, (lost, kept)
        print(f"corrections that count: {lost['corrected']:,} before, {kept['corrected']:,} after", flush=True)
        yield {"case": "a month with FINAL, ordered", **month(warehouse, history)}
        warehouse.command("OPTIMIZE TABLE inferences FINAL")
        yield {"case": "a month with FINAL, ordered and merged", **month(warehouse, history)}
    finally:
        stage.server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="answers (%(default)s)")
    parser.add_argument("--home", type=Path, default=Path("var/bench"), help="where it works and writes upkeep.json")
    arguments = parser.parse_args()
    arguments.home.mkdir(parents=True, exist_ok=True)
    rows = []
    for row in measure(arguments.rows, arguments.home):
        rows.append(row)
        print(row, flush=True)
    conditions = machine() | {"answers": arguments.rows, "days": DAYS}
    tell("upkeep", conditions, rows)
    print(keep("upkeep", conditions, rows, arguments.home))


if __name__ == "__main__":
    main()
