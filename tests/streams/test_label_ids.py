"""Labels are compared by the task's ids: how a rater types one is no error, nor is one that the task does not have."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from uuid import UUID

import pytest
from router_story import PLAN, Story

from headrace.contract.control import DeadLetter
from headrace.contract.events import Event, new_feedback, new_inference, pack
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS, Topic
from headrace.plan import Plan, parse
from streams.audits import Audits
from streams.decode import Raw
from streams.label_ids import LabelIds
from streams.monitor import Monitor
from streams.packed import packed
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

LIVE = "router@1"
OFFSETS = count(10_000)


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
    assert live.sink.query("shared/labels_available", task="router", tenant="", since_us=0) == [{"labels": known}]
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
    grown = plan.model_copy(update={"tasks": {"router": task.model_copy(update={"texts": (*task.texts, "payroll")})}})
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


@pytest.mark.parametrize("named", ["Something else", "something_else", ""])
def test_windows_count_what_the_plan_calls_out_of_scope(story: Story, named: str) -> None:
    """By its text or id, whatever it is called; a plan that names none has no answers out of scope."""
    labels = f'labels = ["hr", "it", "Something else"]\nout_of_scope = "{named}"'
    using = parse(PLAN.replace('labels = ["hr", "it", "finance"]', labels))
    answers = story.tell(100, 0.0, LIVE, mix={"hr": 0.6, "something_else": 0.3, "out_of_scope": 0.1})
    Monitor(story.sink, using).look("router")
    (row,) = story.sink.rows("SELECT sum(requests) AS requests, sum(out_of_scope) AS out_of_scope FROM windows FINAL")
    expected = sum(answer.label == "something_else" for answer in answers) if named else 0
    assert row == {"requests": 100, "out_of_scope": expected} and (expected > 10 or not named)


TEXTS = PLAN.replace('labels = ["hr", "it", "finance"]', 'labels = ["Human Resources", "IT", "人事"]')
PAYROLL = PLAN.replace('labels = ["hr", "it", "finance"]', 'labels = ["Human Resources", "IT", "人事", "Lohn & Maß"]')


def told(story: Story, using: Plan, topic: Topic, *events: Event, packed: bool = True) -> list[DeadLetter]:
    """Events as a worker with that plan stores them: in one record, or one by one where it is of a newer emitter."""
    fields = [event.model_dump(mode="json", exclude_none=True) for event in events]
    value = pack(events) if packed else json.dumps([one | {"mood": "good"} for one in fields]).encode()
    rules = Rules(rates={"router": 1.0}, label_ids=LabelIds.of(using.tasks))
    return store([Raw(topic.name, 0, next(OFFSETS), value)], table_of(topic), story.sink, rules)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("said", [" human resources", "human_resources"])
def test_a_label_is_named_by_its_text_or_id(story: Story, said: str, packed: bool) -> None:
    """What answers, scores, audits, outcomes and corrections call a label is stored as one id, and is no error."""
    using = parse(TEXTS)
    story.promote(LIVE, "a", errors=50, labelled=1000)
    story.now += timedelta(seconds=1)
    answers = [
        new_inference("router", LIVE, label=spelled, occurred_at=story.now, scores={said: 0.75, "人事": 0.25})
        for spelled in ("Human Resources", said)
    ]
    one, other = (answer.inference_id for answer in answers)
    at = {"occurred_at": story.now + timedelta(seconds=1)}
    labels = [
        new_feedback(one, "audit", "label", task="router", label="HUMAN RESOURCES ", **at),
        new_feedback(other, "outcome", "label", label=said, **at),
    ]
    correction = new_feedback(other, "user", "correction", label=said.upper(), **at)
    assert told(story, using, INFERENCES, *answers, packed=packed) == []
    assert told(story, using, LABELS, *labels, packed=packed) == []
    assert told(story, using, FEEDBACK, correction, packed=packed) == []
    assert story.sink.rows(
        "SELECT DISTINCT label FROM (SELECT label FROM inferences UNION ALL SELECT label FROM feedback)"
    ) == [{"label": "human_resources"}]
    (staff,) = [label for label, text in using.task("router").names.items() if text == "人事"]
    (scores,) = story.sink.rows("SELECT DISTINCT scores FROM inferences")
    assert scores["scores"] == {"human_resources": 0.75, staff: 0.25}
    Audits(story.sink).copy()
    Monitor(story.sink, using).look("router")
    counts = story.sink.rows("SELECT sum(labelled) AS labelled, sum(errors) AS errors FROM windows FINAL")
    assert counts == [{"labelled": 1, "errors": 0}]
    assert story.sink.rows("SELECT count() AS n FROM labels_unknown") == [{"n": 0}]


def test_nothing_but_the_label_is_written_otherwise(story: Story) -> None:
    """A record that is written anew for its labels makes the rows of one that named them by their ids."""
    using = parse(TEXTS)
    plain = {"input": 'Grüße\n\t"x" \U0001f600', "cost": 1e-7, "occurred_at": story.now, "session_id": "s"}
    odd = plain | {"consent": False, "tokens_in": 2**31, "tenant": "acme", "parent_id": UUID(int=7), "latency_ms": 0.1}
    for fields in (plain, odd, odd | {"extra": {"emitter": "x"}}, odd | {"extra": {"a": [1.0, None], "b": {}}}):
        answer = new_inference("router", LIVE, label="Human Resources", scores={"HUMAN resources": 0.1}, **fields)
        said = new_feedback(answer.inference_id, "user", "correction", label="human resources", occurred_at=story.now)
        ids = {"label": "human_resources"}
        rows = []
        for one, other in (
            (answer, said),
            (answer.model_copy(update=ids | {"scores": {"human_resources": 0.1}}), said.model_copy(update=ids)),
        ):
            assert told(story, using, INFERENCES, one) == told(story, using, FEEDBACK, other) == []
            rows.append([
                story.sink.rows(f"SELECT * EXCEPT (kafka_offset, ingested_at) FROM {table} FINAL ORDER BY label, {key}")
                for table, key in (("inferences", "inference_id"), ("feedback", "feedback_id"))
            ])  # fmt: skip
        assert rows[0] == rows[1]


def test_a_text_that_the_plan_gets_later_counts(story: Story) -> None:
    """What was labelled with a text that no label had is shown as it was typed, and counts once the plan has it."""
    before, after = parse(TEXTS), parse(PAYROLL)
    story.promote(LIVE, "a", errors=50, labelled=1000)
    story.now += timedelta(seconds=1)
    answers = [
        new_inference("router", LIVE, label=label, occurred_at=story.now) for label in ("Lohn & Maß", "IT", "nobody")
    ]
    labels = [
        new_feedback(
            answer.inference_id, "audit", "label", label="LOHN & Maß", occurred_at=story.now + timedelta(seconds=1)
        )
        for answer in answers
    ]
    told(story, before, INFERENCES, *answers)
    told(story, before, LABELS, *labels)
    Audits(story.sink).copy()
    Monitor(story.sink, before).look("router")
    assert story.sink.rows("SELECT label, answers FROM labels_unknown") == [{"label": "lohn & maß", "answers": 3}]
    counts = "SELECT sum(labelled) AS labelled, sum(errors) AS errors FROM windows FINAL"
    assert story.sink.rows(counts) == [{"labelled": 0, "errors": 0}]
    for _ in range(2):
        Monitor(story.sink, after).look("router")
        assert story.sink.rows(counts) == [{"labelled": 3, "errors": 2}]
        (lohn,) = [label for label in after.task("router").labels if label.startswith("lohn")]
        assert story.sink.rows("SELECT DISTINCT label FROM feedback") == [{"label": lohn}]
        assert {row["label"] for row in story.sink.rows("SELECT label FROM inferences")} == {lohn, "it", "nobody"}
        assert story.sink.rows("SELECT count() AS n FROM labels_unknown") == [{"n": 0}]


@pytest.mark.parametrize("labels", [["Human Resources", "IT"], ["Human Resources", "IT", "Payroll"]])
def test_a_text_that_a_label_gets_later_counts(story: Story, labels: list[str]) -> None:
    """A worker stored answers by a text before its plan had it: once the monitor's has, they are right."""
    before, after = (
        parse(PLAN.replace('labels = ["hr", "it", "finance"]', f"labels = {json.dumps(texts)}"))
        for texts in (["human_resources", "it"], labels)
    )
    story.promote(LIVE, "a", errors=50, labelled=1000)
    story.now += timedelta(seconds=1)
    answers = [new_inference("router", LIVE, label="Human Resources", occurred_at=story.now) for _ in range(3)]
    at = {"occurred_at": story.now + timedelta(seconds=1)}
    labelled = [
        new_feedback(one.inference_id, "audit", "label", task="router", label="human_resources", **at)
        for one in answers
    ]
    assert told(story, before, INFERENCES, *answers) == told(story, before, LABELS, *labelled) == []
    for using, errors in ((before, 3), (after, 0), (after, 0)):
        Monitor(story.sink, using).look("router")
        counts = story.sink.rows("SELECT sum(labelled) AS labelled, sum(errors) AS errors FROM windows FINAL")
        assert counts == [{"labelled": 3, "errors": errors}]
        assert story.sink.rows("SELECT countIf(error) AS n FROM audit_labels FINAL") == [{"n": errors}]
    assert story.sink.rows("SELECT DISTINCT label FROM inferences") == [{"label": "human_resources"}]
    assert story.sink.rows("SELECT labels, settled FROM task_labels FINAL WHERE task = 'router'") == [
        {"labels": sorted(after.task("router").labels), "settled": True}
    ]


