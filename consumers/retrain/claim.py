"""Which triggers become jobs: a pure decision over the trigger, the task's jobs and who serves it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from headrace.contract import ids
from headrace.contract.control import FINAL_STATES, Job, JobState, Served, Trigger, TriggerKind
from headrace.contract.precedence import takes_the_place
from headrace.plan import Plan

# What these found concerns one version: once another serves, they are out of date.
_ABOUT_A_VERSION = frozenset({TriggerKind.DRIFT, TriggerKind.CHEAPER})


def job_of(trigger: Trigger, plan: Plan, jobs: Iterable[Job], live: Served, owner: str, now: datetime) -> Job | None:
    """The job that the trigger becomes, CLAIMED or SKIPPED with its reason; None where it became one before.

    Where one is claimed, `ousted` names the waiting job whose place it takes.

    jobs: every job there has been, of all tasks
    live: who serves the task now
    """
    job_id = ids.derived(trigger.decided_at, "job", trigger.trigger_id)
    of_task = [job for job in jobs if job.task == trigger.task]
    if any(job.job_id == job_id for job in of_task):
        return None
    reason = _cancels(of_task) if trigger.kind is TriggerKind.CANCEL else _against(trigger, plan, of_task, live)
    number = 1 + max((job.number for job in of_task), default=0)
    return Job(
        job_id=job_id,
        trigger_id=trigger.trigger_id,
        task=trigger.task,
        number=number,
        state=JobState.SKIPPED if reason else JobState.CLAIMED,
        at=now,
        heartbeat_at=now,
        owner=owner,
        version="" if reason else f"{trigger.task}@{number}",
        reason=reason or trigger.reason,
        trigger=trigger,
    )


def _cancels(jobs: list[Job]) -> str:
    """What a trigger that cancels does: it becomes a job as each trigger does, but one that is never run."""
    numbers = [str(job.number) for job in jobs if job.state not in FINAL_STATES]
    return f"cancels job {', '.join(numbers)}" if numbers else "there was no open job to cancel"


def cancelled(trigger: Trigger, jobs: Iterable[Job]) -> list[Job]:
    """The open jobs that end because of this trigger."""
    if trigger.kind is not TriggerKind.CANCEL:
        return []
    return [job for job in jobs if job.task == trigger.task and job.state not in FINAL_STATES]


def _against(trigger: Trigger, plan: Plan, jobs: list[Job], live: Served) -> str:
    if trigger.task not in plan.tasks:
        return f"the plan has no task {trigger.task!r}; it has {', '.join(sorted(plan.tasks))}"
    if plan.task(trigger.task).kind == "generate":
        return f"{trigger.task} is of kind generate: no job trains texts yet, only `headrace train`"
    mode = plan.mode(trigger.task)
    if mode == "observe":
        return f"the plan's mode for {trigger.task} is observe: nothing is trained; set propose or auto there"
    if mode == "propose" and trigger.kind is not TriggerKind.MANUAL:
        return f"the plan's mode for {trigger.task} is propose: start it with `headrace trigger {trigger.task}`"
    for job in jobs:
        if job.state not in FINAL_STATES and not _gives_way(job, trigger):
            return f"job {job.number} of {trigger.task} is {job.state}{_stays(job, trigger)}; one job a task at a time"
    if trigger.kind in _ABOUT_A_VERSION and trigger.version and trigger.version != live.version:
        return f"the trigger is out of date: it was about {trigger.version}, and {live.version} serves now"
    return ""


def ousted(trigger: Trigger, jobs: Iterable[Job]) -> list[Job]:
    """The waiting jobs, of all tasks, that end because this trigger became a job: none or one."""
    return [job for job in jobs if job.task == trigger.task and _gives_way(job, trigger)]


def _gives_way(job: Job, trigger: Trigger) -> bool:
    waiting = job.state is JobState.WAITING and job.trigger_id != trigger.trigger_id
    return waiting and takes_the_place(trigger.kind, trigger.test_from, job.trigger.kind, job.trigger.decided_at)


def _stays(job: Job, trigger: Trigger) -> str:
    """Why a job that waits does not give way, in words."""
    if job.state is not JobState.WAITING:
        return ""
    return f" for labels after a {job.trigger.kind} trigger, and a {trigger.kind} trigger does not take its place"
