"""Of feedback that was revised the last revision alone counts, whatever it says."""

from __future__ import annotations

from typing import Any

import pytest
from router_story import START, Story

from headrace.contract.events import Feedback, Inference, new_feedback, new_inference
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS
from headrace.plan import Plan
from streams.window_counts import WindowCounts

ROUTING = {"signal": "verdict", "label": "it", "blame": "routing"}
NO_ERROR = {"signal": "verdict", "blame": "no_error"}
LABEL = {"source": "audit", "signal": "label", "label": "it"}
VIEWS = ("feedback_current", "ground_truth_current", "audit_current", "review_queue")
REVISED = {
    "a reviewer finds no error": ({"source": "reviewer", **ROUTING}, {"source": "reviewer", **NO_ERROR}),
    "a judge is asked again": ({"source": "judge", **ROUTING}, {"source": "judge", **NO_ERROR}),
    "a user takes a correction back": (
        {"source": "user", "signal": "correction", "label": "it"},
        {"source": "user", "signal": "thumb", "value": 1.0},
    ),
    "an emitter learns who spoke": (
        {"source": "user", "signal": "thumb", "value": -1.0},
        {"source": "user", "signal": "thumb", "value": 1.0, "rater": "ann"},
    ),
}
TAKEN_BACK = {
    "a blank label": {"source": "audit", "signal": "label"},
    "a comment": {"source": "audit", "signal": "comment", "comment": "it may be either"},
    "a reviewer's": {"source": "reviewer", "signal": "label", "label": "it"},
}


def said(about: Inference, words: dict[str, Any], **fields: Any) -> Feedback:
    return new_feedback(about.inference_id, **words, task="router", occurred_at=START, **fields)


def answer() -> Inference:
    return new_inference(
        "router", "router@1", label="hr", occurred_at=START, input="why?", audited=True, audit_probability=1.0
    )


def shown(story: Story) -> dict[str, int]:
    counts = {view: story.sink.rows(f"SELECT count() AS n FROM {view}")[0]["n"] for view in VIEWS}
    return {view: int(count) for view, count in counts.items()}


@pytest.mark.parametrize("case", REVISED)
@pytest.mark.parametrize("in_order", [True, False])
def test_what_was_revised_is_shown_as_it_was_said_last(story: Story, case: str, in_order: bool) -> None:
    """The first revision is no word of a rater, no truth and no question for an expert any more."""
    asked = answer().model_copy(update={"audited": False})
    first, last = REVISED[case]
    before = said(asked, first)
    after = said(asked, last, feedback_id=before.feedback_id, revision=1)
    story.put(INFERENCES, [asked])
    for event in (before, after) if in_order else (after, before):
        story.put(FEEDBACK if first["source"] == "user" else LABELS, [event])
    assert shown(story) == dict(zip(VIEWS, (1, 0, 0, 0), strict=True))


def test_another_keys_revision_takes_no_word_away(story: Story) -> None:
    """What a key says of an answer does not end what another one said under the same id."""
    asked = answer()
    before = said(asked, {"source": "user", "signal": "correction", "label": "it"}, key_id="a")
    after = said(asked, {"source": "user", "signal": "rephrase"}, key_id="b", revision=1)
    story.put(INFERENCES, [asked])
    story.put(FEEDBACK, [before, after.model_copy(update={"feedback_id": before.feedback_id})])
    assert (shown(story)["feedback_current"], shown(story)["ground_truth_current"]) == (2, 1)


@pytest.mark.parametrize("case", TAKEN_BACK)
@pytest.mark.parametrize("copied", [True, False])
def test_a_label_that_was_taken_back_is_none(story: Story, plan: Plan, case: str, copied: bool) -> None:
    """The audit counts an answer as labelled where its windows do, also where the label had been copied."""
    story.copies = False
    counts, asked = WindowCounts(story.sink, plan.tasks), answer()
    first = said(asked, LABEL, rater="ann")
    story.put(INFERENCES, [asked])
    story.put(LABELS, [first])
    if copied:
        counts.watermark("router")
        assert shown(story)["audit_current"] == 1
    story.put(LABELS, [said(asked, TAKEN_BACK[case], feedback_id=first.feedback_id, revision=1)])
    assert shown(story)["audit_current"] == 0
    counts.watermark("router")
    assert shown(story)["audit_current"] == 0
    assert story.sink.rows("SELECT count() AS n FROM audit_labels FINAL WHERE label != ''") == [{"n": 0}]
    story.put(LABELS, [said(asked, LABEL, feedback_id=first.feedback_id, revision=2)])
    counts.watermark("router")
    assert story.sink.rows("SELECT label FROM audit_labels FINAL WHERE label != ''") == [{"label": "it"}]


def test_the_label_of_another_rater_is_the_answers_where_one_was_taken_back(story: Story, plan: Plan) -> None:
    """It counts again, although it is older."""
    story.copies = False
    counts, asked = WindowCounts(story.sink, plan.tasks), answer()
    bob = said(asked, {**LABEL, "label": "hr"}, rater="bob")
    ann = said(asked, LABEL, rater="ann", revision=1)
    story.put(INFERENCES, [asked])
    story.put(LABELS, [bob, ann])
    counts.watermark("router")
    story.put(LABELS, [said(asked, TAKEN_BACK["a blank label"], feedback_id=ann.feedback_id, revision=2)])
    counts.watermark("router")
    assert story.sink.rows("SELECT rater, error FROM audit_current") == [{"rater": "bob", "error": False}]
