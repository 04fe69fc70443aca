"""The command line beside the real Kafka and ClickHouse."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from headrace.access.actions import action
from headrace.bus.kafka import KafkaConsumer, KafkaProducer
from headrace.contract.actions import Action, ActionKind, Via
from headrace.contract.control import (
    Counter,
    DeadLetter,
    Job,
    JobState,
    Promotion,
    RolloutRequest,
    Served,
    Step,
    Trigger,
)
from headrace.contract.events import new_inference
from headrace.contract.ids import uuid7
from headrace.contract.topics import (
    ACTIONS,
    EMITTERS,
    FEEDBACK,
    INFERENCES,
    JOBS,
    PROMOTIONS,
    ROLLOUTS,
    TRIGGERS,
    Topic,
)
from headrace.settings import Settings
from headrace.warehouse import Warehouse

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.stack


def values(settings: Settings, topic: Topic) -> list[Any]:
    """Every event or message of a topic."""

    async def read() -> list[Any]:
        consumer = KafkaConsumer(settings, [topic])
        await consumer.start()
        found: list[Any] = []
        while records := await consumer.read(1.0):
            for record in records:
                value = json.loads(record.value or b"[]")
                found += value if isinstance(value, list) else [value]
        await consumer.stop()
        return found

    return asyncio.run(read())


def put(settings: Settings, topic: Topic, messages: Iterable[tuple[str, bytes | None]]) -> None:
    async def send() -> None:
        producer = KafkaProducer(settings)
        await producer.start()
        for key, value in messages:
            await producer.send(topic, value, key.encode())
        await producer.stop()

    asyncio.run(send())


def test_emit_stores_and_prints_the_id(headrace: Any, stack: Settings) -> None:
    """An event given as fields is in Kafka when the command returns, and counted."""
    said = headrace("emit", "inference", "task=router", "version=router@0", "input=My VPN is down", "tokens_in=12")
    assert said.code == 0, said.err
    (event,) = [event for event in values(stack, INFERENCES) if event["inference_id"] == said.out.strip()]
    assert (event["input"], event["tokens_in"]) == ("My VPN is down", 12)
    counters = [Counter(**counter) for counter in values(stack, EMITTERS)]
    assert (event["emitter"], 1, 1) in {(one.emitter, one.emitted, one.acknowledged) for one in counters}


def test_emit_reads_json_of_every_shape(headrace: Any, stack: Settings) -> None:
    """Standard input may hold an event, an array, or one event a line; feedback is told by its fields."""
    answer = new_inference("router", "router@0")
    thumb = {"inference_id": str(answer.inference_id), "source": "user", "signal": "thumb", "value": 1}
    lines = answer.to_json().decode() + "\n" + json.dumps(thumb)
    for text, count in ((lines, 2), (json.dumps([thumb, thumb]), 2), (json.dumps(thumb, indent=1), 1)):
        said = headrace("emit", stdin=text)
        assert said.code == 0, said.err
        assert len([UUID(line) for line in said.out.split()]) == count
    assert str(answer.inference_id) in {event["inference_id"] for event in values(stack, INFERENCES)}
    assert len(values(stack, FEEDBACK)) == 4


def test_emit_names_the_event_that_is_wrong(headrace: Any) -> None:
    """A wrong field on standard input is named, and nothing is emitted."""
    said = headrace("emit", stdin='[{"task": "router", "version": "router@0", "revision": "much"}]')
    assert (said.code, said.out) == (2, "")
    assert "Inference.revision" in said.err
    assert "line 2 is not JSON" in headrace("emit", stdin='{"task": "router"}\n{"task"').err


def test_sql_prints_tables_json_and_any_format(headrace: Any) -> None:
    """The same query as a table, as JSON and as any of ClickHouse's formats; a FORMAT clause passes through."""
    query = "SELECT number AS n, concat('row ', toString(n)) AS text FROM numbers(3)"
    table = headrace("sql", query).out.splitlines()
    assert table[0].split() == ["n", "text"]
    assert table[-1].split() == ["2", "row", "2"]
    rows = [json.loads(line) for line in headrace("sql", query, "--json").out.splitlines()]
    assert rows[1] == {"n": 1, "text": "row 1"}
    assert headrace("sql", query, "--format", "CSV").out == '0,"row 0"\n1,"row 1"\n2,"row 2"\n'
    assert headrace("sql", f"{query} FORMAT TSV").out.splitlines()[2] == "2\trow 2"


