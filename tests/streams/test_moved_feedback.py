"""Feedback that goes over to another answer counts there alone, in whatever order things came."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from long_history import Recorded, whole_hour
from router_story import Story

from headrace.contract.events import Feedback, Inference, new_feedback, new_inference
from headrace.contract.ids import uuid7
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS
from headrace.plan import Plan
from streams.audits import Audits
from streams.resolver import Resolver
from streams.window_counts import WindowCounts

MINUTE = timedelta(minutes=1)
COUNTS = "window_from, thumbs_down, labelled, errors"


class Moving:
    """Two audited answers in windows of their own, feedback about them, and what the monitor makes of it.

    As if half an hour lay between one look and the next.
    """

    def __init__(self, story: Story, plan: Plan) -> None:
        story.copies = False
        self.story, self.warehouse = story, story.sink
        self.now = whole_hour() - 180 * MINUTE
        self.last = self.now + 30 * MINUTE
        self.first, self.second = (self._answer(minutes) for minutes in (5, 25))
        self.counts, self.resolver = WindowCounts(Recorded(story.sink), plan.tasks), Resolver(story.sink)

    def _answer(self, minutes: int) -> Inference:
        at = self.now + minutes * MINUTE
        return new_inference(
            "router", "router@1", label="hr", occurred_at=at, inference_id=uuid7(at), session_id="s", input="why?",
            audited=True, audit_probability=1.0,
        )  # fmt: skip

    def said(self, source: str, signal: str, about: Inference | None = None, **fields: Any) -> Feedback:
        """About an answer, or about the session's; a second after what was said before it."""
        self.last += timedelta(seconds=1)
        at = self.last
        names = {"session_id": "s"} if about is None else {}
        answer = None if about is None else about.inference_id
        return new_feedback(
            answer, source, signal, occurred_at=at, feedback_id=uuid7(at), task="router", **names, **fields
        )

    def look(self) -> None:
        self.resolver.step()
        # What the former row said is gone before the monitor looks.
        self.warehouse.command("OPTIMIZE TABLE feedback FINAL")
        self.counts.watermark("router")
        for table in ("inferences", "feedback", "feedback_waiting"):
            sql = f"ALTER TABLE {table} UPDATE ingested_at = ingested_at - INTERVAL 30 MINUTE WHERE 1"
            self.warehouse.command(f"{sql} SETTINGS mutations_sync = 2")

    def windows(self) -> dict[int, tuple[int, int, int]]:
        """The minute at which each window begins, and its thumbs down, labels and errors."""
        rows = self.warehouse.rows(f"SELECT {COUNTS} FROM windows FINAL ORDER BY window_from")
        begun: list[datetime] = [row["window_from"] for row in rows]
        return {
            at.minute: (row["thumbs_down"], row["labelled"], row["errors"]) for at, row in zip(begun, rows, strict=True)
        }

    def copied(self, source: str = "audit_labels FINAL WHERE label != ''") -> list[Any]:
        return [row["inference_id"] for row in self.warehouse.rows(f"SELECT inference_id FROM {source}")]


@pytest.fixture
def moving(story: Story, plan: Plan) -> Moving:
    return Moving(story, plan)


def test_the_answer_that_feedback_leaves_is_counted_without_it(moving: Moving) -> None:
    """A better answer takes a thumb and a label over an hour later: the former's window and copy lose them."""
    story = moving.story
    story.put(INFERENCES, [moving.first])
    story.put(FEEDBACK, [moving.said("user", "thumb", value=-1)])
    story.put(LABELS, [moving.said("audit", "label", label="it", rater="ann")])
    moving.look()
    assert moving.windows() == {0: (1, 1, 1)}
    story.put(INFERENCES, [moving.second])
    moving.look()
    assert moving.windows() == {0: (0, 0, 0), 20: (1, 1, 1)}
    assert moving.copied() == moving.copied("audit_current") == [moving.second.inference_id]


