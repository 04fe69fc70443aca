"""The states of a job: every state with every event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from consumers.retrain.table import TABLE, Event, apply, failures
from headrace.contract import ids
from headrace.contract.control import FINAL_STATES, Job, JobState, Trigger, TriggerKind

AT = datetime(2026, 3, 1, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)

# Written out here a second time on purpose: from each state, what each event leads to; anything else is refused.
EXPECTED = {
    JobState.CLAIMED: {
        Event.STARTED: JobState.RUNNING,
        Event.TAKEN_OVER: JobState.CLAIMED,
        Event.CANCELLED: JobState.NO_WINNER,
    },
    JobState.RUNNING: {
        Event.HEARTBEAT: JobState.RUNNING,
        Event.WON: JobState.WON,
        Event.NO_WINNER: JobState.NO_WINNER,
        Event.STARVED: JobState.WAITING,
        Event.UNDECIDED: JobState.WAITING,
        Event.REFUSED: JobState.FAILED,
        Event.CRASHED: JobState.CLAIMED,
        Event.EXHAUSTED: JobState.FAILED,
        Event.STOPPED: JobState.CLAIMED,
        Event.TAKEN_OVER: JobState.CLAIMED,
        Event.CANCELLED: JobState.NO_WINNER,
    },
    JobState.WAITING: {
        Event.HEARTBEAT: JobState.WAITING,
        Event.LABELS_ARRIVED: JobState.CLAIMED,
        Event.EXPIRED: JobState.NO_WINNER,
        Event.SUPERSEDED: JobState.NO_WINNER,
        Event.CANCELLED: JobState.NO_WINNER,
        Event.TAKEN_OVER: JobState.WAITING,
    },
}


def job(state: JobState, **fields: object) -> Job:
    trigger = Trigger(
        trigger_id=ids.uuid7(AT), task="router", kind=TriggerKind.DRIFT, decided_at=AT, reason="drift", test_from=AT
    )
    given = {"number": 1, "attempt": 1, "state": state, "at": AT, "heartbeat_at": AT, "version": "router@1"} | fields
    return Job(job_id=ids.uuid7(AT), trigger_id=trigger.trigger_id, task="router", trigger=trigger, **given)


@pytest.mark.parametrize(("state", "event"), list(product(JobState, Event)))
def test_every_state_with_every_event(state: JobState, event: Event) -> None:
    """An event leads where the table says, and nowhere from a state that does not know it."""
    expected = EXPECTED.get(state, {}).get(event)
    if expected is None:
        with pytest.raises(ValueError, match=f"a {state} job cannot be {event}"):
            apply(job(state), event, LATER)
        return
    after = apply(job(state), event, LATER, reason="because")
    assert after.state is expected
    assert after.heartbeat_at == LATER
    assert after.at == (LATER if expected is not state else AT)
    assert after.attempt == (2 if event is Event.STARTED else 1)


def test_final_states_are_final() -> None:
    """Nothing happens to a job that has ended."""
    assert not [state for state, _ in TABLE if state in FINAL_STATES]


@pytest.mark.parametrize("event", list(Event))
def test_only_runs_without_an_answer_count_as_failures(event: Event) -> None:
    """A crash and a takeover of a running job count; a stop, an answer and a wait for labels do not."""
    running = job(JobState.RUNNING, result={"failures": 1})
    if (JobState.RUNNING, event) not in TABLE:
        return
    counted = failures(apply(running, event, LATER)) - 1
    assert counted == (event in (Event.CRASHED, Event.EXHAUSTED, Event.TAKEN_OVER))


def test_taking_over_a_job_that_did_not_run_is_no_failure() -> None:
    """A job may change hands as often as it likes while no trainer runs for it."""
    for state in (JobState.CLAIMED, JobState.WAITING):
        assert failures(apply(job(state), Event.TAKEN_OVER, LATER)) == 0


@pytest.mark.parametrize("event", [Event.STARVED, Event.UNDECIDED])
def test_needs_lasts_as_long_as_the_wait(event: Event) -> None:
    """The number of missing labels stands in the job while it waits, and no longer."""
    waiting = apply(job(JobState.RUNNING), event, LATER, needs=40, reason="40 more")
    beaten = apply(waiting, Event.HEARTBEAT, LATER)
    assert (waiting.needs, beaten.needs, beaten.reason) == (40, 40, "40 more")
    assert apply(beaten, Event.LABELS_ARRIVED, LATER).needs == 0


def test_what_a_job_knows_is_kept() -> None:
    """A later result is merged into the earlier one."""
    started = apply(job(JobState.CLAIMED), Event.STARTED, LATER, result={"against": "router@0"})
    won = apply(started, Event.WON, LATER, result={"dataset": "d1"})
    assert won.result == {"against": "router@0", "dataset": "d1"}
