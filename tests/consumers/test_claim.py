"""Which triggers become jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from consumers.retrain.claim import cancelled, job_of, ousted
from headrace import plan
from headrace.contract import ids
from headrace.contract.control import Job, JobState, Served, Trigger, TriggerKind

AT = datetime(2026, 3, 1, tzinfo=UTC)
LIVE = Served(version="router@0")
PLAN = plan.parse(
    """
version = 1
[tasks.router]
labels = ["hr", "it"]
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
version = "router@0"
[tasks.router.candidates.probe]
method = "probe"
"""
)


def trigger(kind: TriggerKind = TriggerKind.DRIFT, task: str = "router", version: str = "router@0") -> Trigger:
    return Trigger(
        trigger_id=ids.uuid7(AT),
        task=task,
        kind=kind,
        decided_at=AT,
        reason="errors rose",
        test_from=AT,
        version=version,
    )


def claim(given: Trigger, jobs: list[Job], live: Served = LIVE) -> Job | None:
    return job_of(given, PLAN, jobs, live, "headrace-retrain-0", AT)


def claimed(given: Trigger, jobs: list[Job], live: Served = LIVE) -> Job:
    job = claim(given, jobs, live)
    assert job is not None
    return job


def test_a_trigger_becomes_a_claimed_job() -> None:
    """The job names its trigger, its owner and the version it will publish."""
    given = trigger()
    job = claimed(given, [])
    assert (job.state, job.number, job.attempt, job.version) == (JobState.CLAIMED, 1, 0, "router@1")
    assert (job.trigger, job.owner, job.reason) == (given, "headrace-retrain-0", "errors rose")
    assert job.job_id == ids.derived(AT, "job", given.trigger_id)


def test_the_same_trigger_is_one_job() -> None:
    """A trigger that is delivered again becomes nothing, whatever became of its job."""
    given = trigger()
    first = claimed(given, [])
    for state in JobState:
        assert claim(given, [first.model_copy(update={"state": state})]) is None


@pytest.mark.parametrize("state", [JobState.CLAIMED, JobState.RUNNING, JobState.WAITING])
def test_one_job_a_task_at_a_time(state: JobState) -> None:
    """A trigger that finds a job of its task open is skipped, and says which."""
    open_job = claimed(trigger(), []).model_copy(update={"state": state})
    job = claimed(trigger(), [open_job])
    assert job.state is JobState.SKIPPED
    assert f"job 1 of router is {state}" in job.reason


def test_a_waiting_job_gives_way_to_a_stronger_trigger() -> None:
    """A person's trigger and a newer change take the place of a job that waits, and not of one that runs."""
    open_job = claimed(trigger(), []).model_copy(update={"state": JobState.WAITING})
    newer = trigger().model_copy(update={"test_from": AT + timedelta(minutes=1)})
    for given in (trigger(TriggerKind.MANUAL), newer):
        assert claimed(given, [open_job]).state is JobState.CLAIMED and ousted(given, [open_job]) == [open_job]
        running = open_job.model_copy(update={"state": JobState.RUNNING})
        assert claimed(given, [running]).state is JobState.SKIPPED and ousted(given, [running]) == []
    weaker = trigger(TriggerKind.CADENCE)
    assert (
        "waiting for labels after a drift trigger, and a cadence trigger does not" in claimed(weaker, [open_job]).reason
    )
    assert ousted(weaker, [open_job]) == []
    stale = trigger(version="router@9").model_copy(update={"test_from": AT + timedelta(minutes=1)})
    assert claimed(stale, [open_job]).state is JobState.SKIPPED


def test_another_tasks_job_is_no_hindrance() -> None:
    """Tasks retrain, and count their jobs, independently."""
    other = claimed(trigger(), []).model_copy(update={"task": "expert.hr", "number": 7})
    job = claimed(trigger(), [other])
    assert (job.state, job.number) == (JobState.CLAIMED, 1)


def test_numbers_grow_over_every_job() -> None:
    """No two jobs of a task share a number, even where one was skipped."""
    first = claimed(trigger(), [])
    skipped = claimed(trigger(), [first])
    ended = first.model_copy(update={"state": JobState.NO_WINNER})
    assert claimed(trigger(), [skipped, ended]).version == "router@3"


def test_a_person_cancels_whatever_is_open() -> None:
    """A job that runs, waits or is about to run ends; the request itself becomes a job that is never run."""
    first = claimed(trigger(), [])
    for state in (JobState.CLAIMED, JobState.RUNNING, JobState.WAITING):
        asked, opened = trigger(TriggerKind.CANCEL), first.model_copy(update={"state": state})
        job = claimed(asked, [opened])
        assert (job.state, job.reason) == (JobState.SKIPPED, "cancels job 1")
        assert cancelled(asked, [opened]) == [opened]
        assert cancelled(trigger(TriggerKind.MANUAL), [opened]) == []
    ended = first.model_copy(update={"state": JobState.WON})
    asked = trigger(TriggerKind.CANCEL)
    assert claimed(asked, [ended]).reason == "there was no open job to cancel"
    assert cancelled(asked, [ended]) == []


@pytest.mark.parametrize("kind", [kind for kind in TriggerKind if kind is not TriggerKind.CANCEL])
def test_a_trigger_about_a_version_that_no_longer_serves(kind: TriggerKind) -> None:
    """Drift and price concern one version and are out of date after it; the calendar and people are not."""
    job = claimed(trigger(kind), [], live=Served(version="router@4"))
    stale = kind in (TriggerKind.DRIFT, TriggerKind.CHEAPER)
    assert job.state is (JobState.SKIPPED if stale else JobState.CLAIMED)
    assert ("router@4 serves now" in job.reason) is stale


def test_a_task_that_the_plan_does_not_have() -> None:
    """It is skipped with a sentence that names the plan's tasks."""
    job = claimed(trigger(task="sorter"), [])
    assert (job.state, job.reason) == (JobState.SKIPPED, "the plan has no task 'sorter'; it has router")


@pytest.mark.parametrize(
    ("mode", "kind", "says"),
    [
        ("observe", TriggerKind.DRIFT, "is observe: nothing is trained"),
        ("observe", TriggerKind.MANUAL, "is observe: nothing is trained"),
        ("propose", TriggerKind.DRIFT, "start it with `headrace trigger router`"),
        ("propose", TriggerKind.CADENCE, "start it with `headrace trigger router`"),
        ("propose", TriggerKind.MANUAL, ""),
        ("auto", TriggerKind.DRIFT, ""),
    ],
)
def test_the_plan_says_how_far_the_loop_turns_by_itself(mode: str, kind: TriggerKind, says: str) -> None:
    """observe trains nothing, propose what a person starts, auto everything."""
    of_mode = PLAN.model_copy(update={"tasks": {"router": PLAN.tasks["router"].model_copy(update={"mode": mode})}})
    job = job_of(trigger(kind), of_mode, [], LIVE, "headrace-retrain-0", AT)
    assert job is not None and says in job.reason
    assert job.state is (JobState.SKIPPED if says else JobState.CLAIMED)


def test_nothing_trains_texts() -> None:
    """A trigger of a task of kind generate is skipped, a person's too, with the reason."""
    task = PLAN.tasks["router"].model_copy(
        update={"kind": "generate", "mode": "observe", "texts": (), "candidates": {}}
    )
    job = job_of(
        trigger(TriggerKind.MANUAL), PLAN.model_copy(update={"tasks": {"router": task}}), [], LIVE, "owner", AT
    )
    assert job is not None and job.state is JobState.SKIPPED
    assert job.reason == "router is of kind generate: no job trains texts yet, only `headrace train`"
