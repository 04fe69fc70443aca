"""One run of the trainer for a job: its folder, its bounds, its progress, its outcome."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from consumers.retrain.child import Child
from consumers.retrain.folders import ERRORS, earlier, make, resumable, work_folder
from consumers.retrain.outcome import Outcome, outcome_of, read_result
from consumers.retrain.progress import progress_of
from consumers.retrain.table import Event
from consumers.retrain.timings import Timings
from headrace.bus.protocol import Producer
from headrace.contract.control import Job, Progress, Served
from headrace.contract.events import sentence
from headrace.contract.job_file import JOB, WAIT, JobFile
from headrace.contract.topics import PROGRESS
from headrace.errors import HeadraceError
from headrace.plan import Budget, Plan
from headrace.process.memory import GIB
from headrace.settings import PREFIX, Settings

log = logging.getLogger(__name__)

# Progress is for people: a trainer that prints faster than Kafka takes it loses the lines in between.
MAX_UNSENT = 512
# The trainer keeps to the plan's bounds itself, and gives an answer then. These ends are for one that does not.
OVER = 1.1


@dataclass(frozen=True, slots=True)
class Trainer:
    """What every attempt needs.

    command: the trainer's command line; the job file is appended
    progress: where its lines go; not fenced, because each names its attempt
    """

    settings: Settings
    plan: Plan
    command: Sequence[str]
    progress: Producer
    timings: Timings


class Cancelled(Exception):
    """The job has ended while its trainer ran."""


@dataclass(slots=True)
class Worked:
    """How long a trainer has worked: the time in which it waits for the device, as it says, does not count."""

    _since: float = field(default_factory=time.monotonic)
    _waits_since: float | None = None

    def heard(self, progress: Progress) -> None:
        """What the trainer said last."""
        now, waits = time.monotonic(), progress.stage == WAIT and progress.done < progress.total
        if self._waits_since is not None:
            self._since += now - self._waits_since
        self._waits_since = now if waits else None

    def seconds(self) -> float:
        """Until now."""
        return (self._waits_since or time.monotonic()) - self._since


def patience_s(budget: Budget, timings: Timings) -> float:
    """After how many seconds of work a trainer is ended that has not ended itself: later than the plan tells it to."""
    return OVER * 60 * budget.minutes + timings.overtime_s


def write_job_file(trainer: Trainer, job: Job, live: Served) -> Path:
    """Make the attempt's folder and write job.json, the trainer's only input.

    Raises OSError, ValidationError where the plan does not go with the job."""
    work = make(trainer.settings, job)
    content = JobFile(
        job_id=job.job_id,
        trigger_id=job.trigger_id,
        task=job.task,
        number=job.number,
        attempt=job.attempt,
        version=job.version,
        work=work,
        resume_from=resumable(trainer.settings, job),
        earlier=earlier(trainer.settings, job),
        trigger=job.trigger,
        live=live,
        plan=trainer.plan,
        # Its secrets come by its environment, or from the home: this file stays.
        settings=trainer.settings.environ(secrets=()),
        # The same job draws the same splits and batches whichever attempt finishes it.
        seed=job.job_id.int & 0x7FFF_FFFF,
    )
    path = work / JOB
    path.touch(mode=0o600)
    path.write_text(content.model_dump_json(indent=1), "utf-8")
    return path


async def run(
    trainer: Trainer, job: Job, live: Served, beat: Callable[[], Awaitable[None]], stopping: asyncio.Event
) -> Outcome:
    """Run the trainer to its end. However this returns or is cancelled, the trainer is gone.

    beat: called every `heartbeat_s`; what it raises (the partition is lost) ends the trainer at once
    stopping: ends it in good order
    """
    work = work_folder(trainer.settings, job)
    try:
        path = write_job_file(trainer, job, live)
        child = await Child.start([*trainer.command, str(path)], work / ERRORS, _environ(trainer.settings))
    except OSError as error:
        return Outcome(Event.CRASHED, f"the trainer could not be started: {error}")
    except ValidationError as error:
        return Outcome(Event.REFUSED, f"the job cannot be done as it is: {sentence('job', error)}")
    log.info("%s attempt %d runs as process %d", job.version, job.attempt, child.pid)
    worked = Worked()
    shown = asyncio.create_task(_show(trainer.progress, child, job, worked))
    try:
        outcome = await _watch(trainer, child, worked, beat, stopping)
        if outcome is not None:
            await child.end(trainer.timings.grace_s if outcome.event is Event.STOPPED else 0.0)
            return outcome
        code = await child.end()
        await asyncio.wait({shown}, timeout=trainer.timings.grace_s)
        return outcome_of(code, read_result(work), job, child.last_words)
    finally:
        shown.cancel()
        await asyncio.shield(child.end())


async def _watch(
    trainer: Trainer, child: Child, worked: Worked, beat: Callable[[], Awaitable[None]], stopping: asyncio.Event
) -> Outcome | None:
    """None once it has ended by itself, else why it must end."""
    budget, timings = trainer.plan.budget, trainer.timings
    patience = patience_s(budget, timings)
    due = time.monotonic() + timings.heartbeat_s
    stop = asyncio.create_task(stopping.wait())
    try:
        while not child.ended.done():
            await asyncio.wait({child.ended, stop}, timeout=timings.look_s, return_when=asyncio.FIRST_COMPLETED)
            if child.ended.done():
                break
            if stop.done():
                return Outcome(Event.STOPPED, "the consumer was told to stop; its successor goes on")
            if worked.seconds() > patience:
                return Outcome(Event.CRASHED, f"the trainer took longer than the plan's {budget.minutes:g} minutes")
            if (held := child.memory_bytes()) > OVER * budget.memory_gib * GIB:
                return Outcome(
                    Event.CRASHED,
                    f"the trainer held {held / GIB:.1f} GiB, more than the plan's {budget.memory_gib:g}",
                )
            if time.monotonic() >= due:
                due = time.monotonic() + timings.heartbeat_s
                await beat()
        return None
    finally:
        stop.cancel()


async def _show(producer: Producer, child: Child, job: Job, worked: Worked) -> None:
    """Send what the trainer says, in order, until it closes its output."""
    unsent: asyncio.Queue[Progress] = asyncio.Queue(MAX_UNSENT)
    sender = asyncio.create_task(_send(producer, unsent))
    sequence = 0
    try:
        async for line in child.lines():
            if progress := progress_of(line, job, sequence, datetime.now(UTC)):
                sequence += 1
                worked.heard(progress)
                if unsent.full():
                    unsent.get_nowait()
                    unsent.task_done()
                unsent.put_nowait(progress)
        await unsent.join()
    finally:
        sender.cancel()


async def _send(producer: Producer, unsent: asyncio.Queue[Progress]) -> None:
    while True:
        progress = await unsent.get()
        try:
            await producer.send(PROGRESS, progress.to_json(), str(progress.job_id).encode())
        except HeadraceError as error:
            log.warning("a line of progress was not stored: %s", error)
        unsent.task_done()


def _environ(settings: Settings) -> dict[str, str]:
    """Of the secrets the trainer uses one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return own | settings.environ(secrets=("clickhouse_password",))
