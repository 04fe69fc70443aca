"""A worker's duties beside copying: look after stopped partitions, tell its health, keep house."""

from __future__ import annotations

import asyncio
import logging
import time

import faust

from headrace.contract.topics import PROMOTIONS
from headrace.errors import HeadraceError
from streams.health import Health, Metrics
from streams.housekeeping import Housekeeping
from streams.housekeeping_offsets import Offsets
from streams.poison import Gate
from streams.threads import own_thread
from streams.worker import GROUP, owns

log = logging.getLogger("streams")

ASK_EVERY_S = 3.0
RUN = ("topic", "partition", "first", "last", "state", "note")


class Accepted(HeadraceError):
    """A stopped partition goes on: the worker starts again, and reads it from where it stopped."""


def watch_poison(app: faust.App, gate: Gate) -> None:
    """See now and then what people decided about stopped partitions."""
    run = own_thread("poison")

    async def ask() -> None:
        try:
            accepted = await run(gate.read)
        except HeadraceError as error:
            log.warning("the stopped partitions cannot be read, it will try again: %s", error)
            return
        own = [place for place in accepted if owns(app, *place)]
        if own:
            await app.crash(Accepted(f"{own[0][0]}/{own[0][1]} goes on"))

    app.timer(ASK_EVERY_S, name="poison")(ask)


def tell_health(app: faust.App, health: Health, gate: Gate) -> None:
    """Serve the worker's health, and watch its partitions."""

    async def serve() -> None:
        await health.serve()

    async def watch() -> None:
        await health.watch(GROUP)

    async def owned() -> None:
        health.owned = frozenset((tp.topic, tp.partition) for tp in app.consumer.assignment())
        health.stopped = frozenset(gate.stopped) & health.owned

    app.task(serve)
    app.task(watch)
    app.timer(1.0, name="owned")(owned)


def keep_house(app: faust.App, housekeeping: Housekeeping, offsets: Offsets, metrics: Metrics, every_s: float) -> None:
    """Run a pass now and then on the worker that owns the promotions' one partition."""
    run = own_thread("maintenance")

    async def look() -> None:
        if not owns(app, PROMOTIONS.name):
            return
        began = time.monotonic()
        # Offsets first: they are looked for among the rows that the pass then settles. Neither waits for the other's
        # success, and both wait for the warehouse, which the worker's own event loop must not.
        try:
            for gap in await run(lambda: asyncio.run(offsets.look())):
                log.error("%s/%d offsets %d to %d are %s: %s", *(getattr(gap, name) for name in RUN))
        except HeadraceError as error:
            log.warning("the offsets could not be proven, the next pass starts over: %s", error)
        try:
            done = await run(housekeeping.look)
        except HeadraceError as error:
            log.warning("the balance was not settled, the next pass starts over: %s", error)
            return
        for failure in done.failed:
            log.warning("a step of housekeeping is left to the next pass: %s", failure)
        metrics.parked.set(done.parked)
        metrics.missing.set(done.missing)
        metrics.duplicated.set(done.duplicated)
        if done.expired:
            log.info(
                "%d events expired: parked without their inference, or older than the plan keeps any", done.expired
            )
        if done.missing or done.duplicated:
            log.error(
                "%d events are missing and %d are duplicated: `headrace reconcile --by emitter,hour` names them",
                done.missing,
                done.duplicated,
            )
        log.info("housekeeping took %.1f s", time.monotonic() - began)

    app.timer(every_s, name="housekeeping")(look)
