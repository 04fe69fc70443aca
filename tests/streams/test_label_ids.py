"""Labels are compared by the task's ids: how a rater types one is no error, nor is one that the task does not have."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from router_story import Story

from headrace.contract.events import new_feedback
from headrace.contract.topics import INFERENCES, LABELS
from headrace.plan import Plan
from streams.monitor import Monitor

LIVE = "router@1"


def said(story: Story, n: int, spell: dict[str, str]) -> None:
    """Answers that are all right, and labelled as a rater spells their labels."""
    inferences, feedback = story.answers(n, 0.0, LIVE)
    story.put(INFERENCES, inferences)
    story.put(LABELS, [one.model_copy(update={"label": spell.get(one.label, one.label)}) for one in feedback])


@pytest.fixture
def live(story: Story) -> Story:
    story.promote(LIVE, "a", errors=50, labelled=1000)
    return story


def test_case_and_outer_blanks_are_no_error(live: Story, plan: Plan) -> None:
    """A rater who types " HR" or "IT" instead of hr and it fires nothing: every answer counts as right."""
    said(live, 300, {"hr": " HR", "it": "It\t"})
    monitor = Monitor(live.sink, plan)
    assert monitor.look("router") is None
    counts = live.sink.rows("SELECT sum(labelled) AS labelled, sum(errors) AS errors FROM windows FINAL")
    assert counts == [{"labelled": 300, "errors": 0}]
    assert live.sink.rows("SELECT count() AS n, countIf(error) AS errors FROM audit_current") == [
        {"n": 300, "errors": 0}
    ]
    newest = live.sink.rows("SELECT labelled, errors, audit_errors, unknown FROM accuracy_latest WHERE `by` = 'all'")
    assert newest == [{"labelled": 300, "errors": 0, "audit_errors": 0, "unknown": 0}]


def test_a_label_of_no_task_is_shown_apart(live: Story, plan: Plan) -> None:
    """Labels that the plan does not have are counted as such, and neither as labels nor as errors anywhere."""
    said(live, 300, {"finance": "Payroll"})
    monitor = Monitor(live.sink, plan)
    assert monitor.look("router") is None
    (shown,) = live.sink.rows("SELECT task, label, answers, raters FROM labels_unknown")
    payroll = int(shown["answers"])
    assert shown == {"task": "router", "label": "payroll", "answers": payroll, "raters": ["expert"]} and payroll > 30
    known = 300 - payroll
    assert live.sink.rows("SELECT sum(labelled) AS n, sum(errors) AS errors FROM windows FINAL") == [
        {"n": known, "errors": 0}
    ]
    newest = live.sink.rows("SELECT labelled, errors, audit_labelled, unknown FROM accuracy_latest WHERE `by` = 'all'")
    assert newest == [{"labelled": known, "errors": 0, "audit_labelled": known, "unknown": payroll}]
    detector = live.sink.rows("SELECT n, fired FROM evaluations FINAL WHERE detector = 'shiryaev_roberts'")
    assert detector == [{"n": known, "fired": False}]
    (status,) = live.sink.query("cli/status_tasks")
    assert (status["labels"], status["unknown_labels"]) == (known, payroll)
    waiting = {row["kind"]: row["waiting"] for row in live.sink.query("console/review")}
    assert waiting["unknown"] == payroll
    assert live.sink.query("shared/labels_available", task="router", since_us=0) == [{"labels": known}]
    live.sink.command("ALTER TABLE inferences UPDATE signed = true WHERE 1 SETTINGS mutations_sync = 2")
    (evidence,) = live.sink.query(
        "rollout/evidence", from_id=str(UUID(int=0)), since_us=0, task="router", arm="canary", candidate="-", live=LIVE
    )
    assert (evidence["live_labelled"], evidence["live_errors"]) == (known, 0)


def test_labels_are_judged_again_when_the_plan_has_others(live: Story, plan: Plan) -> None:
    """Once the plan has the label, what was said with it counts, in the figures of its windows too; and the reverse."""
    said(live, 200, {"finance": "Payroll"})
    Monitor(live.sink, plan).look("router")
    task = plan.tasks["router"]
    grown = plan.model_copy(update={"tasks": {"router": task.model_copy(update={"labels": (*task.labels, "payroll")})}})
    for using, unknown in ((grown, False), (plan, True)):
        Monitor(live.sink, using).look("router")
        rows = live.sink.rows("SELECT sum(labelled) AS n, sum(errors) AS errors FROM windows FINAL")
        (finance,) = live.sink.rows("SELECT countIf(label = 'finance') AS n FROM inferences")
        errors = 0 if unknown else finance["n"]
        assert rows == [{"n": 200 - finance["n"] if unknown else 200, "errors": errors}]
        assert live.sink.rows("SELECT countIf(error) AS n FROM audit_current") == [{"n": errors}]
        (newest,) = live.sink.rows("SELECT unknown, audit_errors FROM accuracy_latest WHERE `by` = 'all'")
        assert newest == {"unknown": finance["n"] if unknown else 0, "audit_errors": errors}


def test_copies_of_before_are_judged_again(live: Story, plan: Plan) -> None:
    """Audit labels that were copied as they were typed become ids, and are no errors, when the monitor starts."""
    said(live, 100, {})
    Monitor(live.sink, plan).look("router")
    live.sink.command(
        "ALTER TABLE audit_labels UPDATE label = upper(label), error = true WHERE 1 SETTINGS mutations_sync = 2"
    )
    live.sink.command("TRUNCATE TABLE task_labels")
    Monitor(live.sink, plan).look("router")
    rows = live.sink.rows(
        "SELECT countIf(error) AS errors, countIf(label != answered) AS other FROM audit_labels FINAL"
    )
    assert rows == [{"errors": 0, "other": 0}]


def test_other_words_than_the_audits_count_by_id_too(live: Story, plan: Plan) -> None:
    """What reviewers and outcomes say is compared by id in the estimate, and is unknown where the task lacks it."""
    inferences, _ = live.answers(30, 0.0, LIVE, audited=0.0)
    live.put(INFERENCES, inferences)
    labels = [inferences[0].label.upper(), f" {inferences[1].label}", "Nobody"]
    at = live.now + timedelta(seconds=1)
    live.put(LABELS, [
        new_feedback(one.inference_id, "reviewer", "label", task="router", label=label, occurred_at=at)
        for one, label in zip(inferences, labels, strict=False)
    ])  # fmt: skip
    Monitor(live.sink, plan).look("router")
    newest = live.sink.rows("SELECT known, known_errors, unknown FROM accuracy_latest WHERE `by` = 'all'")
    assert newest == [{"known": 2, "known_errors": 0, "unknown": 1}]
