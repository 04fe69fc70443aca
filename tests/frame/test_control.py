"""Control records over versions, and what a compacted topic says of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from headrace.contract import ids
from headrace.contract.compacted import Compacted, Unreadable, compacted, jobs_of, promotion_of, reading
from headrace.contract.control import Job, Promotion
from headrace.contract.json_schema import MODELS, json_schema
from headrace.contract.topics import EVENTS, JOBS, PROMOTIONS, TOPICS

AT = datetime(2026, 3, 1, tzinfo=UTC)
PROMOTION: dict[str, Any] = {
    "task": "router",
    "generation": 7,
    "step": "canary",
    "live": {"version": "router@1"},
    "canary": {"version": "router@2"},
    "canary_share": 0.1,
    "since": "2026-03-01T00:00:00Z",
    "at": "2026-03-01T00:00:00Z",
}
TRIGGER = {
    "trigger_id": str(ids.uuid7(AT)),
    "task": "router",
    "kind": "manual",
    "decided_at": "2026-03-01T00:00:00Z",
    "reason": "asked",
    "test_from": "2026-03-01T00:00:00Z",
}


def job(task: str = "router", **fields: Any) -> dict[str, Any]:
    moment = "2026-03-01T00:00:00Z"
    return {
        "job_id": str(ids.uuid7(AT)),
        "trigger_id": TRIGGER["trigger_id"],
        "task": task,
        "number": 4,
        "state": "running",
        "at": moment,
        "heartbeat_at": moment,
        "trigger": TRIGGER,
    } | fields


def promotions(*given: dict[str, Any] | bytes) -> Compacted[Promotion]:
    """The topic with these records, each under the task router where it is bytes."""
    values = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in given]
    keys = [b"router" if isinstance(one, bytes) else str(one["task"]).encode() for one in given]
    return compacted(dict(zip(keys, values, strict=True)), PROMOTIONS, Promotion)


def jobs(*given: dict[str, Any]) -> Compacted[Job]:
    values = {str(one["job_id"]).encode(): json.dumps(one).encode() for one in given}
    return compacted(values, JOBS, Job)


def test_a_record_of_the_former_version_is_version_1() -> None:
    """It needs no schema_version, and a record of version 1 is written without one, as the former version reads it."""
    found = Promotion.model_validate(PROMOTION)
    assert found.schema_version == 1
    assert b"schema_version" not in found.to_json()
    assert Promotion.model_validate(PROMOTION | {"schema_version": 1}) == found


def test_unknown_fields_are_kept_and_written_on() -> None:
    """At the top, in a version that is named, and through every change that is a copy."""
    live = {"version": "router@1", "tier": {"gpu": "h100"}}
    found = Promotion.model_validate_json(json.dumps(PROMOTION | {"live": live, "pinned_by": ["ana", 3]}))
    moved = found.model_copy(update={"generation": 8, "previous": found.live, "canary": None})
    written = json.loads(moved.to_json())
    assert written["pinned_by"] == ["ana", 3]
    assert written["live"]["tier"] == written["previous"]["tier"] == {"gpu": "h100"}
    assert (written["generation"], "canary" in written) == (8, False)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"\xff\x00", "Invalid JSON"),
        (b"{}", "Promotion.task: the field is missing"),
        (json.dumps(PROMOTION | {"schema_version": 2}).encode(), "a newer headrace wrote it"),
        (json.dumps(PROMOTION | {"step": "paused"}).encode(), "Promotion.step"),
        (json.dumps(PROMOTION | {"task": "other"}).encode(), "it is the record of 'other' under another key"),
    ],
)
def test_what_cannot_be_read_is_not_absent(value: bytes, says: str) -> None:
    """Garbage, a newer version, a newer version's value and another task's record are unreadable, with the reason."""
    found = reading(b"router", value, PROMOTIONS, Promotion)
    assert isinstance(found, Unreadable)
    assert says in found.reason and found.key == "router"
    assert promotion_of("router", promotions(value), {"router": 7}) == found


def test_the_copy_tells_a_first_start_from_a_loss() -> None:
    """Nothing on both sides is a first start; a topic behind its copy, and an empty one without it, are unreadable."""
    empty, seven = promotions(), promotions(PROMOTION)
    assert promotion_of("router", empty, {}) is None
    assert isinstance(lost := promotion_of("router", empty, {"router": 7}), Unreadable)
    assert "copied generation 7" in lost.reason
    assert isinstance(promotion_of("router", empty, None), Unreadable)
    assert promotion_of("router", seven, None) == promotion_of("router", seven, {"router": 7}) == seven.read["router"]
    assert isinstance(older := promotion_of("router", seven, {"router": 9}), Unreadable)
    assert "says generation 7" in older.reason


def test_the_copy_tells_which_jobs_were_lost() -> None:
    """A topic without any needs the copy, one that has jobs does not; a job of the copy that is gone is a loss."""
    one, two = job(), job(number=5)
    there, copied = jobs(one), {one["job_id"]: "router", two["job_id"]: "router"}
    assert jobs_of("router", jobs(), {}) == []
    assert isinstance(jobs_of("router", jobs(), None), Unreadable)
    assert jobs_of("router", there, None) == list(there.read.values())
    assert isinstance(lost := jobs_of("router", there, copied), Unreadable)
    assert "1 jobs that the topic does not have" in lost.reason
    assert len(jobs_of("router", jobs(one, two), copied)) == 2  # type: ignore[arg-type]
    assert jobs_of("other", there, copied) == []


def test_a_job_of_no_known_task_may_be_anyones() -> None:
    """A job that cannot be read stops its own task where its bytes or the copy say whose it is, else every task."""
    newer = job(schema_version=2)
    key = str(UUID(int=7))
    garbage = compacted({key.encode(): b"\x00", b"no id": b"\x00"}, JOBS, Job)
    assert isinstance(jobs_of("router", jobs(newer), {}), Unreadable)
    assert jobs_of("other", jobs(newer), {}) == []
    assert isinstance(jobs_of("router", garbage, {}), Unreadable)
    assert jobs_of("router", garbage, {key: "other"}) == []


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic not in EVENTS], ids=lambda topic: topic.name)
def test_every_control_topic_keeps_unknown_fields(topic: Any) -> None:
    """The contract of every control topic allows fields that are not known, and says the version."""
    schema = json_schema(next(name for name, model in MODELS.items() if model is topic.model))
    assert schema["additionalProperties"] is True
    assert schema["properties"]["schema_version"]["default"] == 1
