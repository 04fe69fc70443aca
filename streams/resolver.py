"""Which answer is this feedback about, where it names it by another reference than its id or by a greater revision.

A step costs what came since the last one and what still waits, never the history: new feedback looks once for its
answer among those that are there, and from then on waits in a small table until an answer with its reference arrives
and wakes it. Every statement can be repeated: a worker killed between two of them goes on where the tables stand.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import faust

from headrace.contract import ids
from headrace.contract.topics import PROMOTIONS
from headrace.errors import HeadraceError
from headrace.warehouse import Warehouse, clickhouse_time, query_text
from streams.threads import own_thread
from streams.worker import owns

log = logging.getLogger(__name__)

EVERY_S = 5.0
# After a step it rests so many times as long as the step took: a million that wait slow it down and nothing else.
REST = 4.0
# A row's `ingested_at` is taken when its insert begins; an insert that takes longer than this has timed out.
SLACK = timedelta(seconds=120)
REMEMBER_EVERY = timedelta(seconds=60)
AT_ONCE = 20_000
ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Reach:
    """How far an answer may lie from feedback that names it.

    loose: before the feedback, for a session: a ticket is closed weeks after the conversation
    early: after the feedback, for a session without an answer before it: the clock of who gave it is behind
    before, after: of its id's time, for an id, a response, a span or a trace; after, because clocks differ by days, too
    """

    loose: timedelta = timedelta(days=60)
    early: timedelta = timedelta(minutes=15)
    before: timedelta = timedelta(days=400)
    after: timedelta = timedelta(days=400)


@dataclass(slots=True)
class Resolver:
    """Resolves references; one at a time, in one process. Blocking.

    reached: up to where arrivals have been compared with what waits; lost without harm, the warehouse knows it too
    """

    warehouse: Warehouse
    reach: Reach = Reach()
    reached: datetime | None = None
    remembered: datetime = ids.EPOCH

    def step(self) -> int:
        """Resolve what can be resolved now; returns how many rows of feedback got an answer.

        Raises WarehouseError; the next step goes on.
        """
        cursor = self.warehouse.query("resolver/cursor")[0]
        now: datetime = cursor["now"]
        since = max(ids.EPOCH, min(self.reached or cursor["reached"], now) - SLACK)
        self._run("resolver/collect", since=clickhouse_time(since))
        self._run("resolver/wake", since=clickhouse_time(since), early_s=int(self.reach.early.total_seconds()))
        resolved = self._look()
        self._run("resolver/follow", since=clickhouse_time(since))
        self.reached = now
        if abs(now - self.remembered) >= REMEMBER_EVERY:
            self._run("shared/cursor_write", name="resolver", reached=clickhouse_time(now))
            self.remembered = now
        return resolved

    def _look(self) -> int:
        """New feedback finds its answer, or waits."""
        resolved = 0
        for _ in range(ROUNDS):
            due = self._due()
            # A worker that was killed may have left rows that are found and not written.
            resolved += self._write(due["found"])
            if not due["new"]:
                break
            first, last = due["first"], due["last"]
            self._run(
                "resolver/match",
                until=clickhouse_time(last),
                loose_s=int(self.reach.loose.total_seconds()),
                early_s=int(self.reach.early.total_seconds()),
                first_id=str(_lowest_id(first - max(self.reach.before, self.reach.loose))),
                last_id=str(_lowest_id(last + self.reach.after)),
            )
            resolved += self._write(self._due()["found"])
            self._run("resolver/wait", until=clickhouse_time(last))
        return resolved

    def _write(self, found: int) -> int:
        if found:
            self._run("resolver/write")
            self._run("resolver/done")
        return found

    def _due(self) -> dict[str, Any]:
        return self.warehouse.query("resolver/due", limit=AT_ONCE)[0]

    def _run(self, query: str, **parameters: object) -> None:
        self.warehouse.command(query_text(query), **parameters)


def attach(app: faust.App, resolver: Resolver) -> None:
    """Take a step every EVERY_S seconds on the worker that owns the promotions' one partition."""
    app.timer(EVERY_S, name="resolver")(_step(app, resolver))


def _step(app: faust.App, resolver: Resolver) -> Callable[[], Awaitable[None]]:
    rest_until = 0.0
    run = own_thread("resolver")

    async def step() -> None:
        nonlocal rest_until
        began = time.monotonic()
        if not owns(app, PROMOTIONS.name) or began < rest_until:
            return
        try:
            resolved = await run(resolver.step)
            if resolved:
                log.info("%d rows of feedback got the answer that they are about", resolved)
        except HeadraceError as error:
            log.warning("the resolver could not take a step, it will try again: %s", error)
        rest_until = time.monotonic() + REST * (time.monotonic() - began)

    return step


def _lowest_id(at: datetime) -> UUID:
    return UUID(int=max(0, ids.millis(at)) << 80)
