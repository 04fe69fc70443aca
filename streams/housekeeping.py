"""One pass over what changed: what waited or was kept too long expires, and the balance of events is settled.

Every step is one statement that ClickHouse runs, over sets: repeated, begun again after a crash at any point, or run by
two workers at once, it comes to the same. What nobody settled yet is computed when it is asked for (the views of
headrace/warehouse/schema/35_balance.sql), so that the balance is exact between passes, and during one.

A step that fails keeps no other from running, but for those that rest on it:

    expire     ids into the sets of the expired -> the ledger -> the rows are deleted; the cursor `expired` says up to
               when all three are done
    settle     reconciliations -> what is parked -> the row in `balance_passes`, which says up to when that is done
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from headrace.contract import ids
from headrace.errors import Transient
from headrace.plan import Privacy
from headrace.warehouse import Warehouse, clickhouse_time, query_text
from streams.attempts import Attempts
from streams.mutations import Mutations
from streams.retention import Leaving, Retention

# What arrived within this time does not expire, however old its id is: an import may bring its inference later on.
GRACE = timedelta(days=1)
# A statement names so many rows at most, and a pass runs so many: more wait for the next one.
KEYS, STATEMENTS = 500, 40


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass found, of all that is settled.

    until: rows ingested before it are settled
    expired: events that expired in this pass
    missing, duplicated: events of emitters that count; 0, or something is wrong
    failed: one sentence a step that was not done and is the next pass's
    """

    until: datetime
    seconds: float
    expired: int
    parked: int
    missing: int
    duplicated: int
    failed: tuple[str, ...] = ()


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
        """Run a pass. Raises WarehouseError where the balance could not be settled; the next one starts over."""
        began = time.monotonic()
        attempts = Attempts()
        tail = self.warehouse.query("maintenance/reconcile_pass")[0]
        left = tail["left"]
        if left is None:
            # Kept from the first pass on: steps that fail in it are found by the next ones.
            left = tail["since"]
            attempts.run("the cursor of what expired", lambda: self._reach(left))
        self._expire(left, tail["now"], attempts)
        settled: list[Pass] = []
        attempts.run("the balance", lambda: settled.append(self._settle(tail["now"], began)))
        attempts.run("the months of what was parked", self._forget)
        if not settled:
            raise Transient("; ".join(attempts.failed))
        return dataclasses.replace(settled[0], failed=tuple(attempts.failed))

    def _settle(self, now: datetime, began: float) -> Pass:
        self._run("maintenance/reconcile_settle")
        self._run("maintenance/parked_settle")
        self._run("maintenance/parked_leave")
        kinds = self.warehouse.query("maintenance/reconcile_settled")
        done = Pass(
            until=now,
            seconds=time.monotonic() - began,
            expired=self._expired_since(now),
            **{name: sum(row[name] for row in kinds) for name in ("parked", "missing", "duplicated")},
        )
        row = {
            "until": clickhouse_time(done.until),
            "seconds": done.seconds,
            "hours": max((row["hours"] for row in kinds), default=0),
            "expired": done.expired,
            "parked": done.parked,
            "by": self.by,
        }
        self.warehouse.insert("balance_passes", [json.dumps(row).encode()])
        return done

    def _expire(self, left: datetime, now: datetime, attempts: Attempts) -> None:
        """Let go what is parked or kept too long: into the sets of the expired, then the ledger; only then the rows."""
        clock: list[dict[str, Any]] = []
        attempts.run(
            "the clock of what expires", lambda: clock.extend(self.warehouse.query("maintenance/expire_clock"))
        )
        leaving: Sequence[Leaving] = ()
        retention = None
        if clock:
            arrived = clock[0]["now"] - self.grace
            attempts.run("expiry of what is parked", lambda: self._expire_parked(clock[0]["newest"], arrived))
            retention = Retention.of(self.warehouse, self.privacy, clock[0]["newest"], arrived, attempts)
            leaving = retention.collect()
        if not attempts.run("the ledger of what expired", lambda: self._write_ledger(left)):
            return
        if retention is not None:
            retention.delete(leaving)
        self._delete_parked(left, attempts)
        if not attempts.failed:
            attempts.run("the cursor of what expired", lambda: self._reach(now))

    def _reach(self, until: datetime) -> None:
        self._run("shared/cursor_write", name="expired", reached=clickhouse_time(until))

    def _expire_parked(self, newest: datetime, arrived: datetime) -> None:
        horizon = max(newest - timedelta(days=self.privacy.parked_days), ids.EPOCH)
        horizon_ms = ids.millis(horizon)
        self._run("maintenance/expire_collect", horizon_ms=horizon_ms, arrived=clickhouse_time(arrived))
        self._run("maintenance/parked_found", horizon_ms=horizon_ms)

    def _write_ledger(self, left: datetime) -> None:
        if self._expired_since(left):
            self._run("maintenance/expire_ledger", since=clickhouse_time(left))

    def _delete_parked(self, left: datetime, attempts: Attempts) -> None:
        """Delete the rows of what expired parked, in statements that name them, partition by partition."""
        name, most = "the rows of what expired parked", KEYS * STATEMENTS
        found: list[dict[str, Any]] = []
        attempts.run(
            name,
            lambda: found.extend(
                self.warehouse.query("maintenance/expire_rows", since=clickhouse_time(left), most=most)
            ),
        )
        mutations = Mutations(self.warehouse, attempts)
        for partition, rows in groupby(found, key=itemgetter("partition")):
            keys = [(row["id"], row["tenant"], row["revision"], row["ground_truth"]) for row in rows]
            for first in range(0, len(keys), KEYS):
                delete = functools.partial(
                    self._run, "maintenance/expire_delete", partition=partition, keys=keys[first : first + KEYS]
                )
                if not mutations.run(name, "feedback", delete):
                    return
        if len(found) == most:
            attempts.put_off(name, f"more than {most:,} of them; the others follow")

    def _expired_since(self, since: datetime) -> int:
        sql = (
            "SELECT (SELECT count() FROM expired FINAL WHERE expired_at >= {since:DateTime64(3, 'UTC')})"
            " + (SELECT count() FROM expired_inferences FINAL WHERE expired_at >= {since:DateTime64(3, 'UTC')}) AS n"
        )
        return int(self.warehouse.rows(sql, since=clickhouse_time(since))[0]["n"])

    def _forget(self) -> None:
        """Drop the months of `parked` in which nothing waits any more, each as the one part that was looked at.

        A row that comes meanwhile stands in another part, and stays (DROP PARTITION would take it along). Several parts
        become one first: without those that say that something waits no longer, it would seem to wait again.
        """
        empty = self.warehouse.query("maintenance/parked_empty")
        if scattered := [int(row["partition"]) for row in empty if len(row["parts"]) > 1]:
            for partition in scattered:
                self.warehouse.command(f"OPTIMIZE TABLE parked PARTITION ID '{partition}' FINAL")
            empty = self.warehouse.query("maintenance/parked_empty")
        for row in empty:
            if len(row["parts"]) == 1:
                self._run("maintenance/retain_drop", table="parked", part=row["parts"][0])

    def _run(self, query: str, **parameters: object) -> None:
        self.warehouse.command(query_text(query), **parameters)
