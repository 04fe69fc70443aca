"""The warehouse's copy of control messages: whole enough to write them back, whatever a newer version added."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace.contract import ids
from headrace.contract.actions import Action
from headrace.contract.control import (
    Counter,
    DeadLetter,
    Job,
    Progress,
    Promotion,
    Replica,
    RolloutRequest,
    Served,
    Trigger,
    Waits,
)
from headrace.contract.events import Event
from headrace.contract.topics import JOBS, PROMOTIONS, TOPICS, Topic
from headrace.warehouse import Warehouse
from headrace.warehouse.copies import Copies
from streams import situation
from streams.decode import Raw
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

pytestmark = pytest.mark.stack

AT = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
LIVE = Served.model_validate({"version": "router@1", "artifact": "a", "errors": 3, "tier": {"gpu": 1}})
TRIGGER = Trigger(trigger_id=ids.uuid7(AT), task="router", kind="manual", decided_at=AT, reason="asked", test_from=AT)
JOB_ID = ids.uuid7(AT)
RECORDS: dict[str, Any] = {
    "headrace.triggers": TRIGGER,
    "headrace.jobs": Job(
        job_id=JOB_ID, trigger_id=TRIGGER.trigger_id, task="router", number=3, attempt=2, state="running", at=AT,
        heartbeat_at=AT, trigger=TRIGGER.model_copy(update={"asked_by": "ana"}), result={"failures": 1, "none": None},
    ),
    "headrace.progress": Progress(job_id=JOB_ID, attempt=1, task="router", sequence=1, at=AT, stage="lora"),
    "headrace.rollouts": RolloutRequest(
        request_id=ids.uuid7(AT), task="router", kind="promote", at=AT, by="test", candidate=LIVE
    ),
    "headrace.promotions": Promotion(
        task="router", generation=7, step="canary", live=LIVE, canary=LIVE, canary_share=0.25,
        previous=Served(version="router@0"), since=AT, at=AT, reason="so", request_id=ids.uuid7(AT),
    ),
    "headrace.replicas": Replica(replica="gateway-a", task="router", at=AT, generation=7, ready=["router@1"]),
    "headrace.emitters": Counter(emitter="desk", kind="inferences", sequence=1, at=AT),
    "headrace.actions": Action(action_id=ids.uuid7(AT), at=AT, by="ana", via="cli", kind="trigger", task="router"),
    "headrace.dead-letters": DeadLetter(topic="headrace.jobs", partition=1, offset=2, at=AT, reason="garbage"),
}  # fmt: skip
CONTROL = [topic for topic in TOPICS if not issubclass(topic.model, Event)]


def stored(warehouse: Warehouse, topic: Topic, **added: Any) -> Any:
    """Copy the topic's record with these fields added, as a worker does, and return it as it was read."""
    value = json.dumps(RECORDS[topic.name].model_dump(mode="json", exclude_none=True) | added).encode()
    assert store([Raw(topic.name, 0, 1, value)], table_of(topic), warehouse, Rules()) == []
    return topic.model.model_validate_json(value)


@pytest.mark.parametrize("topic", CONTROL, ids=lambda topic: topic.name)
def test_fields_of_a_newer_version_are_copied(warehouse: Warehouse, topic: Topic) -> None:
    """No insert refuses them: they stand in `extra`."""
    stored(warehouse, topic, pinned_by={"name": "ana"})
    (row,) = warehouse.rows(f"SELECT extra FROM {table_of(topic).name} FINAL WHERE extra != ''")
    extra = json.loads(row["extra"])
    assert extra.pop("pinned_by") == {"name": "ana"}
    assert extra.keys() == getattr(topic.model, "without_column", set())


def test_promotions_and_jobs_come_back_whole(warehouse: Warehouse) -> None:
    """The newest that can be read comes back with every field, also those that are not known."""
    promotion = stored(warehouse, PROMOTIONS, pinned_by="ana")
    job = stored(warehouse, JOBS, pinned_by="ana")
    warehouse.command(
        "INSERT INTO promotions (task, generation, step, live, since, at)"
        " SELECT 'router', 8, 'paused', live, since, at FROM promotions FINAL WHERE generation = 7"
    )
    copies = Copies(warehouse)
    assert copies.promotion("router") == promotion
    assert copies.job(str(JOB_ID)) == job
    assert copies.generations() == {"router": 8} and copies.jobs() == {str(JOB_ID): "router"}
    assert copies.acknowledged() == {"router": 7}
    # The monitor decides nothing about a promotion that it cannot read, nor by an older one.
    assert situation.promotions(warehouse, ["router"]) == {}


def test_pins_and_diversions_are_copied_and_told(warehouse: Warehouse) -> None:
    """A restore keeps them, and `headrace status` names them beside what a rollout waits for."""
    pins = {"acme": LIVE.model_dump(mode="json"), "other": {"version": "router@0"}}
    promotion = stored(warehouse, PROMOTIONS, task="it", pins=pins, incumbent_share=0.25, reason="waits for a person")
    assert Copies(warehouse).promotion("it") == promotion and promotion.pins["acme"] == LIVE
    (row,) = [row for row in warehouse.query("cli/status_tasks") if row["task"] == "it"]
    assert (row["pinned"], row["incumbent_share"]) == ("acme on router@1, other on router@0", 0.25)
    assert row["reason"] == "waits for a person"
    (loaded,) = [row for row in warehouse.query("cli/savings_loaded") if row["task"] == "it"]
    assert {"router@0", "router@1"} <= set(loaded["versions"])


def test_what_a_promotion_waits_for_is_copied(warehouse: Warehouse) -> None:
    """It is about the same step afterwards, though the warehouse rounds that one's time; and who began a diversion."""
    at = AT.replace(microsecond=250_123).isoformat()
    waits = {"waits_for": "approval", "waits_at": at, "at": at, "diverted_by_hand": True, "incumbent_share": 0.5}
    stored(warehouse, PROMOTIONS, task="waiting", **waits)
    copied = Copies(warehouse).promotion("waiting")
    assert copied is not None and (copied.waits, copied.diverted_by_hand) == (Waits.APPROVAL, True)
