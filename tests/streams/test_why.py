"""`headrace why` on a real warehouse: the whole story of a retraining, and why there is none."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from router_story import Story

from headrace.cli.why import quiet
from headrace.cli.why import story as why
from headrace.contract import ids
from headrace.contract.control import Job, JobState, Served, Step, Trigger, TriggerKind
from headrace.contract.topics import INFERENCES, JOBS, LABELS, TRIGGERS
from headrace.plan import Plan
from streams.decode import Raw
from streams.monitor import Monitor
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of


def put(told: Story, topic: object, record: object) -> None:
    raw = Raw(topic.name, 0, told.random.getrandbits(40), record.to_json())  # type: ignore[attr-defined]
    assert store([raw], table_of(topic), told.sink, Rules()) == []  # type: ignore[arg-type]


def retraining(told: Story, plan: Plan) -> str:
    """Good answers, bad ones during a canary, the trigger, its job, its candidates, its rollout, good ones again."""
    told.promote("router@1", "a", errors=50, labelled=1000)
    since = told.now
    told.tell(300, 0.05, "router@1")
    monitor = Monitor(told.sink, plan)
    assert monitor.look("router") is None
    told.promote("router@1", "a", 2, step=Step.CANARY, errors=50, labelled=1000, since=since)
    told.tell(100, 0.4, "router@1")
    assert monitor.look("router") is None
    told.tell(20, 0.4, "router@1")
    assert monitor.look("router") is None
    # The rollout ends within its generation here, so that the trigger's own generation was held.
    told.promote("router@1", "a", 2, step=Step.STEADY, errors=50, labelled=1000, since=since)
    told.tell(20, 0.4, "router@1")
    trigger = monitor.look("router")
    assert trigger is not None and trigger.kind is TriggerKind.DRIFT
    put(told, TRIGGERS, trigger)
    states = ((JobState.CLAIMED, "", 0), (JobState.RUNNING, "", 0), (JobState.WAITING, "not enough labels", 120),
              (JobState.WON, "lora passed", 0))  # fmt: skip
    job_id = ids.uuid7()
    for state, reason, needs in states:
        told.now += timedelta(minutes=10)
        put(told, JOBS, Job(
            job_id=job_id, trigger_id=trigger.trigger_id, task="router", number=2, attempt=1, state=state,
            at=told.now, heartbeat_at=told.now, version="router@2", trigger=trigger, reason=reason, needs=needs,
        ))  # fmt: skip
    candidate = {"job_id": str(job_id), "attempt": 1, "task": "router", "name": "lora", "at": told.now.isoformat(),
                 "gate": "passed", "accuracy": 0.94, "low": 0.92, "high": 0.955, "n": 1000, "split": "test",
                 "p95_ms": 12.5, "cost_per_1k": 0.002, "reason": "better: 70 gained and 20 lost"}  # fmt: skip
    told.sink.insert("candidates", [json.dumps(candidate).encode()])
    for generation, step, share in ((3, Step.CANARY, 0.05), (4, Step.STEADY, 0.0)):
        told.now += timedelta(hours=1)
        tuned = Served(version="router@2", artifact="b", job_id=job_id, errors=60, labelled=1000)
        old = Served(version="router@1", artifact="a", errors=50, labelled=1000)
        told.promote(
            "router@2", generation=generation, step=step, live=old if share else tuned, canary=tuned if share else None,
            canary_share=share, since=since if share else told.now, reason="" if share else "every step held",
        )  # fmt: skip
    told.tell(200, 0.06, "router@2")
    return str(trigger.trigger_id)


@pytest.fixture
def told(story: Story, plan: Plan) -> tuple[Story, str]:
    return story, retraining(story, plan)


def test_the_story_is_told_in_words_and_numbers(told: tuple[Story, str]) -> None:
    """What was seen against what baseline, who agreed, what held it, the job, the gate, the rollout, the accuracy."""
    warehouse, trigger = told[0].sink, told[1]
    rows = warehouse.query("cli/why_trigger", trigger=trigger)
    text = "\n".join(why(rows))
    asked = next(row for row in rows if row["what"] == "trigger")
    wrong, n = asked["numbers"]["errors_since_change"], asked["numbers"]["labels_since_change"]
    assert f"{wrong:,.0f} of {n:,.0f} audited answers were wrong ({wrong / n * 100:.1f} %)" in text
    assert 0.25 < wrong / n < 0.55 and "(50 of 1,000 wrong)" in text and "a retraining of router (drift)" in text
    assert "Detectors that alarmed: shiryaev_roberts" in text
    quiet = text.partition("Detectors that did not: ")[2]
    assert "label_psi (no window has closed yet" in quiet and "shiryaev_roberts" not in quiet.partition("\n")[0]
    assert "Held back before that: a rollout is under way, in 2 looks" in text
    assert (
        "Job 2: claimed (attempt 1)" in text and "the next attempt at 120 more labels" in text and "lora passed" in text
    )
    assert "Candidate lora: passed, 94.0 % right (92.0 % to 95.5 %, n = 1,000) on the test split" in text
    assert "generation 3 at" in text and "canary 5.0 %, router@1 live" in text and "every step held" in text
    assert "router@1 before the change 9" in text and "router@2 since it became live 9" in text
    phases = {row["words"]["phase"]: row["numbers"] for row in rows if row["what"] == "accuracy"}
    assert phases["before"]["n"] + phases["changed"]["n"] == 440 and phases["after"]["n"] == 200
    assert phases["changed"]["correct"] / phases["changed"]["n"] < 0.75 < phases["after"]["correct"] / 200


def test_what_a_version_waits_for_is_told(told: tuple[Story, str]) -> None:
    """Also before its rollout has begun, where only the reason of a generation names it."""
    told[0].promote("router@1", "a", 5, reason="router@2 waits for the end of a freeze window at 2026-12-02 00:00 UTC")
    told[0].promote("router@1", "a", 6, reason="router@20 is recommended")
    text = "\n".join(why(told[0].sink.query("cli/why_trigger", trigger=told[1])))
    assert "router@2 waits for the end of a freeze window" in text and "router@20" not in text


def test_a_person_who_ends_a_job_asked_for_no_retraining(story: Story) -> None:
    """The newest trigger of a task may be one that cancels."""
    made = Trigger(
        trigger_id=ids.uuid7(), task="router", kind=TriggerKind.CANCEL, decided_at=story.now, reason="wrong labels",
        detector="manual", generation=1, version="router@1", test_from=story.now, evidence={"by": "ann"},
    )  # fmt: skip
    put(story, TRIGGERS, made)
    (newest,) = story.sink.query("cli/why_task", task="router")
    first, *_ = why(story.sink.query("cli/why_trigger", trigger=str(newest["trigger_id"])))
    assert first.startswith("ann asked to end the open job of router as of") and "wrong labels" in first


def test_rows_come_in_order_of_time(told: tuple[Story, str]) -> None:
    """For programs: each row has its time; the trigger comes before its job, and the job before its rollout."""
    rows = told[0].sink.query("cli/why_trigger", trigger=told[1])
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    first = {what: [row["what"] for row in rows].index(what) for what in ("held", "trigger", "job", "promotion")}
    assert sorted(first, key=lambda what: first[what]) == ["held", "trigger", "job", "promotion"]


def test_a_quiet_task_says_why(story: Story, plan: Plan) -> None:
    """Without a trigger the last look's reasons are told: the policy's, and each detector's."""
    story.promote("router@1", "a", errors=50, labelled=1000)
    story.tell(100, 0.05, "router@1")
    assert Monitor(story.sink, plan).look("router") is None
    assert story.sink.query("cli/why_task", task="router") == []
    text = "\n".join(quiet("router", story.sink.query("cli/why_quiet", task="router")))
    assert "no rule asks for a retraining" in text and "Detectors that alarmed: none" in text
    assert "of 100 audited answers wrong" in text


