"""Which feedback is a complaint, and what is known of the answer behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from headrace.contract.elements import elements
from headrace.contract.events import Feedback, Signal, Source
from headrace.contract.given_ids import NOBODY
from headrace.contract.reading import careful
from headrace.errors import EventError

# Unhappy by their nature; a thumb and a rating are read by their value.
UNHAPPY = frozenset({Signal.REROUTE, Signal.REPHRASE, Signal.ESCALATION, Signal.ABANDON, Signal.CORRECTION})
LOW_RATING = 2

Key = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class DisputedAnswer:
    """What was asked and answered, from the warehouse.

    label: the answer's; signals: what speaks against it so far
    judged: a judge has spoken already
    """

    tenant: str
    inference_id: UUID
    task: str
    arm: str
    input: str
    label: str
    signals: tuple[str, ...]
    judged: bool


def is_complaint(feedback: Feedback) -> bool:
    """Whether a user says, or behaves as if, an answer that is named was bad."""
    # Which answer is meant is not known yet, where no id is given.
    if feedback.source not in (Source.USER, Source.IMPLICIT) or feedback.inference_id == NOBODY:
        return False
    if feedback.signal is Signal.THUMB:
        return feedback.value is not None and feedback.value < 0
    if feedback.signal is Signal.RATING:
        return feedback.value is not None and feedback.value <= LOW_RATING
    return feedback.signal in UNHAPPY


def complaints_in(value: bytes | None) -> Iterator[Feedback]:
    """The complaints in a record, one event or an array. What is malformed is the streams' to dead-letter."""
    try:
        # All of it first: the streams take nothing of a record that is broken at its end.
        every = list(elements(value or b"[]"))
    except EventError:
        return
    for found in every:
        try:
            feedback = careful(found, Feedback)
        except EventError:
            continue
        if is_complaint(feedback):
            yield feedback
