"""The monitor on a real ClickHouse: figures, evaluations and triggers come out of stored rows."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from router_story import START, Story

from headrace.contract import ids
from headrace.contract.control import Job, JobState, RequestKind, RolloutRequest, Served, Step, Trigger, TriggerKind
from headrace.contract.events import new_feedback
from headrace.contract.topics import FEEDBACK, JOBS, LABELS, PROMOTIONS, ROLLOUTS, TRIGGERS
from headrace.errors import PlanError
from headrace.plan import Plan
from headrace.statistics.intervals import wilson
from streams import situation
from streams.decode import Raw
from streams.detectors import Reading, View, detectors
from streams.detectors.detector import ANSWERS, WORDS
from streams.detectors.soft import quiet
from streams.monitor import Monitor
from streams.rules import Rules
from streams.spans import start_of
from streams.store import store
from streams.tables import table_of


@pytest.fixture
def monitor(story: Story, plan: Plan) -> Monitor:
    return Monitor(story.sink, plan)


def put(story: Story, topic: object, record: object) -> None:
    raw = Raw(topic.name, 0, story.random.getrandbits(40), record.to_json())  # type: ignore[attr-defined]
    assert store([raw], table_of(topic), story.sink, Rules()) == []  # type: ignore[arg-type]


def evaluations(story: Story) -> list[dict[str, object]]:
    return story.sink.rows("SELECT * FROM evaluations FINAL ORDER BY watermark, looked_at, detector")


def test_a_task_without_traffic_is_left_alone(monitor: Monitor, story: Story) -> None:
    """No inference, no promotion: nothing is written."""
    assert monitor.look("router") is None
    assert story.sink.rows("SELECT count() AS n FROM windows")[0]["n"] == 0


def test_windows_count_what_happened(monitor: Monitor, story: Story) -> None:
    """A window has its answers, audits, errors and thumbs, and is written anew when late feedback arrives."""
    seen = story.tell(500, 0.3)
    story.tell(200, version="router@9")
    monitor.look("router")
    sql = "SELECT * FROM windows FINAL WHERE version = 'router@0' ORDER BY window_from"
    first = story.sink.rows(sql)
    audited = story.sink.rows("SELECT countIf(error) AS errors FROM audit_current WHERE version = 'router@0'")[0]
    assert [row["requests"] for row in first] == [500]
    assert (first[0]["labelled"], first[0]["errors"]) == (500, audited["errors"])
    assert first[0]["window_from"] == START and first[0]["latency_p95_ms"] == pytest.approx(20.0)
    thumbs = [new_feedback(i.inference_id, "user", "thumb", value=-1, task="router") for i in seen[:7]]
    # A second thumb of the same answer replaces the first.
    thumbs += [new_feedback(i.inference_id, "user", "thumb", value=1, task="router") for i in seen[:2]]
    story.put(FEEDBACK, thumbs)
    monitor.look("router")
    row = story.sink.rows(sql)[0]
    assert (row["requests"], row["thumbs_up"], row["thumbs_down"]) == (500, 2, 5)


def test_accuracy_is_rolling_and_has_an_interval(monitor: Monitor, story: Story) -> None:
    """Only the labels of the last six windows count, by version and together, with the 95 % Wilson interval."""
    story.tell(60, 1.0, every_s=1)
    story.now += timedelta(hours=2)
    story.tell(300, 0.1)
    story.tell(100, 0.3, version="router@1")
    monitor.look("router")
    rows = {row["version"]: row for row in story.sink.rows("SELECT * FROM accuracy FINAL")}
    assert {version: row["n"] for version, row in rows.items()} == {"*": 400, "router@0": 300, "router@1": 100}
    everything = rows["*"]
    assert everything["correct"] == rows["router@0"]["correct"] + rows["router@1"]["correct"]
    assert (everything["low"], everything["high"]) == pytest.approx(wilson(everything["correct"], 400))


def test_an_alarm_becomes_one_trigger(monitor: Monitor, story: Story, plan: Plan) -> None:
    """Quiet while answers are good, a drift trigger when they go bad, and none beside it until its job is over."""
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    story.tell(300, 0.05, "router@1")
    assert monitor.look("router") is None
    story.tell(150, 0.4, "router@1")
    trigger = monitor.look("router")
    assert trigger is not None and trigger.kind is TriggerKind.DRIFT and trigger.detector == "shiryaev_roberts"
    assert trigger.decided_at == story.now and trigger.labels == 450
    assert 100 < trigger.labels_since_change < 200
    assert START + timedelta(seconds=250) < trigger.test_from < START + timedelta(seconds=350)
    # A successor that knows nothing decides the same, under the same id.
    again = Monitor(story.sink, plan).look("router")
    assert again is not None and again.trigger_id == trigger.trigger_id
    monitor.sent(trigger)
    story.tell(1, 0.4, "router@1")
    assert monitor.look("router") is None
    assert "on its way" in str(evaluations(story)[-3:])
    put(story, TRIGGERS, trigger)
    assert monitor.look("router") is None and Monitor(story.sink, plan).look("router") is None
    assert "waits for its job" in str(evaluations(story))
    job = Job(
        job_id=ids.uuid7(), trigger_id=trigger.trigger_id, task="router", number=1, attempt=1,
        state=JobState.RUNNING, at=story.now, heartbeat_at=story.now, trigger=trigger,
    )  # fmt: skip
    put(story, JOBS, job)
    story.tell(1, 0.4, "router@1")
    assert monitor.look("router") is None and f"{job.job_id} is running" in str(evaluations(story)[-3:])
    later = story.now + timedelta(seconds=9)
    put(story, JOBS, job.model_copy(update={"state": JobState.NO_WINNER, "at": later, "heartbeat_at": later}))
    # The evidence that was acted on is no new evidence.
    story.tell(40, 0.4, "router@1")
    assert monitor.look("router") is None and "the plan asks for 50" in str(evaluations(story)[-3:])
    story.tell(10, 0.4, "router@1")
    second = monitor.look("router")
    assert second is not None and second.trigger_id != trigger.trigger_id


def test_a_won_job_holds_until_its_rollout_is_decided(monitor: Monitor, story: Story) -> None:
    """Copies of a job's end, its request and the promotion arrive in any order; until all are there nothing fires."""
    current = story.promote("router@1", artifact="a", errors=50, labelled=1000)
    story.tell(200, 0.4, "router@1")
    trigger = monitor.look("router")
    assert trigger is not None
    put(story, TRIGGERS, trigger)
    won = Job(
        job_id=ids.uuid7(), trigger_id=trigger.trigger_id, task="router", number=2, attempt=1,
        state=JobState.WON, at=story.now, heartbeat_at=story.now, trigger=trigger,
    )  # fmt: skip
    put(story, JOBS, won)
    story.tell(1, 0.4, "router@1")
    assert monitor.look("router") is None
    assert f"{won.job_id} won, and its rollout is not decided" in str(evaluations(story)[-3:])
    candidate = Served(version="router@2", artifact="b", job_id=won.job_id)
    request = RolloutRequest(
        request_id=ids.uuid7(), task="router", kind=RequestKind.PROMOTE, at=story.now, by="retrain", candidate=candidate
    )
    put(story, ROLLOUTS, request)
    story.tell(1, 0.4, "router@1")
    assert monitor.look("router") is None
    # The refusal of a request is its answer too, and ends the wait.
    story.promote("router@1", "a", 2, errors=50, labelled=1000, since=current.since, request_id=request.request_id)
    story.tell(50, 0.4, "router@1")
    again = monitor.look("router")
    assert again is not None and again.trigger_id != trigger.trigger_id