def test_later_looks_at_the_same_watermark_replace_nothing(story: Story, plan: Plan) -> None:
    """The look that fired is told with its inputs, and what looks at the same watermark said afterwards beside it."""
    story.promote("router@1", "a", errors=50, labelled=1000)
    story.tell(200, 0.4, "router@1")
    monitor = Monitor(story.sink, plan)
    trigger = monitor.look("router")
    assert trigger is not None
    monitor.sent(trigger)
    assert monitor.look("router") is None
    put(story, TRIGGERS, trigger)
    # Labels that come late: the watermark stands, the evidence moves, and the next look is held.
    assert Monitor(story.sink, plan).look("router") is None
    fired = "detector = 'shiryaev_roberts' AND fired AND decision = 'drift'"
    assert story.sink.rows(f"SELECT count() AS n FROM evaluations FINAL WHERE {fired}") == [{"n": 1}]
    rows = story.sink.query("cli/why_trigger", trigger=str(trigger.trigger_id))
    looked = [row for row in rows if row["what"] == "evaluation" and row["words"]["detector"] == "policy"]
    assert len(looked) == 1 and looked[0]["about"].startswith("drift: shiryaev_roberts")
    text = "\n".join(why(rows))
    assert "Detectors that alarmed: shiryaev_roberts" in text
    assert f"Later looks: trigger {trigger.trigger_id} is on its way, in 1 looks" in text
    assert f"Later looks: trigger {trigger.trigger_id} waits for its job, in 1 looks" in text


def test_readings_of_the_accuracy_at_one_watermark_are_kept(story: Story, plan: Plan) -> None:
    """A label that comes late at a constant watermark makes a second reading; the first stays as it was known."""
    story.promote("router@1", "a", errors=50, labelled=1000)
    inferences, feedback = story.answers(20, 0.0, "router@1")
    story.put(INFERENCES, inferences)
    story.put(LABELS, feedback[:10])
    monitor = Monitor(story.sink, plan)
    monitor.look("router")
    story.put(LABELS, feedback[10:])
    monitor.look("router")
    story.sink.command("OPTIMIZE TABLE accuracy FINAL")
    rows = story.sink.rows("SELECT n FROM accuracy FINAL WHERE version = '*' ORDER BY known_at")
    assert [row["n"] for row in rows] == [10, 20]
    assert [row["n"] for row in story.sink.query("console/accuracy", points=10)] == [20]