def test_sql_takes_files_parameters_and_stored_queries(headrace: Any, tmp_path: Any) -> None:
    """A query may come from a file or by name, and its parameters are bound, not pasted."""
    file = tmp_path / "query.sql"
    file.write_text("SELECT {who:String} AS who")
    assert headrace("sql", "-f", str(file), "-p", "who=O'Brien", "--format", "TSV").out == "O\\'Brien\n"
    assert "cli/reconcile" in headrace("sql", "@").out.split()
    assert "missing" in headrace("sql", "@reconcile").out == headrace("sql", "@cli/reconcile").out
    assert "say which: @alert/due, @resolver/due" in headrace("sql", "@due").err


def test_sql_tells_clickhouses_own_words(headrace: Any) -> None:
    """A query that ClickHouse refuses exits 2 with ClickHouse's message in one line."""
    said = headrace("sql", "SELECT nothing FROM inferences_current")
    assert said.code == 2
    assert "nothing" in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_reconcile_exits_1_when_something_is_missing(headrace: Any, stack: Settings, warehouse: Warehouse) -> None:
    """A balance that holds exits 0; a counted event that is nowhere exits 1 and says how many."""
    assert headrace("reconcile").code == 0
    counter = Counter(emitter="lost.1", kind="inferences", sequence=1, at=AT, emitted=3, acknowledged=3)
    warehouse.insert("emitters", [counter.to_json()])
    said = headrace("reconcile", "--json")
    assert said.code == 1
    assert {row["kind"]: row["missing"] for row in said.json} == {"inferences": 3, "feedback": 0}
    assert "3 events are missing, 0 are duplicated" in said.err
    counter = counter.model_copy(update={"sequence": 2, "dropped": 3})
    warehouse.insert("emitters", [counter.to_json()])
    assert headrace("reconcile").code == 0


def test_dead_letters_are_listed_and_shown(headrace: Any, warehouse: Warehouse) -> None:
    """A dead letter's place leads to its reason and, byte for byte, to what was sent."""
    assert "no dead letters" in headrace("deadletters", "list").err
    original = b'{"task": "router", "cost": \xff'
    letter = DeadLetter(
        topic="headrace.inferences", partition=3, offset=1042, record_index=7, at=AT, reason="not JSON",
        original=b64encode(original).decode(),
    )  # fmt: skip
    warehouse.insert("dead_letters", [letter.to_json()])
    (row,) = headrace("deadletters", "list", "--json").json
    assert row["place"] == "headrace.inferences/3/1042/7"
    shown = headrace("deadletters", "show", row["place"]).out
    assert "not JSON" in shown
    assert '"cost": \\xff' in shown
    missing = headrace("deadletters", "show", "headrace.inferences/3/1042/8")
    assert (missing.code, missing.err.count("there is no dead letter at")) == (2, 1)


def promotion(generation: int, **changes: Any) -> Promotion:
    fields: dict[str, Any] = {
        "task": "router", "generation": generation, "step": Step.STEADY, "live": Served(version="router@1"),
        "since": AT, "at": AT,
    }  # fmt: skip
    return Promotion(**(fields | changes))


def test_trigger_asks_for_a_retraining(headrace: Any, stack: Settings) -> None:
    """A manual trigger carries the reason, the person, and the promotion that was live."""
    put(stack, PROMOTIONS, [("router", None)])
    before = headrace("trigger", "router", "--reason", "x")
    assert before.code == 2
    assert "the promotions topic has nothing of router" in before.err
    put(stack, PROMOTIONS, [("router", promotion(4).to_json())])
    said = headrace("trigger", "router", "--reason", "the Lisbon office opened")
    assert said.code == 0, said.err
    (found,) = [Trigger(**value) for value in values(stack, TRIGGERS)]
    assert str(found.trigger_id) == said.out.strip()
    assert (found.kind, found.task, found.reason) == ("manual", "router", "the Lisbon office opened")
    assert (found.generation, found.version, found.test_from) == (4, "router@1", AT)
    assert found.evidence["by"].startswith("cli:")
    (done,) = [Action(**value) for value in values(stack, ACTIONS) if value["kind"] == "trigger"]
    assert (done.by, done.via, done.task, done.subject) == (found.evidence["by"], "cli", "router", said.out.strip())
    assert done.detail == {"reason": "the Lisbon office opened", "asked": "manual"} and "@" in done.origin


