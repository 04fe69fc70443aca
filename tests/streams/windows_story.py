"""Closed windows of answers that a test writes itself: their scores, their words, their sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from router_story import START, Story

from headrace.contract.control import Promotion
from headrace.contract.events import new_inference
from headrace.contract.topics import INFERENCES
from headrace.plan import Task
from streams.detectors.detector import View

WINDOW = timedelta(minutes=10)
REFERENCE = 6
"""Windows of the plan's `rolling`: a test's first windows."""


@dataclass(frozen=True)
class Answer:
    """scores: as the model gave them; session: empty for one of its own."""

    scores: Mapping[str, float] = field(default_factory=dict)
    text: str = "how do I?"
    session: str = ""
    label: str = "hr"


def tell(story: Story, windows: Sequence[Sequence[Answer]]) -> None:
    """Store window after window from START on, the answers of each spread over it."""
    inferences = []
    for place, window in enumerate(windows):
        for number, answer in enumerate(window):
            at = START + place * WINDOW + (number + 0.5) / len(window) * WINDOW
            inferences.append(
                new_inference(
                    "router", "router@1", label=answer.label, occurred_at=at, input=answer.text,
                    scores=dict(answer.scores), session_id=answer.session or f"{place}/{number}", latency_ms=20.0,
                )
            )  # fmt: skip
    story.put(INFERENCES, inferences)


def view(story: Story, task: Task, promotion: Promotion, windows: int) -> View:
    """What a detector may look at when that many windows have closed."""
    return View(story.sink, "router", task, promotion, START + windows * WINDOW)
