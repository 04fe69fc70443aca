"""One pass over what changed: what waited or was kept too long expires, and the balance of events is settled.

Every step is one statement that ClickHouse runs, over sets: repeated, begun again after a crash at any point, or run by
two workers at once, it comes to the same. Only the last step, the row in `balance_passes`, says that the pass is done;
without it the next one does the same work again. What nobody settled yet is computed when it is asked for (the views of
headrace/warehouse/schema/35_balance.sql), so that the balance is exact between passes, and during one.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace import ids
from headrace.plan import Privacy
from headrace.warehouse import Warehouse, query_text
from streams.queries import clickhouse_time
from streams.retention import Retention

# What arrived within this time does not expire, however old its id is: an import may bring its inference later on.
GRACE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass found, of all that is settled.

    until: rows ingested before it are settled
    expired: events that expired in this pass
    missing, duplicated: events of emitters that count; 0, or something is wrong
    """

    until: datetime
    seconds: float
    expired: int
    parked: int
    missing: int
    duplicated: int


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """Passes over one warehouse; any number of them may run at once. Blocking.

    by: the worker's name, for the record
    grace: what arrived within it does not expire
    """

    warehouse: Warehouse
    privacy: Privacy
    by: str
    grace: timedelta = GRACE

    def look(self) -> Pass:
        """Run a pass. Raises WarehouseError; the next one starts over."""
        began = time.monotonic()
        tail = self.warehouse.query("reconcile_pass")[0]
        expired = self._expire(tail["since"])
        self._run("reconcile_settle")
        self._run("parked_settle")
        self._run("parked_leave")
        kinds = self.warehouse.query("reconcile_settled")
        seconds = time.monotonic() - began
        done = Pass(
            until=tail["now"],
            seconds=seconds,
            expired=expired,
            **{name: sum(row[name] for row in kinds) for name in ("parked", "missing", "duplicated")},
        )
        row = {
            "until": clickhouse_time(done.until),
            "seconds": seconds,
            "hours": max((row["hours"] for row in kinds), default=0),
            "expired": expired,
            "parked": done.parked,
            "by": self.by,
        }
        self.warehouse.insert("balance_passes", [json.dumps(row).encode()])
        self._forget()
        return done

    def _expire(self, since: datetime) -> int:
        """Let go what is parked or kept too long: into the sets of the expired, then the ledger; only then the rows."""
        clock = self.warehouse.query("expire_clock")
        before = self._expired_since(since)
        retention = None
        if clock:
            horizon = clock[0]["newest"] - timedelta(days=self.privacy.parked_days)
            arrived = clock[0]["now"] - self.grace
            self._run(
                "expire_collect",
                horizon=clickhouse_time(max(horizon, ids.EPOCH)),
                arrived=clickhouse_time(arrived),
            )
            retention = Retention.of(self.warehouse, self.privacy, clock[0]["newest"], arrived)
            retention.collect()
        found = self._expired_since(since)
        if found:
            self._run("expire_ledger")
        if self.warehouse.query("expire_rows")[0]["rows"]:
            self._run("expire_delete", since=clickhouse_time(since))
        if retention is not None:
            retention.delete()
        return found - before

    def _expired_since(self, since: datetime) -> int:
        sql = (
            "SELECT (SELECT count() FROM expired FINAL WHERE expired_at >= {since:DateTime64(3, 'UTC')})"
            " + (SELECT count() FROM expired_inferences FINAL WHERE expired_at >= {since:DateTime64(3, 'UTC')}) AS n"
        )
        return int(self.warehouse.rows(sql, since=clickhouse_time(since))[0]["n"])

    def _forget(self) -> None:
        """Drop the months of `parked` in which nothing waits any more."""
        for row in self.warehouse.query("parked_empty"):
            self.warehouse.command(f"ALTER TABLE parked DROP PARTITION {int(row['month'])}")

    def _run(self, query: str, **parameters: object) -> None:
        self.warehouse.command(query_text(query), **parameters)
