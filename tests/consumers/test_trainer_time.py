"""How long a trainer may take: until its own end, by the plan's budget, then its parent's, or until a person's."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from datetime import timedelta

import pytest
from following import Process, alive, send, tail, trigger, until
from test_retrain import SCRIPT, left, of, office, runs

from headrace.contract.control import Job, JobState, TriggerKind
from headrace.contract.topics import JOBS, TRIGGERS
from headrace.settings import Settings

pytestmark = pytest.mark.stack

Start = Callable[..., Process]
ENDED = (JobState.NO_WINNER, JobState.FAILED)
LONGER_THAN_ITS_PATIENCE = timedelta(seconds=4)


def running_for(jobs: list[Job], task: str) -> timedelta:
    """Between the first and the last sign of life of the task's running job."""
    beats = [job.heartbeat_at for job in of(task, JobState.RUNNING)(jobs)]
    return beats[-1] - beats[0] if beats else timedelta()


async def test_what_is_finished_when_the_time_is_up_is_judged(stack: Settings, processes: Start) -> None:
    """A trainer that ends after the plan's minutes, as it judges what it has, gives its answer."""
    settings = office(stack, "late", "attempts = 1\nminutes = 0.02", late=["late:2"])
    await processes(settings, SCRIPT, "retrain").ready()
    await send(settings, TRIGGERS, trigger("late"))
    async with tail(settings, JOBS) as jobs:
        (late,) = await jobs.until(of("late", *ENDED))
        assert (late.state, late.reason) == (JobState.NO_WINNER, "what was finished was judged")


async def test_waiting_for_the_device_takes_nothing_of_the_budget(stack: Settings, processes: Start) -> None:
    """A trainer that waits longer for the device than it may work runs when it gets it."""
    settings = office(stack, "queue", "attempts = 1\nminutes = 0.02", queued=["lose"])
    lock = settings.home / "run" / "device.lock"
    lock.parent.mkdir()
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await processes(settings, SCRIPT, "retrain").ready()
        await send(settings, TRIGGERS, trigger("queued"))
        async with tail(settings, JOBS) as jobs:
            await jobs.until(
                lambda found: of("queued", *ENDED)(found) or running_for(found, "queued") > LONGER_THAN_ITS_PATIENCE
            )
            fcntl.flock(held, fcntl.LOCK_UN)
            (queued,) = await jobs.until(of("queued", *ENDED))
    assert (queued.state, queued.attempt) == (JobState.NO_WINNER, 1)


async def test_a_person_ends_a_job(stack: Settings, processes: Start) -> None:
    """A running job and a waiting one end with the person's reason; the trainer is gone, and nothing stays of them."""
    settings = office(stack, "cancel", running=["hang"], waiting=["undecided:50"])
    await processes(settings, SCRIPT, "retrain").ready()
    async with tail(settings, JOBS) as jobs:
        for task, state in (("running", JobState.RUNNING), ("waiting", JobState.WAITING)):
            await send(settings, TRIGGERS, trigger(task))
            await jobs.until(of(task, state))
            (run,) = await until(lambda task=task: runs(settings, task), 30)
            await send(settings, TRIGGERS, trigger(task, kind=TriggerKind.CANCEL, reason="wrong labels"))
            (ended,) = await jobs.until(of(task, *ENDED))
            assert (ended.state, ended.number, ended.reason) == (JobState.NO_WINNER, 1, "cancelled: wrong labels")
            (asked,) = await jobs.until(of(task, JobState.SKIPPED))
            assert asked.reason == "cancels job 1"
            await until(lambda run=run: not alive(run["pid"]), 30)
            await until(lambda task=task: set(left(settings, task)["1-a1"]) <= {"result.json"})
