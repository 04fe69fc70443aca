"""How long a job waits for labels, and what takes its place meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from consumers.retrain.waiting import COUNTED, Arrived, arrived, given_up
from headrace.contract import ids
from headrace.contract.control import Job, JobState, Trigger, TriggerKind
from headrace.contract.precedence import takes_the_place

AT = datetime(2026, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
Kind = TriggerKind


def waiting(needs: int, start: int | None = 100) -> Job:
    """A job that began to wait at AT."""
    trigger = Trigger(trigger_id=ids.uuid7(AT), task="router", kind=Kind.DRIFT, decided_at=AT, reason="r", test_from=AT)
    return Job(
        job_id=ids.uuid7(AT), trigger_id=trigger.trigger_id, task="router", number=1, attempt=1, trigger=trigger,
        state=JobState.WAITING, at=AT, heartbeat_at=AT, needs=needs, result={COUNTED: start},
    )  # fmt: skip


def test_what_arrived_is_counted_from_the_attempt() -> None:
    """Labels that the last attempt had already are none that it asked for; nothing is known without both counts."""
    assert arrived(waiting(40), 130) == Arrived(30, 40)
    assert not Arrived(39, 40).enough and Arrived(40, 40).enough
    assert arrived(waiting(40), None) is None and arrived(waiting(40, start=None), 130) is None


@pytest.mark.parametrize(
    ("days", "labels", "ends"),
    [
        (6.9, 0, False),
        (7, 0, True),
        (7, None, True),
        (7, 49, True),
        (7, 50, False),
        (14, 65, True),
        (14, 67, False),
        (28, 79, True),
        (28, 80, False),
    ],
)
def test_a_job_that_is_about_to_be_decided_is_not_thrown_away(days: float, labels: int | None, ends: bool) -> None:
    """After a week a job waits on only where the rest of its 100 labels will be there within another week."""
    job = waiting(100)
    found = None if labels is None else Arrived(labels, 100)
    assert given_up(job, found, AT + timedelta(days=days), WEEK) is ends


STRONGER = [
    (Kind.MANUAL, Kind.DRIFT), (Kind.MANUAL, Kind.EXPERTS), (Kind.MANUAL, Kind.CHEAPER), (Kind.MANUAL, Kind.CADENCE),
    (Kind.DRIFT, Kind.CHEAPER), (Kind.DRIFT, Kind.CADENCE), (Kind.EXPERTS, Kind.CHEAPER), (Kind.EXPERTS, Kind.CADENCE),
    (Kind.CHEAPER, Kind.CADENCE), (Kind.EXPERTS, Kind.DRIFT), (Kind.EXPERTS, Kind.EXPERTS), (Kind.MANUAL, Kind.MANUAL),
]  # fmt: skip


@pytest.mark.parametrize(("asking", "held"), [pair for pair in product(Kind, Kind) if pair[1] is not Kind.CANCEL])
def test_what_takes_a_waiting_jobs_place(asking: TriggerKind, held: TriggerKind) -> None:
    """Each kind against each, about no newer change: a person's wish over all, a change over a saving.

    What cancels is never run, and so never waits.
    """
    assert takes_the_place(asking, AT, held, AT) is ((asking, held) in STRONGER)


@pytest.mark.parametrize("held", [Kind.DRIFT, Kind.EXPERTS])
def test_a_newer_change_takes_the_place_of_an_older_one(held: TriggerKind) -> None:
    """A drift that began after the waiting job was decided is another one; the same seen again is not."""
    later = AT + timedelta(hours=1)
    assert takes_the_place(Kind.DRIFT, later, held, AT) and not takes_the_place(Kind.DRIFT, AT, held, AT)
    assert not takes_the_place(Kind.DRIFT, None, held, AT) and not takes_the_place(
        Kind.CHEAPER, later, Kind.CHEAPER, AT
    )
