"""The states of a retraining job. The table is the whole rule; `apply` is the only code that changes a job.

    (a trigger) ──▶ CLAIMED ──started──▶ RUNNING ──won──────────────────▶ WON
         │            ▲  ▲                 │ │ ├──no winner─────────────▶ NO_WINNER
         │            │  └crashed, stopped─┘ │ └──refused, exhausted────▶ FAILED
         ▼            │                      └starved, undecided▶ WAITING
      SKIPPED         └──────labels arrived───────────────────────┘ └expired, superseded▶ NO_WINNER

A person may cancel a job that is claimed, running or waiting: NO_WINNER, with their reason.

A job waits because it has too few labels to begin (starved), or because its candidate met too few to be judged
(undecided); the candidate then waits with it, and the next attempt shows the same one more test rows. A waiting job
holds neither the device nor a stronger trigger (headrace.contract.precedence).

A job counts two things: `attempt`, the runs of its trainer, and `result["failures"]`, those of them that ended without
an answer and without having been told to; the plan's budget bounds the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from headrace.contract.control import Job, JobState


class Event(StrEnum):
    """What can happen to a job."""

    STARTED = "started"  # its trainer is about to run: the next attempt
    HEARTBEAT = "heartbeat"  # its owner is alive
    WON = "won"  # the trainer published a candidate that passed the gate
    NO_WINNER = "no_winner"  # the trainer found none
    STARVED = "starved"  # the trainer asks for more labels before it tunes anything
    UNDECIDED = "undecided"  # the gate asks for more labels about the candidate, which waits in its folder
    REFUSED = "refused"  # the trainer cannot use the job, the plan or an artifact: trying again would not help
    CRASHED = "crashed"  # the trainer ended in any other way, took too long or too much memory
    EXHAUSTED = "exhausted"  # it crashed as often as the budget allows
    STOPPED = "stopped"  # its owner was told to stop, and stopped the trainer
    TAKEN_OVER = "taken_over"  # a new owner found it open
    LABELS_ARRIVED = "labels_arrived"
    EXPIRED = "expired"  # the labels did not arrive in time
    SUPERSEDED = "superseded"  # a stronger trigger takes its place
    CANCELLED = "cancelled"  # a person ends it


TABLE: Mapping[tuple[JobState, Event], JobState] = {
    (JobState.CLAIMED, Event.STARTED): JobState.RUNNING,
    (JobState.CLAIMED, Event.TAKEN_OVER): JobState.CLAIMED,
    (JobState.CLAIMED, Event.CANCELLED): JobState.NO_WINNER,
    (JobState.RUNNING, Event.HEARTBEAT): JobState.RUNNING,
    (JobState.RUNNING, Event.WON): JobState.WON,
    (JobState.RUNNING, Event.NO_WINNER): JobState.NO_WINNER,
    (JobState.RUNNING, Event.STARVED): JobState.WAITING,
    (JobState.RUNNING, Event.UNDECIDED): JobState.WAITING,
    (JobState.RUNNING, Event.REFUSED): JobState.FAILED,
    (JobState.RUNNING, Event.CRASHED): JobState.CLAIMED,
    (JobState.RUNNING, Event.EXHAUSTED): JobState.FAILED,
    (JobState.RUNNING, Event.STOPPED): JobState.CLAIMED,
    (JobState.RUNNING, Event.TAKEN_OVER): JobState.CLAIMED,
    (JobState.RUNNING, Event.CANCELLED): JobState.NO_WINNER,
    (JobState.WAITING, Event.HEARTBEAT): JobState.WAITING,
    (JobState.WAITING, Event.LABELS_ARRIVED): JobState.CLAIMED,
    (JobState.WAITING, Event.EXPIRED): JobState.NO_WINNER,
    (JobState.WAITING, Event.SUPERSEDED): JobState.NO_WINNER,
    (JobState.WAITING, Event.CANCELLED): JobState.NO_WINNER,
    (JobState.WAITING, Event.TAKEN_OVER): JobState.WAITING,
}

WAITS = frozenset({Event.STARVED, Event.UNDECIDED})

# A run that ended this way gave no answer. One that was stopped on purpose, or that asked for labels, is excused.
FAILURES = frozenset({Event.CRASHED, Event.EXHAUSTED, Event.TAKEN_OVER})


def apply(
    job: Job,
    event: Event,
    now: datetime,
    *,
    reason: str | None = None,
    needs: int = 0,
    result: Mapping[str, Any] | None = None,
) -> Job:
    """The job after the event. Raises ValueError where the table has no such transition.

    reason: why; without one the old reason stays where the state does
    needs: labels that a job that begins to wait asks for
    result: merged into the job's own
    """
    state = TABLE.get((job.state, event))
    if state is None:
        raise ValueError(f"a {job.state} job cannot be {event}")
    merged = dict(job.result) | dict(result or {})
    if event in FAILURES and job.state is JobState.RUNNING:
        merged["failures"] = failures(job) + 1
    moved = state is not job.state
    return job.model_copy(
        update={
            "state": state,
            "attempt": job.attempt + (event is Event.STARTED),
            "at": now if moved else job.at,
            "heartbeat_at": now,
            "needs": needs if event in WAITS else job.needs if state is JobState.WAITING else 0,
            "reason": reason if reason is not None else "" if moved else job.reason,
            "result": merged,
        }
    )


def failures(job: Job) -> int:
    """Runs of the job's trainer that ended without an answer."""
    return int(job.result.get("failures", 0))