def test_a_promotion_starts_the_evidence_anew(monitor: Monitor, story: Story, plan: Plan) -> None:
    """After the next promotion the old version's errors are forgotten; during its rollout nothing fires."""
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    story.tell(100, 0.6, "router@1")
    since = START
    story.promote("router@1", "a", 2, step=Step.CANARY, errors=50, labelled=1000, since=since)
    assert monitor.look("router") is None
    story.now += timedelta(seconds=1)
    story.promote("router@2", "b", 3, errors=50, labelled=1000)
    story.tell(100, 0.05, "router@2")
    assert monitor.look("router") is None
    last = [row for row in evaluations(story) if row["generation"] == 3]
    assert {row["detector"] for row in last} == {*plan.tasks["router"].triggers.detectors, "policy"}
    assert not any(row["fired"] for row in last)


def test_every_look_is_a_row_unless_nothing_changed(monitor: Monitor, story: Story, plan: Plan) -> None:
    """Looks at the same watermark and labels add no rows; a new answer adds one a detector and one of the policy."""
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    story.tell(10, 0.05, "router@1")
    rows = len(plan.tasks["router"].triggers.detectors) + 1
    for _ in range(3):
        monitor.look("router")
    assert story.sink.rows("SELECT count() AS n FROM evaluations")[0]["n"] == rows
    story.tell(1, 0.05, "router@1")
    monitor.look("router")
    assert story.sink.rows("SELECT count() AS n FROM evaluations")[0]["n"] == 2 * rows
    row = next(row for row in evaluations(story) if row["detector"] == "shiryaev_roberts")
    assert row["reason"] and json.loads(str(row["inputs"]))["baseline"] > 0.05