def test_rollback_asks_the_only_writer_of_promotions(headrace: Any, stack: Settings) -> None:
    """Without anything to go back to it refuses; else it asks, waits for the answer and exits 1 without one."""
    put(stack, PROMOTIONS, [("router", promotion(5).to_json())])
    refused = headrace("rollback", "router", "--reason", "x")
    assert (refused.code, "there is nothing to go back to" in refused.err) == (2, True)
    put(stack, PROMOTIONS, [("router", promotion(6, previous=Served(version="router@0")).to_json())])
    said = headrace("rollback", "router", "--reason", "complaints", "--wait", "0")
    assert said.code == 1
    assert "not answered yet" in said.err
    (found,) = [RolloutRequest(**value) for value in values(stack, ROLLOUTS)]
    assert (found.kind, found.generation, found.reason) == ("roll_back", 6, "complaints")
    assert str(found.request_id) == said.out.strip()
    (done,) = [Action(**value) for value in values(stack, ACTIONS) if value["kind"] == "rollback"]
    assert (done.by, done.subject, done.detail["result"]) == (found.by, str(found.request_id), "asked for")


def test_what_people_say_about_a_rollout_is_asked(headrace: Any, stack: Settings) -> None:
    """Each command sends its request: the version as its job published it, the tenant and the share."""
    served = Served(version="router@3", artifact="/a/3", errors=4, labelled=100)
    at_once = ("--reason", "so", "--wait", "0")
    asked = Trigger(trigger_id=uuid7(), task="router", kind="manual", decided_at=AT, reason="x", test_from=AT)
    job = Job(
        job_id=uuid7(), trigger_id=asked.trigger_id, task="router", number=3, attempt=2, state=JobState.WON, at=AT,
        heartbeat_at=AT, trigger=asked, result={"served": served.model_dump(mode="json")},
    )  # fmt: skip
    put(stack, JOBS, [(str(job.job_id), job.to_json())])
    put(stack, PROMOTIONS, [("router", promotion(8, previous=Served(version="router@2", artifact="/a/2")).to_json())])
    before = len(values(stack, ROLLOUTS))
    nowhere = headrace("promote", "router", "router@9", *at_once)
    assert nowhere.code == 2 and "published router@9; there are router@0, router@1, router@2, router@3" in nowhere.err
    assert "nothing to approve" in headrace("approve", "router", *at_once).err
    assert "or --off" in headrace("pin", "router", "--tenant", "acme", *at_once).err
    for command in (
        ("promote", "router", "router@3"),
        ("pin", "router", "router@2", "--tenant", "acme"),
        ("pin", "router", "--tenant", "acme", "--off"),
        ("divert", "router", "0.25"),
    ):
        said = headrace(*command, *at_once)
        assert said.code == 1 and "`headrace log --task router` says why" in said.err, said.err
    put(stack, PROMOTIONS, [("router", promotion(9, step=Step.SHADOW, shadow=served).to_json())])
    headrace("approve", "router", *at_once)
    sent = [RolloutRequest(**value) for value in values(stack, ROLLOUTS)[before:]]
    assert [one.kind for one in sent] == ["promote", "pin", "pin", "divert", "approve"]
    promote, pin, off, divert, _ = sent
    assert promote.by_hand and promote.candidate == served.model_copy(update={"job_id": job.job_id, "attempt": 2})
    assert pin.candidate and (pin.candidate.version, pin.tenant) == ("router@2", "acme")
    assert (off.candidate, off.tenant, divert.share) == (None, "acme", 0.25)