def test_scores_are_named_in_any_case(story: Story) -> None:
    """Scores bear ids in a plan of words in capitals too, whose labels the insert folds."""
    using = parse(PLAN.replace('labels = ["hr", "it", "finance"]', 'labels = ["HR", "IT"]'))
    answer = new_inference("router", LIVE, label="HR", occurred_at=story.now, scores={"HR": 0.75, "it": 0.25})
    assert told(story, using, INFERENCES, answer) == []
    assert story.sink.rows("SELECT label, scores FROM inferences") == [
        {"label": "hr", "scores": {"hr": 0.75, "it": 0.25}}
    ]


def test_a_time_is_cut_off_alike_where_a_label_gets_its_id() -> None:
    """Digits beyond the microsecond change no second: a record that is written anew says what its bytes said."""
    tasks = parse(PLAN.replace('"hr"', '"Human Resources"')).tasks
    (named,) = [label for label, text in tasks["router"].names.items() if text == "Human Resources"]
    for label in (named, "Human Resources"):
        fields = json.loads(new_inference("router", LIVE, label=label).to_json())
        value = json.dumps([fields | {"occurred_at": "2026-11-22T11:59:59.9999999Z"}]).encode()
        found = packed(Raw(INFERENCES.name, 0, 1, value), table_of(INFERENCES), Rules(label_ids=LabelIds.of(tasks)))
        assert found is not None and b"2026-11-22T11:59:59.999999" in found[0] and f'"{named}"'.encode() in found[0]
