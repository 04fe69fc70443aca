"""The simulated experts: rarely wrong, blind where they must be, and at work on the real review queue."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace.client import Client
from headrace.client.packing import Packed
from headrace.contract.control import Counter
from headrace.contract.events import Event, Inference, new_feedback, new_inference
from headrace.contract.ids import uuid7
from headrace.warehouse import Warehouse
from simulation.experts import answer, work
from simulation.grammar import Question, World

SEED = 6
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACE = {"kafka_topic": "t", "kafka_partition": 0, "kafka_offset": 0, "kafka_index": 0, "extra": ""}


def row(question: Question, kind: str, label: str = "", probability: float = 0.0) -> dict[str, Any]:
    """A row of the queue."""
    return {
        "kind": kind,
        "task": "router",
        "tenant": "default",
        "inference_id": uuid7(AT),
        "occurred_at": AT,
        "input": question.text,
        "label": label,
        "inclusion_probability": probability,
    }


def test_blind_labels_are_right_995_times_in_1000() -> None:
    """An audit says the truth, with the probability that the answer was drawn with, and blames nothing."""
    world = World(SEED)
    right = 0
    for question in world.questions(1, 4_000):
        given = answer(world, row(question, "audit", probability=0.4))
        assert given is not None
        assert (given.source, given.signal, given.blame) == ("audit", "label", None)
        assert given.inclusion_probability == 0.4
        right += given.label == question.label
    assert 0.990 <= right / 4_000 < 1


def test_reviews_confirm_what_was_misrouted() -> None:
    """A review blames routing exactly where the expert's label is not the answer's, and is right 99 times in 100."""
    world = World(SEED)
    right = 0
    for question in world.questions(1, 3_000):
        for answered in (question.label, "it" if question.label != "it" else "hr"):
            given = answer(world, row(question, "review", answered))
            assert given is not None
            assert (given.source, given.signal) == ("reviewer", "verdict")
            assert (given.blame == "routing") == (given.label != answered)
            right += given.label == question.label
    assert 0.983 <= right / 6_000 < 1


def test_the_same_row_gets_the_same_answer() -> None:
    """Asked twice, an expert gives one event: same id, same label."""
    world = World(SEED)
    waiting = row(world.question(1, 5), "audit")
    first, second = answer(world, waiting), answer(world, waiting)
    assert first is not None
    assert second is not None
    assert (first.feedback_id, first.label) == (second.feedback_id, second.label)


def test_a_strangers_question_is_left_to_people() -> None:
    """Nobody of the company asked it, so no simulated expert knows."""
    world = World(SEED)
    stranger = Question("how deep is the Baltic Sea at Gotland?", "", "", 1, 0)
    assert answer(world, row(stranger, "audit")) is None


class Kept:
    """A transport that keeps what is sent, and says when `wanted` events are there."""

    def __init__(self, wanted: int) -> None:
        self.events: list[dict[str, Any]] = []
        self.wanted = wanted
        self.enough = threading.Event()

    async def send(self, record: Packed) -> None:
        decoded = json.loads(record.value)
        self.events += decoded if isinstance(decoded, list) else [decoded]
        if len(self.events) >= self.wanted:
            self.enough.set()

    async def count(self, counter: Counter) -> None:
        pass

    async def close(self) -> None:
        pass


def store(warehouse: Warehouse, table: str, events: Iterable[Event]) -> None:
    rows = [json.dumps(e.model_dump(mode="json", exclude_none=True) | PLACE).encode() for e in events]
    warehouse.insert(table, rows)


@pytest.mark.stack
def test_experts_answer_the_queue(warehouse: Warehouse) -> None:
    """On the real view: what was drawn is labelled, what a judge blamed is reviewed, once each, and nothing else is."""
    world = World(SEED)
    asked = world.questions(1, 30)
    inferences = [_inference(q.text, audited=n < 10) for n, q in enumerate(asked)]
    stranger = _inference("how deep is the Baltic Sea at Gotland?", audited=True)
    store(warehouse, "inferences", [stranger, *inferences])
    blamed = [
        new_feedback(i.inference_id, "judge", "verdict", task="router", blame="routing", label="it", rater="judge")
        for i in inferences[20:25]
    ]
    store(warehouse, "feedback", blamed)

    stop, kept = threading.Event(), Kept(wanted=15)
    with Client(url="http://127.0.0.1:1", transport=kept) as client:
        working = threading.Thread(target=work, args=(warehouse, client, world, stop))
        working.start()
        try:
            assert kept.enough.wait(30), f"{len(kept.events)} of 15 answers came"
        finally:
            stop.set()
            working.join(30)
    assert {e["inference_id"] for e in kept.events if e["source"] == "audit"} == _ids(inferences[:10])
    assert {e["inference_id"] for e in kept.events if e["source"] == "reviewer"} == _ids(inferences[20:25])
    assert len(kept.events) == 15


def _inference(text: str, audited: bool) -> Inference:
    probability = 0.4 if audited else 0.0
    return new_inference("router", "router@0", input=text, label="hr", audited=audited, audit_probability=probability)


def _ids(inferences: Iterable[Inference]) -> set[str]:
    return {str(i.inference_id) for i in inferences}
