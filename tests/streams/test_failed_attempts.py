"""An attempt without a winner is not repeated until its verdict can be another: on a real warehouse."""

from __future__ import annotations

import json
from datetime import timedelta

from router_story import Story

from headrace.cli.why import story as why
from headrace.contract import ids
from headrace.contract.control import Job, JobState, Trigger, TriggerKind
from headrace.contract.topics import JOBS, TRIGGERS, Topic
from headrace.contract.verdict import Verdict, specs
from headrace.plan import CandidateSpec, Plan
from streams.decode import Raw
from streams.monitor import Monitor
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of


def put(story: Story, topic: Topic, record: object) -> None:
    raw = Raw(topic.name, 0, story.random.getrandbits(40), record.to_json())  # type: ignore[attr-defined]
    assert store([raw], table_of(topic), story.sink, Rules()) == []


def test_a_failed_attempt_is_not_repeated_until_its_verdict_can_change(story: Story, plan: Plan) -> None:
    """After "no winner" the alarm waits for the labels that the verdict names, or for a new candidate in the plan."""
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    monitor = Monitor(story.sink, plan)
    story.tell(150, 0.4, "router@1")
    trigger = monitor.look("router")
    assert trigger is not None
    put(story, TRIGGERS, trigger)
    verdict = Verdict(
        gate="failed", rows=110, difference=0.02, labels=150, needs_labels=400, candidates=specs(plan.tasks["router"])
    )
    job = Job(
        job_id=ids.uuid7(), trigger_id=trigger.trigger_id, task="router", number=1, attempt=1, state=JobState.NO_WINNER,
        at=story.now, heartbeat_at=story.now, trigger=trigger,
        result={"against": "router@1", "verdict": verdict.model_dump(mode="json")},
    )  # fmt: skip
    put(story, JOBS, job)
    story.tell(200, 0.4, "router@1")
    assert monitor.look("router") is None
    held = story.sink.rows("SELECT * FROM evaluations FINAL WHERE detector = 'policy' ORDER BY watermark DESC LIMIT 1")[
        0
    ]
    assert "job 1 had no winner: 3" in str(held["reason"]) and "labels are there since its change of the 400" in str(
        held["reason"]
    )
    assert "held" in str(held["reason"]) and json.loads(str(held["inputs"]))["attempt"]["needs_labels"] == 400
    text = "\n".join(why(story.sink.query("cli/why_trigger", trigger=str(trigger.trigger_id))))
    assert "Later looks: job 1 had no winner: 3" in text
    task = plan.tasks["router"]
    more = {"candidates": {**task.candidates, "lora": CandidateSpec(method="lora")}}
    other = plan.model_copy(update={"tasks": {"router": task.model_copy(update=more)}})
    assert Monitor(story.sink, other).look("router") is not None
    story.tell(100, 0.4, "router@1")
    again = monitor.look("router")
    assert again is not None and again.trigger_id != trigger.trigger_id


def test_a_waiting_job_does_not_hold_a_change(story: Story, plan: Plan) -> None:
    """While a cheaper attempt waits for labels the alarm about a change is sent; it is held while that job runs, and
    by a job that waits about the same change."""
    story.promote("router@1", artifact="a", errors=50, labelled=1000)
    story.tell(150, 0.4, "router@1")
    asked = Trigger(
        trigger_id=ids.uuid7(), task="router", kind=TriggerKind.CHEAPER, decided_at=story.now, reason="cheaper",
        test_from=story.now - timedelta(days=1),
    )  # fmt: skip
    put(story, TRIGGERS, asked)
    job = Job(
        job_id=ids.uuid7(), trigger_id=asked.trigger_id, task="router", number=1, attempt=1, state=JobState.WAITING,
        at=story.now, heartbeat_at=story.now, trigger=asked, needs=30, result={"against": "router@1"},
    )  # fmt: skip
    running = job.model_copy(update={"state": JobState.RUNNING, "attempt": 2})
    story.tell(60, 0.4, "router@1")
    put(story, JOBS, job)
    drift = Monitor(story.sink, plan).look("router")
    assert drift is not None and drift.kind is TriggerKind.DRIFT
    put(story, JOBS, running)
    assert Monitor(story.sink, plan).look("router") is None
    again = running.model_copy(update={"state": JobState.WAITING, "at": story.now + timedelta(seconds=1)})
    put(story, JOBS, again.model_copy(update={"trigger": drift}))
    put(story, JOBS, again.model_copy(update={"trigger": drift, "number": 2, "job_id": ids.uuid7()}))
    assert Monitor(story.sink, plan).look("router") is None
    (held,) = story.sink.rows(
        "SELECT reason FROM evaluations FINAL WHERE detector = 'policy' ORDER BY looked_at DESC LIMIT 1"
    )
    assert "job 2 waits for 30 more labels" in str(held["reason"])


def test_a_candidate_under_another_name_is_no_new_one(plan: Plan) -> None:
    """Another method, base or rate is a new candidate; another name for one, or one less, is not."""
    task = plan.tasks["router"]
    lora = CandidateSpec(method="lora")
    both = task.model_copy(update={"candidates": {**task.candidates, "lora": lora}})
    then = Verdict(gate="vetoed", candidates=specs(both))
    assert not then.has_new_candidate(both) and not then.has_new_candidate(task)
    assert not then.has_new_candidate(task.model_copy(update={"candidates": {"adapter": lora}}))
    # As a version wrote it that kept every method's keys beside each other, and with a default spelled out.
    flat = {"epochs": 0, "learning_rate": None, "rank": 16, "batch": 16}
    older = [{key: value for key, value in one.items() if key not in ("keys", "engine")} | flat for one in specs(both)]
    assert not Verdict(gate="vetoed", candidates=older).has_new_candidate(both)
    # A default that has changed since then tunes it otherwise.
    before = [one | {"epochs": 6} for one in older]
    assert Verdict(gate="vetoed", candidates=before).has_new_candidate(both)
    spelled = CandidateSpec.model_validate({"method": "lora", "rank": 16})
    assert not then.has_new_candidate(task.model_copy(update={"candidates": {"lora": spelled}}))
    quicker = CandidateSpec.model_validate({"method": "lora", "learning_rate": 0.01})
    assert then.has_new_candidate(task.model_copy(update={"candidates": {"lora": quicker}}))
