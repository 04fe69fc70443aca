"""`python -m consumers.judge`: judges complaints until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Sequence

from consumers.judge.complaint import complaints_in
from consumers.judge.lookup import Lookup
from consumers.judge.offsets import Offsets
from consumers.judge.worker import Worker
from consumers.ownership import stop_on_signals
from consumers.process import name_of, run_to_end
from headrace import plan
from headrace.bus.kafka import KafkaConsumer
from headrace.client import AsyncClient
from headrace.contract.topics import FEEDBACK
from headrace.process.readiness import ready
from headrace.settings import Settings

log = logging.getLogger(__name__)

GROUP = "headrace-judge"
READ_S = 0.25
COMMIT_S = 1.0
TELL_S = 60.0
STOP_S = 5.0


async def serve(settings: Settings, name: str) -> None:
    """Judge until stopped. Raises HeadraceError where Kafka refuses."""
    stop = stop_on_signals()
    tasks = plan.load(settings.plan)
    consumer = KafkaConsumer(settings, [FEEDBACK], group=GROUP, client_id=name, instance=name)
    async with AsyncClient(settings, emitter="judge") as client:
        worker = Worker(tasks, Lookup(settings), client)
        working = asyncio.create_task(worker.run())
        try:
            await consumer.start()
            await _read(consumer, worker, working, stop, lambda: ready(settings, name))
        finally:
            working.cancel()
            await worker.close()
            await consumer.stop()


async def _read(
    consumer: KafkaConsumer, worker: Worker, working: asyncio.Task[None], stop: asyncio.Event, up: Callable[[], None]
) -> None:
    """Feed the worker, no more than it takes, and commit what it is done with."""
    offsets = Offsets()
    up()
    commit_due = tell_due = 0.0
    deadline = float("inf")
    while time.monotonic() < deadline and not (stop.is_set() and worker.idle):
        if stop.is_set() and deadline == float("inf"):
            deadline = time.monotonic() + STOP_S
        # A paused read keeps the membership alive.
        (consumer.pause if worker.full or stop.is_set() else consumer.resume)()
        for message in await consumer.read(READ_S):
            found = list(complaints_in(message.value))
            pending = offsets.begin((message.topic, message.partition), message.offset, len(found))
            for feedback in found:
                worker.take(feedback, pending)
        offsets.keep(consumer.assigned())
        if working.done():
            working.result()
        if time.monotonic() > commit_due:
            commit_due = time.monotonic() + COMMIT_S
            await consumer.commit(offsets.committable())
        if time.monotonic() > tell_due and worker.tally:
            tell_due = time.monotonic() + TELL_S
            log.info("so far: %s", ", ".join(f"{count} {what}" for what, count in sorted(worker.tally.items())))
    await consumer.commit(offsets.committable())


def main(argv: Sequence[str] | None = None) -> int:
    """The process."""
    name = name_of(argv, "judge", "Ask the plan's judge which step failed behind each complaint.")
    return run_to_end(name, lambda settings: serve(settings, name))


if __name__ == "__main__":
    sys.exit(main())
