"""`python -m streams [--name NAME]`: one Faust worker; the one that reads the promotions also runs the monitor."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

import faust
import mode.loop

from headrace import plan as plans
from headrace.bus.kafka.security import refusal
from headrace.contract.topics import ACTIONS, PROMOTIONS, TRIGGERS
from headrace.errors import HeadraceError, Permanent, Transient, UserError
from headrace.plan import Plan
from headrace.process.readiness import member_name, ready
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams import housekeeping_duties as duties
from streams import resolver
from streams.clocks import Clocks
from streams.detectors import check
from streams.embedder import Embedder
from streams.health import STALL_S, Health, MeasuredSink, Metrics
from streams.housekeeping import Housekeeping
from streams.housekeeping_offsets import Offsets
from streams.monitor import Monitor, recorded
from streams.patience import Patience
from streams.poison import Gate
from streams.rules import Rules
from streams.threads import Run, own_thread
from streams.worker import GROUP, build, owns, publish, when_consuming

SWITCH_S = 0.0005
"""A block is sent by a thread while the next is checked. Each piece that the socket takes costs that thread a turn, and
a turn takes this long; at Python's 5 ms the sending took longer than ClickHouse did."""

GARBAGE = 200_000, 20, 50
"""When to look for cycles. A record on its way is a dozen containers and none of them in a cycle, and tens of thousands
wait where ClickHouse is the slower one: by default looking took a seventh of a worker's time at one event a record."""

CONNECT_ATTEMPTS = 40
"""How often ClickHouse is asked at a start, within about two minutes."""

log = logging.getLogger("streams")


def attach(app: faust.App, monitor: Monitor, plan: Plan) -> None:
    """Look at every task each time its plan says so, on the worker that owns the promotions' one partition."""
    run = own_thread("monitor")
    for name, task in plan.tasks.items():
        app.timer(task.windows.refresh_s, name=f"monitor-{name}")(_look(app, monitor, name, run))


def _look(app: faust.App, monitor: Monitor, name: str, run: Run) -> Callable[[], Awaitable[None]]:
    async def look() -> None:
        if not owns(app, PROMOTIONS.name):
            return
        try:
            trigger = await run(partial(monitor.look, name))
            if trigger is not None:
                await publish(app, TRIGGERS.name, trigger.task, trigger.to_json())
                # Before `sent`: where this fails both are published again, under the same ids.
                done = recorded(trigger)
                await publish(app, ACTIONS.name, done.kind, done.to_json())
                monitor.sent(trigger)
                log.info("trigger %s for %s: %s", trigger.kind, trigger.task, trigger.reason)
        except HeadraceError as error:
            log.warning("the monitor could not look at %s, it will try again: %s", name, error)

    return look


def connect(settings: Settings, patience: Patience) -> Warehouse:
    """Wait for ClickHouse. Raises Transient after CONNECT_ATTEMPTS."""
    for attempt in range(CONNECT_ATTEMPTS - 1):
        try:
            return Warehouse.connect(settings)
        except Transient as error:
            log.warning("%s", error)
            time.sleep(patience.pause_s(attempt))
    return Warehouse.connect(settings)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m streams", description=__doc__)
    parser.add_argument(
        "--name", default=member_name("streams-0"), help="the worker's slot, one process each (default %(default)s)"
    )
    parser.add_argument(
        "--housekeeping-s", type=float, default=300.0, help="seconds between passes of housekeeping (%(default)s)"
    )
    parser.add_argument(
        "--stall-s", type=float, default=STALL_S, help="seconds without progress until it is not alive (%(default)s)"
    )
    arguments = parser.parse_args(argv)
    name = arguments.name
    patience, metrics = Patience(), Metrics()
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*GARBAGE)
    mode.loop.use("uvloop")
    try:
        settings = Settings.from_environ()
        plan = plans.load(settings.plan)
        check(plan)
        # Faust would retry a refused login without a word.
        if refused := asyncio.run(refusal(settings)):
            raise refused
        warehouse = connect(settings, patience)
        gate = Gate(warehouse, warehouse, name, metrics.dead, metrics.empty)
        gate.read()
        rules = Rules.of(settings, plan, warehouse, lambda why: metrics.unproven.labels(why).inc())
        app = build(settings, name, rules, MeasuredSink(warehouse, metrics), patience, gate)
    except (UserError, Permanent) as error:
        print(error, file=sys.stderr)
        return 2
    except HeadraceError as error:
        print(error, file=sys.stderr)
        return 1
    duties.watch_poison(app, gate)
    duties.tell_health(app, Health(settings, name, metrics, app.pressure, arguments.stall_s), gate)
    offsets = Offsets(settings, warehouse, GROUP)
    duties.keep_house(app, Housekeeping(warehouse, plan.privacy, name), offsets, metrics, arguments.housekeeping_s)
    embedder = Embedder(settings.home / "log" / "embedding.log")
    clocks = Clocks(lambda task, seconds: metrics.ahead.labels(task).set(seconds))
    attach(app, Monitor(warehouse, plan, embedder, rules.audit_secret, clocks), plan)
    resolver.attach(app, resolver.Resolver(warehouse))
    when_consuming(app, lambda: ready(settings, name))
    # What is there now stays: no look at garbage need pass over it.
    gc.collect()
    gc.freeze()
    faust.Worker(app, loglevel="INFO").execute_from_commandline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