def test_an_upstream_is_worth_a_try_at_enough_labels(story: Story, plan: Plan) -> None:
    """While the incumbent serves, `cheaper_after_labels` audits make a trigger whose test rows go back to the start."""
    router = plan.tasks["router"]
    router = router.model_copy(update={"triggers": router.triggers.model_copy(update={"cheaper_after_labels": 150})})
    monitor = Monitor(story.sink, plan.model_copy(update={"tasks": {"router": router}}))
    promotion = story.promote("router@0")
    story.tell(149)
    assert monitor.look("router") is None
    story.tell(1)
    trigger = monitor.look("router")
    assert trigger is not None and trigger.kind is TriggerKind.CHEAPER
    assert (trigger.test_from, trigger.labels, trigger.threshold) == (promotion.since, 150, 150.0)
    assert Trigger.model_validate_json(trigger.to_json()) == trigger


def alarm(family: str) -> SimpleNamespace:
    """A label-free detector that always alarms."""

    def read(view: View) -> Reading:
        return Reading(family, 90, 9.0, 5.0, True, "it differs", view.promotion.since, view.watermark, family=family)

    return SimpleNamespace(name=family, read=read)


def test_two_families_draw_the_same_audits_whoever_looks(
    story: Story, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers that look at once draw the same answers: uniform, of closed windows, none of the base audit's."""
    monkeypatch.setattr("streams.monitor.detectors", lambda wanted: (alarm(ANSWERS), alarm(WORDS)))
    router = plan.tasks["router"]
    cooling = router.triggers.model_copy(update={"cool_down_s": 3600.0, "draw_audits": 40})
    plan = plan.model_copy(update={"tasks": {"router": router.model_copy(update={"triggers": cooling})}})
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    answers = story.tell(900, 0.05, "router@1", audited=0.25)
    first, second = Monitor(story.sink, plan), Monitor(story.sink, plan)
    # Both have read the warehouse before either draws.
    read = situation.loops(story.sink, situation.promotions(story.sink, ["router"]).values())
    monkeypatch.setattr(situation, "loops", lambda queries, current: read)
    assert first.look("router") is None
    rows = "SELECT inference_id, inclusion_probability, reason, drawn_at FROM audit_draws FINAL ORDER BY inference_id"
    drawn = story.sink.rows(rows)
    assert second.look("router") is None
    assert story.sink.rows(rows) == drawn and len(drawn) == 40
    closed = {one.inference_id: one for one in answers if one.occurred_at < START + timedelta(minutes=10)}
    assert all(not closed[row["inference_id"]].audited for row in drawn)
    available = sum(not one.audited for one in closed.values())
    assert drawn[0]["inclusion_probability"] == pytest.approx(0.25 + 0.75 * 40 / available)
    assert "answers, words" in drawn[0]["reason"] and drawn[0]["drawn_at"] == START + timedelta(minutes=10)
    said = [row for row in evaluations(story) if row["detector"] == "policy"]
    assert [(row["decision"], row["fired"]) for row in said] == [("draw_audits", True)] * 2
    monkeypatch.undo()
    monkeypatch.setattr("streams.monitor.detectors", lambda wanted: (alarm(ANSWERS), alarm(WORDS)))
    story.tell(700, 0.05, "router@1", audited=0.25)
    assert Monitor(story.sink, plan).look("router") is None
    last = [row for row in evaluations(story) if row["detector"] == "policy"][-1]
    assert "last draw of audits is not over" in str(last["reason"]) and not last["fired"]
    assert story.sink.rows(rows) == drawn


def test_a_changed_list_of_experts_is_one_trigger(story: Story, plan: Plan) -> None:
    """A model of a job for two labels asks when the plan has three, once, under one id whoever looks."""
    monitor = Monitor(story.sink, plan)
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    story.tell(200, 0.6, "router@1")
    drift = monitor.look("router")
    assert drift is not None and drift.evidence["task_labels"] == ["finance", "hr", "it"]
    put(story, TRIGGERS, drift)
    job = Job(
        job_id=ids.uuid7(), trigger_id=drift.trigger_id, task="router", number=2, attempt=1,
        state=JobState.WON, at=story.now, heartbeat_at=story.now, trigger=drift,
    )  # fmt: skip
    put(story, JOBS, job)
    request = RolloutRequest(
        request_id=ids.uuid7(), task="router", kind=RequestKind.PROMOTE, at=story.now, by="retrain",
        candidate=Served(version="router@2", artifact="b", job_id=job.job_id),
    )  # fmt: skip
    put(story, ROLLOUTS, request)
    story.now += timedelta(seconds=1)
    live = Served(version="router@2", artifact="b", job_id=job.job_id, errors=50, labelled=1000)
    story.promote("router@2", generation=2, live=live, request_id=request.request_id)
    story.tell(60, 0.05, "router@2")
    assert Monitor(story.sink, plan).look("router") is None
    router = plan.tasks["router"]
    changed = plan.model_copy(update={"tasks": {"router": router.model_copy(update={"texts": ("hr", "it", "legal")})}})
    trigger = Monitor(story.sink, changed).look("router")
    again = Monitor(story.sink, changed).look("router")
    assert trigger is not None and trigger.kind is TriggerKind.EXPERTS and again is not None
    assert trigger.trigger_id == again.trigger_id and "new: legal; gone: finance" in trigger.reason
    put(story, TRIGGERS, trigger)
    put(story, JOBS, job.model_copy(
        update={"job_id": ids.uuid7(), "trigger_id": trigger.trigger_id, "state": JobState.NO_WINNER}
    ))  # fmt: skip
    story.tell(60, 0.05, "router@2")
    assert Monitor(story.sink, changed).look("router") is None


def test_targeted_reviews_leave_the_hard_trigger_as_it_was(monitor: Monitor, story: Story) -> None:
    """A hundred reviewers' corrections of unhappy answers change estimates, and not a digit of the hard trigger's."""
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    answers = story.tell(400, 0.05, "router@1", audited=0.5)
    assert monitor.look("router") is None
    before = [row for row in evaluations(story) if row["detector"] == "shiryaev_roberts"]
    unhappy = [one for one in answers if not one.audited][:100]
    story.put(LABELS, [
        new_feedback(
            one.inference_id, "reviewer", "label", task="router", label="finance" if one.label == "hr" else "hr",
            occurred_at=story.now, rater="expert",
        ) for one in unhappy
    ])  # fmt: skip
    assert Monitor(story.sink, monitor.plan).look("router") is None
    after = [row for row in evaluations(story) if row["detector"] == "shiryaev_roberts"]
    assert [(row["n"], row["statistic"]) for row in after] == [(row["n"], row["statistic"]) for row in before] * 2


def test_the_watermark_stands_when_traffic_stops(monitor: Monitor, story: Story) -> None:
    """Feedback moves no watermark, and an answer from the past does not turn it back."""
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    story.tell(5, version="router@1")
    monitor.look("router")
    newest = story.now
    story.now = START
    story.tell(2, version="router@1")
    monitor.look("router")
    assert evaluations(story)[-1]["watermark"] == newest
    assert PROMOTIONS.name  # the promotions come from their topic's copy


def test_a_detector_that_is_not_there_is_named() -> None:
    """A plan that asks for an unknown detector is refused, with those there are."""
    with pytest.raises(
        PlanError, match=r"no detector 'tea_leaves'; .* may name confidence_ks, .*label_psi, .*shiryaev"
    ):
        detectors(("label_psi", "tea_leaves"))


def test_windows_of_many_tasks_are_read_one_after_the_other(story: Story, plan: Plan) -> None:
    """They close at the same moment; the second task's count as closed a while later, the first one's at once."""
    ends: dict[str, list[datetime]] = {"router": [], "triage": []}

    def read(view: View) -> Reading:
        ends[view.task].append(start_of(view.closed_until, timedelta(seconds=600)))
        return quiet(view, "closes", "labels")

    tasks = dict.fromkeys(ends, plan.tasks["router"])
    monitor = Monitor(story.sink, plan.model_copy(update={"tasks": tasks}))
    monitor._detectors = dict.fromkeys(tasks, (SimpleNamespace(name="closes", read=read),))
    for name in tasks:
        story.promote(f"{name}@1", artifact="a", task=name)
    for seconds in (590, 605, 635):
        story.now = START + timedelta(seconds=seconds)
        for name in tasks:
            story.tell(1, version=f"{name}@1", task=name, every_s=0.001)
        for name in tasks:
            monitor.look(name)
    closed = START + timedelta(seconds=600)
    assert ends == {"router": [START, closed, closed], "triage": [START, START, closed]}