@pytest.mark.parametrize("corrected_first", [False, True])
def test_a_revision_that_names_another_answer_is_the_only_one(moving: Moving, corrected_first: bool) -> None:
    """The greatest revision counts, also where the one before it comes last."""
    story = moving.story
    story.put(INFERENCES, [moving.first, moving.second])
    label = moving.said("audit", "label", moving.first, label="it", rater="ann")
    thumb = moving.said("user", "thumb", moving.first, value=-1)
    rounds = [
        [label, thumb],
        [e.model_copy(update={"inference_id": moving.second.inference_id, "revision": 1}) for e in (label, thumb)],
    ]
    for label, thumb in reversed(rounds) if corrected_first else rounds:
        story.put(LABELS, [label])
        story.put(FEEDBACK, [thumb])
        moving.look()
    assert moving.windows() == {0: (0, 0, 0), 20: (1, 1, 1)}
    assert moving.copied() == moving.copied("audit_current") == [moving.second.inference_id]
    assert moving.copied("ground_truth_current") == [moving.second.inference_id]
    assert moving.copied("feedback_current") == [moving.second.inference_id] * 2


def test_a_revision_that_waits_for_its_answer_takes_the_former_along(moving: Moving) -> None:
    """No answer keeps what was corrected; once the answer is there, it is there alone."""
    story = moving.story
    story.put(INFERENCES, [moving.first])
    label = moving.said("audit", "label", moving.first, label="it", rater="ann")
    story.put(LABELS, [label])
    moving.look()
    story.put(LABELS, [label.model_copy(update={"inference_id": None, "session_id": "s", "revision": 1})])
    moving.story.put(INFERENCES, [moving.second])
    moving.look()
    assert moving.windows() == {0: (0, 0, 0), 20: (0, 1, 1)}


def test_a_label_of_before_counts_where_a_later_one_has_left(moving: Moving) -> None:
    """Two experts labelled an answer, and the second one meant another: the first one's label is the answer's."""
    story = moving.story
    story.put(INFERENCES, [moving.first, moving.second])
    bob = moving.said("audit", "label", moving.first, label="hr", rater="bob")
    ann = moving.said("audit", "label", moving.first, label="it", rater="ann", revision=1)
    story.put(LABELS, [bob, ann])
    moving.look()
    assert moving.windows() == {0: (0, 1, 1), 20: (0, 0, 0)}
    moved = ann.model_copy(update={"inference_id": moving.second.inference_id, "revision": 2})
    for _ in range(2):
        story.put(LABELS, [moved])
        moving.look()
        assert moving.windows() == {0: (0, 1, 0), 20: (0, 1, 1)}
        rows = story.sink.rows("SELECT rater, error FROM audit_labels FINAL WHERE label != '' ORDER BY rater")
        assert [tuple(row.values()) for row in rows] == [("ann", 1), ("bob", 0)]
    story.put(LABELS, [moving.said("audit", "label", moving.first, label="finance", rater="carol")])
    moving.look()
    assert moving.windows() == {0: (0, 1, 1), 20: (0, 1, 1)}
    assert moving.warehouse.rows("SELECT rater FROM audit_current ORDER BY rater") == [
        {"rater": "ann"},
        {"rater": "carol"},
    ]


def test_of_a_thumb_that_was_turned_only_the_last_one_is_a_sign(moving: Moving) -> None:
    """A user thumbs down and then up: the answer is thanked, and not complained of."""
    moving.story.put(INFERENCES, [moving.first])
    down = moving.said("user", "thumb", moving.first, value=-1)
    moving.story.put(FEEDBACK, [down, down.model_copy(update={"value": 1.0, "revision": 1})])
    moving.look()
    assert moving.warehouse.rows("SELECT DISTINCT stratum FROM strata_current") == [{"stratum": "thanked"}]


def test_the_copies_of_what_left_are_found_without_the_monitor(moving: Moving) -> None:
    """A copy that asks for all that came since the cursor takes the label from the former answer, too."""
    story, audits = moving.story, Audits(moving.warehouse)
    story.put(INFERENCES, [moving.first])
    story.put(LABELS, [moving.said("audit", "label", label="it", rater="ann")])
    moving.resolver.step()
    audits.copy()
    story.put(INFERENCES, [moving.second])
    moving.resolver.step()
    assert moving.copied("audit_current") == [moving.second.inference_id]
    audits.copy()
    assert moving.copied() == [moving.second.inference_id]