def test_log_tells_who_did_what(headrace: Any, warehouse: Warehouse) -> None:
    """Actions are listed in the order of time, the newest last, by task, kind and time, in words or as JSON."""
    assert "nothing was done yet" in headrace("log").err
    for minute, (kind, task, by, detail) in enumerate(
        [
            (ActionKind.KEY_ADDED, "", "ann", {"roles": ["ingest"]}),
            (ActionKind.TRIGGER, "router", "monitor", {"reason": "accuracy fell"}),
            (ActionKind.PROMOTION, "router", "rollout", {"from": "router@0", "to": "router@1", "generation": 5}),
        ]
    ):
        done = action(kind, by, Via.CLI, "s", task, **detail)
        at = AT.replace(minute=minute)
        row = json.loads(done.model_copy(update={"at": at, "action_id": uuid7(at)}).to_json())
        warehouse.insert("actions", [json.dumps(row).encode()])
    assert [row["kind"] for row in headrace("log", "--json").json] == ["key_added", "trigger", "promotion"]
    assert [row["kind"] for row in headrace("log", "--task", "router", "--limit", "1", "--json").json] == ["promotion"]
    assert headrace("log", "--since", "2026-03-01T12:01", "--json").json[0]["kind"] == "trigger"
    assert [row["by"] for row in headrace("log", "--kind", "key_added", "--json").json] == ["ann"]
    told = headrace("log").out
    assert "router@0 → router@1, generation 5" in told and "roles ingest" in told
    unknown = headrace("log", "--kind", "keys")
    assert (unknown.code, "there is no such kind" in unknown.err) == (2, True)


def test_jobs_and_why_tell_a_jobs_story(headrace: Any, warehouse: Warehouse) -> None:
    """A job is listed with its last state; `why` tells its trigger, states and candidates in order of time."""
    assert "no jobs yet" in headrace("jobs").err
    assert "There never was a trigger for router" in headrace("why", "router").out
    trigger = Trigger(
        trigger_id=uuid7(AT), task="router", kind="drift", decided_at=AT, reason="accuracy fell",
        detector="shiryaev_roberts", statistic=12000.0, threshold=10000.0, labels_since_change=61, test_from=AT,
    )  # fmt: skip
    job_id = uuid7(AT)
    for minute, state in enumerate((JobState.CLAIMED, JobState.RUNNING, JobState.WON)):
        at = AT.replace(minute=minute + 1)
        job = Job(
            job_id=job_id, trigger_id=trigger.trigger_id, task="router", number=2, attempt=1, state=state, at=at,
            heartbeat_at=at, version="router@2", trigger=trigger, reason="lora passed" if state == "won" else "",
        )  # fmt: skip
        fields = json.loads(job.to_json())
        fields |= {name: json.dumps(fields[name]) for name in ("trigger", "result")}
        warehouse.insert("jobs", [json.dumps(fields).encode()])
    fields = json.loads(trigger.to_json()) | {"evidence": "{}"}
    warehouse.insert("triggers", [json.dumps(fields).encode()])
    candidate = {"job_id": str(job_id), "attempt": 1, "task": "router", "name": "lora", "at": AT.isoformat(),
                 "gate": "passed", "accuracy": 0.91, "n": 1000}  # fmt: skip
    warehouse.insert("candidates", [json.dumps(candidate).encode()])
    for step, live, generation in (("canary", "router@1", 2), ("steady", "router@2", 3)):
        row = {"task": "router", "generation": generation, "step": step, "live": json.dumps({"version": live}),
               "canary": json.dumps({"version": "router@2"}) if step == "canary" else "",
               "at": AT.replace(hour=13, minute=generation).isoformat(), "since": AT.isoformat()}  # fmt: skip
        warehouse.insert("promotions", [json.dumps(row).encode()])
    (listed,) = headrace("jobs", "--json").json
    assert (listed["state"], listed["number"], listed["trigger_id"]) == ("won", 2, str(trigger.trigger_id))
    story = headrace("why", str(trigger.trigger_id), "--json").json
    assert {row["what"] for row in story} == {"trigger", "candidate", "job", "promotion"}
    assert [row["subject"] for row in story if row["what"] == "job"][-1].endswith("won")
    assert [row["subject"] for row in story if row["what"] == "promotion"] == [
        "generation 2: canary",
        "generation 3: steady",
    ]
    assert "12000" in story[0]["about"]
    told = headrace("why", "router").out
    assert f"Trigger {trigger.trigger_id}" in told and "accuracy fell" in told and "Job 2: claimed" in told
    assert "There never was a trigger" not in told and "no task 'payroll'" in headrace("why", "payroll").err
    unknown = headrace("why", str(uuid7()))
    assert (unknown.code, "there is no trigger" in unknown.err) == (2, True)
