"""A router's history, written the way a worker stores it: answers, their audits, promotions."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.contract.control import Promotion, Served, Step
from headrace.contract.events import Event, Feedback, Inference, new_feedback, new_inference, pack
from headrace.contract.topics import INFERENCES, LABELS, PROMOTIONS, Topic
from headrace.warehouse import Warehouse
from streams.audits import Audits
from streams.decode import Raw
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

PLAN = """
version = 1
[tasks.router]
labels = ["hr", "it", "finance"]
[tasks.router.incumbent]
version = "router@0"
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.router.windows]
size_s = 600
lateness_s = 0
rolling = 6
refresh_s = 0.2
[tasks.router.triggers]
hard_threshold = 2e4
reference_labels = 300
cheaper_after_labels = 0
cool_down_s = 0
[tasks.router.candidates.probe]
method = "probe"
"""


class Story:
    """Writes what happened to one task into a sink: answers, their audits, promotions."""

    def __init__(self, sink: Warehouse, seed: int = 1) -> None:
        self.sink = sink
        self.random = random.Random(seed)
        self.now = START
        self._offset = 0
        # Detectors read the audit's labels as the monitor copies them.
        self.copies = True
        self._audits = Audits(sink)

    def answers(
        self,
        n: int,
        error_rate: float = 0.1,
        version: str = "router@0",
        every_s: float = 1.0,
        mix: dict[str, float] | None = None,
        audited: float = 1.0,
        task: str = "router",
    ) -> tuple[list[Inference], list[Feedback]]:
        """n answers, one every `every_s` of event time, and the audit's label for the share `audited` of them."""
        shares = mix or {"hr": 0.4, "it": 0.4, "finance": 0.2}
        inferences: list[Inference] = []
        feedback: list[Feedback] = []
        for _ in range(n):
            self.now += timedelta(seconds=every_s)
            label = self.random.choices(list(shares), list(shares.values()))[0]
            drawn = self.random.random() < audited
            inference = new_inference(
                task, version, label=label, occurred_at=self.now, session_id=f"s{self.random.getrandbits(60)}",
                audited=drawn, audit_probability=audited, input="how do I?", latency_ms=20.0,
            )  # fmt: skip
            inferences.append(inference)
            if drawn:
                wrong = self.random.random() < error_rate
                truth = self.random.choice([name for name in shares if name != label]) if wrong else label
                feedback.append(
                    new_feedback(
                        inference.inference_id, "audit", "label", task=task, label=truth,
                        occurred_at=self.now + timedelta(seconds=1), inclusion_probability=audited, rater="expert",
                    )
                )  # fmt: skip
        return inferences, feedback

    def tell(self, n: int, error_rate: float = 0.1, version: str = "router@0", **how: Any) -> list[Inference]:
        """As `answers`, and stored."""
        inferences, feedback = self.answers(n, error_rate, version, **how)
        # Labels come in any order.
        self.random.shuffle(feedback)
        self.put(INFERENCES, inferences)
        self.put(LABELS, feedback)
        return inferences

    def put(self, topic: Topic, events: Iterable[Event]) -> None:
        """Store events as one packed record; answers with the draw of the base audit that they bear."""
        events = list(events)
        self._offset += 1
        if events and topic is INFERENCES:
            origin = {"kafka_topic": topic.name, "kafka_partition": 0, "kafka_offset": self._offset}
            made = [event.model_dump(mode="json", exclude={"proof"}) for event in events]
            self.sink.insert("inferences", [
                json.dumps(fields | origin | {"kafka_index": place}).encode() for place, fields in enumerate(made)
            ])  # fmt: skip
        elif events:
            assert store([Raw(topic.name, 0, self._offset, pack(events))], table_of(topic), self.sink, Rules()) == []
        if events and self.copies:
            self._audits.copy()

    def promote(
        self, version: str, artifact: str = "", generation: int = 1, errors: int = 0, labelled: int = 0, **fields: Any
    ) -> Promotion:
        """Store a promotion that makes `version` live from now on."""
        record: dict[str, Any] = {
            "task": "router",
            "generation": generation,
            "step": Step.STEADY,
            "live": Served(version=version, artifact=artifact, errors=errors, labelled=labelled),
            "since": self.now,
            "at": self.now,
        }
        promotion = Promotion.model_validate(record | fields)
        self._offset += 1
        raw = Raw(PROMOTIONS.name, 0, self._offset, promotion.to_json())
        assert store([raw], table_of(PROMOTIONS), self.sink, Rules()) == []
        return promotion
