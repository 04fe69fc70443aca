"""The jobs of one partition of the triggers topic: claimed, run, waited for, brought to an end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from consumers.copies import Alarms, Copy
from consumers.ownership import decoded
from consumers.retrain import attempt
from consumers.retrain.attempt import Trainer
from consumers.retrain.claim import cancelled, job_of, ousted
from consumers.retrain.folders import clear, settled
from consumers.retrain.labels import Labels
from consumers.retrain.outcome import Outcome
from consumers.retrain.table import Event, apply, failures
from consumers.retrain.waiting import COUNTED, Arrived, arrived, given_up
from headrace.bus.kafka import Hold, home_of, snapshot
from headrace.bus.protocol import Message
from headrace.contract import ids
from headrace.contract.compacted import Compacted, Unreadable, compacted, jobs_of, promotion_of
from headrace.contract.control import (
    FINAL_STATES,
    DeadLetter,
    Job,
    JobState,
    Promotion,
    RequestKind,
    RolloutRequest,
    Served,
    Trigger,
)
from headrace.contract.events import Record
from headrace.contract.topics import DEAD_LETTERS, JOBS, PROMOTIONS, RETRAIN_GROUP, ROLLOUTS, TRIGGERS, Topic
from headrace.errors import HeadraceError

log = logging.getLogger(__name__)

# How often what could not be read is read again.
AGAIN_S = 2.0


class Jobs:
    """An Owner (consumers.ownership) of one partition of headrace.triggers.

    A task whose jobs cannot be read, or were lost, is left as it is: nothing is written for it, and its triggers wait.

    device: one trainer at a time in this process; the trainer's own lock sees to the machine
    """

    def __init__(self, trainer: Trainer, labels: Labels, copy: Copy, partition: int, device: asyncio.Lock) -> None:
        self._trainer = trainer
        self._settings, self._plan, self._pace = trainer.settings, trainer.plan, trainer.timings
        self._labels = labels
        self._copy = copy
        self._partition = partition
        self._device = device
        self._hold = Hold(trainer.settings, TRIGGERS, partition, RETRAIN_GROUP)
        self._alarms = Alarms(copy, self._hold.name)
        self._topic: Compacted[Job] = Compacted({}, {})
        self._copied: Mapping[str, str] | None = None
        self._jobs: dict[str, dict[UUID, Job]] = {}
        self._unreadable: dict[str, Unreadable] = {}
        # A waiting job may end by a trigger while its own task counts labels: one of them writes at a time.
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()
        self._again_due = 0.0
        self._stopping = asyncio.Event()

    async def take_up(self) -> None:
        """See Owner. Open jobs of the partition go on, where their owners left them."""
        await self._hold.start()
        # Read after fencing: nobody can add a job of this partition any more.
        await self._look()
        owned = {job.task for job in self._topic.read.values() if job.owner == self._hold.name}
        planned = {task for task in self._plan.tasks if home_of(task, TRIGGERS) == self._partition}
        for task in sorted(owned | planned):
            await self._take_up_task(task)
        await self._alarms.raise_for(JOBS, self._unreadable.values())
        # What their owners had no time for, whoever they were.
        await asyncio.to_thread(clear, self._settings, list(self._topic.read.values()))

    async def take(self, message: Message) -> None:
        """See Owner. The job and the trigger's offset are one transaction."""
        trigger = decoded(message, Trigger)
        if isinstance(trigger, DeadLetter):
            await self._hold.write([(DEAD_LETTERS, trigger)], message.offset)
            return
        if trigger.task not in self._jobs and trigger.task not in self._unreadable:
            await self._take_up_task(trigger.task)
        live = await self._live(trigger.task)
        if trigger.task in self._unreadable or isinstance(live, Unreadable):
            self._hold.defer(message)
            return
        async with self._turn:
            job, ended = await self._claim(trigger, live[0], message.offset)
        if ended:
            await asyncio.to_thread(clear, self._settings, ended)
        if job:
            log.info("trigger %s became job %d of %s: %s", trigger.trigger_id, job.number, job.task, job.state)
            if job.state is JobState.CLAIMED:
                self._begin(job, delay_s=0.0)

    async def _claim(self, trigger: Trigger, live: Served, offset: int) -> tuple[Job | None, list[Job]]:
        """The trigger's job and the waiting one that ended for it, written as one with the trigger's offset."""
        jobs, now = self._jobs[trigger.task], datetime.now(UTC)
        job, ended = job_of(trigger, self._plan, jobs.values(), live, self._hold.name, now), list[Job]()
        if job is not None and job.state is JobState.CLAIMED:
            reason = f"a {trigger.kind} trigger takes its place as job {job.number}: {trigger.reason}"
            ended = [apply(one, Event.SUPERSEDED, now, reason=reason) for one in ousted(trigger, jobs.values())]
        if job is not None:
            reason = f"cancelled: {trigger.reason}"
            ended += [apply(one, Event.CANCELLED, now, reason=reason) for one in cancelled(trigger, jobs.values())]
        written = [*ended, *([job] if job else [])]
        await self._hold.write([(JOBS, one) for one in written], offset)
        jobs.update({one.job_id: one for one in written})
        return job, ended

    async def tick(self) -> None:
        """See Owner. Raises what ended a job's task, so that the partition is laid down with it."""
        for task in [task for task in self._running if task.done()]:
            self._running.discard(task)
            task.result()
        if (self._unreadable or self._hold.deferred) and time.monotonic() >= self._again_due:
            self._again_due = time.monotonic() + AGAIN_S
            await self._look_again()

    async def lay_down(self, orderly: bool) -> None:
        """See Owner. Not orderly: the trainers are killed and nothing more is written."""
        self._stopping.set()
        if not orderly:
            for task in self._running:
                task.cancel()
        for ended in await asyncio.gather(*self._running, return_exceptions=True):
            if isinstance(ended, Exception):
                log.warning("a job of partition %d ended in disorder: %s", self._partition, ended)
        await self._hold.stop()

    async def _look(self) -> None:
        self._topic = compacted(await snapshot(self._settings, JOBS), JOBS, Job)
        self._copied = await self._copy.jobs()

    async def _look_again(self) -> None:
        """Go on with what can be read again, and with the triggers that waited for it.

        Raises HeadraceError where that is the partition's only work: a restore has fenced this owner, which would find
        out at its next write and then wait longer than it takes to take the partition up anew.
        """
        await self._look()
        states = {task: jobs_of(task, self._topic, self._copied) for task in self._unreadable}
        mended = sorted(task for task, found in states.items() if not isinstance(found, Unreadable))
        if mended and not self._running:
            raise HeadraceError(f"the jobs of {', '.join(mended)} can be read again, and are taken up")
        for task in states:
            await self._take_up_task(task)
        await self._alarms.raise_for(JOBS, self._unreadable.values())
        for message in self._hold.deferred:
            await self.take(message)

    async def _take_up_task(self, task: str) -> None:
        """Go on with a task as its jobs say, or leave it as it is where they cannot be read."""
        found = jobs_of(task, self._topic, self._copied)
        if isinstance(found, Unreadable):
            self._unreadable[task] = found
            return
        self._unreadable.pop(task, None)
        self._jobs[task] = {job.job_id: job for job in found}
        for job in found:
            if job.owner == self._hold.name and job.state not in FINAL_STATES:
                await self._take_over(job)

    async def _take_over(self, job: Job) -> None:
        ran = job.state is JobState.RUNNING
        if ran and failures(job) + 1 >= self._plan.budget.attempts:
            await self._advance(job, Event.EXHAUSTED, f"attempt {job.attempt} was the last that the plan allows")
            return
        job = await self._advance(job, Event.TAKEN_OVER, f"taken over from attempt {job.attempt}" if ran else None)
        self._begin(job, delay_s=self._pace.handover_s if ran else 0.0)

    def _begin(self, job: Job, delay_s: float) -> None:
        self._running.add(asyncio.create_task(self._drive(job, delay_s)))

    async def _drive(self, job: Job, delay_s: float) -> None:
        """One job, until it ends or its owner does."""
        await self._pause(delay_s)
        while job.state not in FINAL_STATES and not self._stopping.is_set():
            if job.state is JobState.WAITING:
                job = await self._wait(job)
            else:
                job = await self._attempt(job)

    async def _attempt(self, job: Job) -> Job:
        """Run the trainer once and write down what came of it."""
        async with self._device:
            if self._stopping.is_set():
                return job
            found = await self._live(job.task)
            if isinstance(found, Unreadable):
                await self._pause(AGAIN_S)
                return job
            live, generation = found
            counted = await self._labels.available(job.trigger)
            reference = live.own_reference.version
            known = {"against": live.version, "reference": reference, "generation": generation, COUNTED: counted}
            job = await self._advance(job, Event.STARTED, result=known)
            if job.state in FINAL_STATES:
                return job
            current = job

            async def beat() -> None:
                nonlocal current
                current = await self._advance(current, Event.HEARTBEAT)
                if current.state in FINAL_STATES:
                    raise attempt.Cancelled

            try:
                outcome = await attempt.run(self._trainer, job, live, beat, self._stopping)
            except attempt.Cancelled:
                # What the trainer wrote after the job had ended.
                await asyncio.to_thread(clear, self._settings, [current])
                return current
        job = await self._conclude(current, outcome, generation)
        if outcome.event is Event.CRASHED:
            await self._pause(self._pace.retry_s * 2 ** (failures(job) - 1))
        return job

    async def _conclude(self, job: Job, outcome: Outcome, generation: int) -> Job:
        event, reason = outcome.event, outcome.reason
        log.info("%s attempt %d: %s, %s", job.version, job.attempt, event, reason)
        if event is Event.CRASHED and failures(job) + 1 >= self._plan.budget.attempts:
            event, reason = Event.EXHAUSTED, f"{reason}; the plan allows {self._plan.budget.attempts} attempts"
        requests: list[tuple[Topic, Record]] = []
        if outcome.served:
            requests.append((ROLLOUTS, _request(job, outcome.served, generation)))
        return await self._advance(job, event, reason, needs=outcome.needs, result=outcome.result, more=requests)

    async def _wait(self, job: Job) -> Job:
        """Until the labels that the trainer asked for are there, the time for them is over, or a trigger ended it."""
        patience, counted = timedelta(seconds=self._pace.waiting_s), None
        beat_due = counted_due = datetime.now(UTC)
        while job.state is JobState.WAITING and not self._stopping.is_set():
            now = datetime.now(UTC)
            if now >= counted_due:
                counted_due = now + timedelta(seconds=self._pace.labels_s)
                again = await self._labels.available(job.trigger)
                counted = counted if again is None else again
                if job.result.get(COUNTED) is None:
                    job = job.model_copy(update={"result": {**job.result, COUNTED: counted}})
            found = arrived(job, counted)
            if found is not None and found.enough:
                return await self._advance(job, Event.LABELS_ARRIVED, f"{found.labels} more labels are there now")
            if given_up(job, found, now, patience):
                return await self._advance(job, Event.EXPIRED, _late(job, found))
            if now >= beat_due:
                beat_due = now + timedelta(seconds=self._pace.heartbeat_s)
                job = await self._advance(job, Event.HEARTBEAT)
            await self._pause(min(self._pace.heartbeat_s, self._pace.labels_s))
        return job

    async def _advance(
        self,
        job: Job,
        event: Event,
        reason: str | None = None,
        *,
        needs: int = 0,
        result: Mapping[str, Any] | None = None,
        more: Sequence[tuple[Topic, Record]] = (),
    ) -> Job:
        """Apply the event and write the job, with what goes with it, as one.

        A job that a trigger has ended meanwhile comes back as it ended."""
        async with self._turn:
            known = self._jobs[job.task][job.job_id]
            if known.state in FINAL_STATES:
                return known
            job = apply(job, event, datetime.now(UTC), reason=reason, needs=needs, result=result)
            await self._hold.write([(JOBS, job), *more])
            self._jobs[job.task][job.job_id] = job
        if event is not Event.HEARTBEAT and settled(job):
            await asyncio.to_thread(clear, self._settings, [job])
        return job

    async def _live(self, task: str) -> tuple[Served, int] | Unreadable:
        """Who serves the task, and at which generation; the plan's incumbent at 0 before any promotion."""
        topic = compacted(await snapshot(self._settings, PROMOTIONS), PROMOTIONS, Promotion)
        found = promotion_of(task, topic, await self._copy.generations())
        if isinstance(found, Unreadable):
            await self._alarms.raise_for(PROMOTIONS, [found])
            return found
        if found is not None:
            return found.live, found.generation
        spec = self._plan.tasks.get(task)
        return Served(version=spec.incumbent.version if spec else task), 0

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not through an end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _late(job: Job, found: Arrived | None) -> str:
    there = f", {found.labels} did" if found else ""
    why = f"; before that: {job.reason}" if job.reason else ""
    return f"{job.needs} more labels did not arrive in time{there}{why}"


def _request(job: Job, served: Served, generation: int) -> RolloutRequest:
    return RolloutRequest(
        request_id=ids.derived(ids.time_of(job.job_id), "promote", job.job_id, job.attempt),
        task=job.task,
        kind=RequestKind.PROMOTE,
        at=datetime.now(UTC),
        by=RETRAIN_GROUP,
        candidate=served,
        generation=generation,
        reason=job.trigger.reason,
    )
