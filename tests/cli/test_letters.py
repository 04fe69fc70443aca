"""`headrace deadletters` beside the real Kafka and ClickHouse: filtered, sent again byte for byte, counted once."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace.bus.kafka import KafkaConsumer
from headrace.control import DeadLetter
from headrace.events import Inference, new_feedback, new_inference
from headrace.settings import Settings
from headrace.topics import FEEDBACK, INFERENCES, LABELS
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def letter(offset: int, original: bytes, **fields: Any) -> DeadLetter:
    about: dict[str, Any] = {"topic": INFERENCES.name, "partition": 3, "offset": offset, "record_index": 0, "at": AT,
                             "reason": "the task is missing", "original": b64encode(original).decode()}  # fmt: skip
    return DeadLetter(**(about | fields))


def answer() -> Inference:
    return new_inference("router", "router@1", emitter="desk.1")


async def _read(stack: Settings) -> list[tuple[str, int, bytes]]:
    consumer = KafkaConsumer(stack, [INFERENCES, FEEDBACK, LABELS])
    await consumer.start()
    found: list[tuple[str, int, bytes]] = []
    while messages := await consumer.read(2.0):
        found += [(message.topic, message.partition, message.value or b"") for message in messages]
    await consumer.stop()
    return sorted(found)


def test_dead_letters_are_filtered_and_replayed(headrace: Any, stack: Settings, warehouse: Warehouse) -> None:
    """By topic, reason and time; all of them, or some, go back to their partition as they were, and once."""
    stored, lost = answer(), answer()
    letters = [
        letter(1, stored.to_json(), event_id=stored.inference_id),
        letter(2, lost.to_json(), event_id=lost.inference_id),
        letter(3, b"\xff not json", record_index=-1, reason="the record is not JSON"),
        letter(4, b"{}", topic=FEEDBACK.name, at=datetime(2026, 4, 1, tzinfo=UTC), event_id=None),
    ]
    warehouse.insert("dead_letters", [one.to_json() for one in letters])
    warehouse.insert("inferences", [stored.model_dump_json(exclude={"extra", "proof"}).encode()])

    def listed(*options: str) -> list[str]:
        return [row["place"].split("/")[2] for row in headrace("deadletters", "list", *options, "--json").json]

    assert listed() == ["4", "3", "2", "1"]
    assert listed("--reason", "not json") == ["3"]
    assert listed("--topic", FEEDBACK.name) == listed("--since", "2026-03-15") == ["4"]
    assert headrace("deadletters", "replay").code == 2
    assert headrace("deadletters", "replay", "--all", "--topic", "headrace.jobs").code == 2
    assert "3 dead letters would be sent again" in headrace("deadletters", "replay", "--all", "--dry-run").out
    one = headrace("deadletters", "replay", "headrace.inferences/3/3/-1")
    assert (one.code, one.out.strip()) == (0, "1 dead letters were sent again"), one.err
    assert "2 dead letters were sent again" in headrace("deadletters", "replay", "--all").out
    assert "0 dead letters were sent again" in headrace("deadletters", "replay", "--all").out
    assert asyncio.run(_read(stack)) == sorted(
        [(FEEDBACK.name, 3, b"{}"), (INFERENCES.name, 3, lost.to_json()), (INFERENCES.name, 3, b"\xff not json")]
    )
    balance = {row["kind"]: row for row in warehouse.query("reconcile")}
    # What bears no id is on its way; what bears one is dead until it is stored.
    assert (balance["inferences"]["stored"], balance["inferences"]["dead_lettered"]) == (1, 1)
    assert balance["feedback"]["dead_lettered"] == 0


def test_labels_of_the_wrong_topic_are_sent_on_by_who_vouches(
    headrace: Any, warehouse: Warehouse, stack: Settings
) -> None:
    """They go to the topic of labels where that is said, to none of another kind, and never without their bytes."""
    label = new_feedback(answer().inference_id, "audit", "label", label="it")
    refused = letter(20, label.to_json(), topic=FEEDBACK.name, event_id=label.feedback_id)
    warehouse.insert("dead_letters", [refused.to_json(), letter(21, b"", topic=FEEDBACK.name).to_json()])
    assert (
        "events of headrace.feedback"
        in headrace("deadletters", "replay", "headrace.feedback/3/20/0", "--to", INFERENCES.name).err
    )
    assert "30 days" in headrace("deadletters", "replay", "headrace.feedback/3/21/0").err
    sent = headrace("deadletters", "replay", "headrace.feedback/3/20/0", "--to", LABELS.name)
    assert sent.code == 0, sent.err
    assert (LABELS.name, 3, label.to_json()) in asyncio.run(_read(stack))


def test_reconcile_names_emitter_and_hour(headrace: Any, warehouse: Warehouse) -> None:
    """By emitter, by hour and by both; another word is refused in one sentence."""
    said = headrace("reconcile", "--by", "emitter,hour", "--json")
    assert ("inferences", "desk.1", 1) in [(row["kind"], row["source"], row["stored"]) for row in said.json]
    assert {row["of_hour"] for row in headrace("reconcile", "--by", "emitter", "--json").json} == {"*"}
    assert headrace("reconcile", "--by", "tenant").code == 2
    assert headrace("reconcile", "--full").out == headrace("reconcile").out


def test_only_a_stopped_partition_is_accepted(headrace: Any) -> None:
    """What is not stopped needs no permission."""
    assert headrace("deadletters", "stopped").code == 0
    said = headrace("deadletters", "accept", "headrace.inferences/3")
    assert (said.code, "is not stopped" in said.err) == (2, True)
