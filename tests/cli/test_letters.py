"""`headrace deadletters` beside the real Kafka and ClickHouse: filtered, sent again byte for byte, counted once."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from headrace.bus.kafka import KafkaConsumer
from headrace.bus.kafka.security import client_options
from headrace.contract.control import DeadLetter
from headrace.contract.events import Inference, new_feedback, new_inference
from headrace.contract.excerpt import Excerpt
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

EVERY: dict[str, Any] = {"topic": "", "reason": "", "since": "2000-01-01 00:00:00", "rows": 100}
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
    later = letter(2, b"{", at=datetime(2026, 6, 1, tzinfo=UTC)).to_json()
    to_come = json.dumps(json.loads(later) | {"ingested_at": "2100-01-01 00:00:00"})
    warehouse.insert("dead_letters", [to_come.encode()])
    assert "0 dead letters were sent again" in headrace("deadletters", "replay", "--all").out
    warehouse.command("DELETE FROM dead_letters WHERE ingested_at > now()")
    assert asyncio.run(_read(stack)) == sorted(
        [(FEEDBACK.name, 3, b"{}"), (INFERENCES.name, 3, lost.to_json()), (INFERENCES.name, 3, b"\xff not json")]
    )
    balance = {row["kind"]: row for row in warehouse.query("cli/reconcile")}
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


def test_a_letter_of_a_topic_made_again_replaces_no_former_one(headrace: Any, warehouse: Warehouse) -> None:
    """Both stand at the same place, each once; what sends one of them again leaves the other to be sent."""
    former, present = letter(30, b"[1"), letter(30, b"[2", at=datetime(2026, 5, 1, tzinfo=UTC))
    place = f"{INFERENCES.name}/3/30/0"
    warehouse.insert("dead_letters", [former.to_json()])
    assert headrace("deadletters", "replay", place).code == 0
    warehouse.insert("dead_letters", [present.to_json(), former.to_json()])
    since = ("--topic", INFERENCES.name, "--json")
    found = [row["replayed"] for row in headrace("deadletters", "list", *since).json if row["place"] == place]
    assert found == [False, True]
    shown = headrace("deadletters", "show", place).out
    assert shown.index("[2") < shown.index("[1")
    assert headrace("deadletters", "show", place, "--raw").out == "[2"
    assert "1 dead letters were sent again" in headrace("deadletters", "replay", "--all").out
    assert (
        warehouse.query("cli/reconcile_full")[0]["dead_lettered"]
        == warehouse.query("cli/reconcile")[0]["dead_lettered"]
    )


async def _write(stack: Settings, value: bytes) -> int:
    """A record that only compression makes small enough for its topic, as a foreign emitter may send it."""
    async with AIOKafkaProducer(**client_options(stack), compression_type="gzip", max_request_size=2**30) as kafka:
        return int((await kafka.send_and_wait(INFERENCES.name, value, partition=5)).offset)


def test_a_large_original_is_read_from_its_topic(headrace: Any, stack: Settings, warehouse: Warehouse) -> None:
    """What is too large for a letter is shown and sent again while its topic has it, and else told in one sentence."""
    event = json.dumps({"inference_id": "odd", "input": "x" * 14_000_000}).encode()
    value = b"[7, " + event + b"]"
    offset = asyncio.run(_write(stack, value))
    about: dict[str, Any] = {"partition": 5}
    letters = [
        letter(offset, b"", record_index=-1, excerpt=Excerpt.of(value), **about),
        letter(offset, b"", record_index=1, excerpt=Excerpt.of(event), **about),
        letter(offset, b"", record_index=0, excerpt=Excerpt.of(b"a former topic's bytes"), **about),
        letter(offset + 9, b"", record_index=-1, excerpt=Excerpt.of(value), **about),
    ]
    warehouse.insert("dead_letters", [one.to_json() for one in letters])
    place = f"{INFERENCES.name}/5/{offset}"
    listed = {row["place"]: row["bytes"] for row in warehouse.query("cli/deadletters_list", **EVERY)}
    assert (listed[f"{place}/-1"], listed[f"{place}/1"]) == (len(value), len(event))
    shown = headrace("deadletters", "show", f"{place}/1").out
    assert f"{len(event)} bytes stay in {INFERENCES.name}" in shown and shown.rstrip().endswith('xxx"}')
    assert headrace("deadletters", "show", f"{place}/1", "--raw").out.encode() == event
    said = headrace("deadletters", "replay", f"{place}/0")
    assert (said.code, len(said.err.strip().splitlines())) == (2, 1)
    assert f"bytes of {place}/0 are not in {INFERENCES.name} any more" in said.err
    sent = headrace("deadletters", "replay", "--all", "--topic", INFERENCES.name)
    assert sent.code == 0 and sent.out.startswith("2 dead letters were sent again"), sent.err
    assert len([line for line in sent.err.splitlines() if "not in headrace.inferences any more" in line]) == 2
    read = [found[2] for found in asyncio.run(_read(stack)) if found[1] == 5]
    assert sorted(read) == sorted([value, value, event])


def test_reconcile_names_emitter_and_hour(headrace: Any, warehouse: Warehouse) -> None:
    """By emitter, by hour and by both; another word is refused in one sentence."""
    said = headrace("reconcile", "--by", "emitter,hour", "--json")
    assert ("inferences", "desk.1", 1) in [(row["kind"], row["source"], row["stored"]) for row in said.json]
    assert {row["of_hour"] for row in headrace("reconcile", "--by", "emitter", "--json").json} == {"*"}
    assert headrace("reconcile", "--by", "tenant").code == 2
    assert headrace("reconcile", "--full").out == headrace("reconcile").out


def test_an_acceptance_follows_the_stop_whatever_the_clocks_of_hosts(headrace: Any, warehouse: Warehouse) -> None:
    """A partition that a worker stopped whose clock is ahead goes on at the first word of a person."""
    at = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    row = {"topic": INFERENCES.name, "partition": 4, "at": at, "state": "stopped", "offset": 5, "reason": "not JSON"}
    warehouse.insert("stopped_partitions", [json.dumps(row).encode()])
    assert headrace("deadletters", "stopped").code == 1
    said = headrace("deadletters", "accept", f"{INFERENCES.name}/4", "--through", "50")
    assert (said.code, "below offset 50 no limit holds" in said.out) == (0, True), said.err
    assert headrace("deadletters", "stopped").code == 0


def test_only_a_stopped_partition_is_accepted(headrace: Any) -> None:
    """What is not stopped needs no permission."""
    assert headrace("deadletters", "stopped").code == 0
    said = headrace("deadletters", "accept", "headrace.inferences/3")
    assert (said.code, "is not stopped" in said.err) == (2, True)
