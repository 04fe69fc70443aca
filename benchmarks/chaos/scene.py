"""What a fault has at hand, and what it adds to the count."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from benchmarks.chaos.load import Load
from benchmarks.chaos.stage import BUSY, VERSION, Stage
from headrace.contract import ids
from headrace.contract.events import Event, Inference, new_feedback, new_inference, pack
from headrace.contract.topics import INFERENCES, LABELS

TICK_S = 0.5

Check = Callable[[], str]
"""What is not true yet, as a sentence; "" where it is."""


@dataclass(slots=True)
class Scene:
    """One fault's surroundings.

    given: ids of events that bear another task than the tag: a gateway's answers, a planned task's; each must be a row
    poison: events that cannot become a row; each must be a dead letter
    checks: what must become true afterwards, beside the count
    """

    stage: Stage
    load: Load
    tag: str
    given: list[UUID] = field(default_factory=list)
    poison: int = 0
    checks: list[Check] = field(default_factory=list)

    def record(self, value: bytes, events: int) -> None:
        """Send one record of inferences; `events` of it are to become rows."""
        self.load.call(self.load.record(value, events, self.tag), 60)

    def answers(self, task: str, count: int, at: datetime, emitter: str = "planned") -> list[Inference]:
        """Answers of a planned task, acknowledged, by an emitter whose clock says `at`."""
        made = [self.answer(task, at + timedelta(milliseconds=number), emitter) for number in range(count)]
        self.load.call(self.load.send(INFERENCES, pack(made)), 60)
        self.given += [answer.inference_id for answer in made]
        return made

    def answer(self, task: str, at: datetime, emitter: str = "raw") -> Inference:
        """One answer, not sent."""
        return new_inference(
            task, VERSION, input="injected", label="it", occurred_at=at, inference_id=ids.uuid7(at), emitter=emitter
        )

    def label(self, answers: list[Inference]) -> None:
        """The audit's labels of these answers come now."""
        said = [
            new_feedback(answer.inference_id, "audit", "label", task=answer.task, label="it", rater="expert")
            for answer in answers
        ]
        self.load.call(self.load.send(LABELS, pack(said)), 60)
        self.given += [label.feedback_id for label in said]

    def busy(self, seconds: float, beside: Callable[[], object] = lambda: None) -> datetime:
        """Traffic and labels of the planned task that is never idle; returns the time of its last answer.

        beside: called as often
        """
        deadline = time.monotonic() + seconds
        while True:
            at = datetime.now(UTC)
            self.label(self.answers(BUSY, 2, at))
            beside()
            if time.monotonic() >= deadline:
                return at
            time.sleep(TICK_S)

    def looked(self, watermark: datetime, before: datetime) -> bool:
        """Whether the monitor looked at the busy task at such a watermark or a later one, before some time."""
        sql = (
            "SELECT count() AS n FROM evaluations WHERE task = {task:String} AND detector = 'policy'"
            " AND watermark >= fromUnixTimestamp64Milli({watermark:Int64}, 'UTC')"
            " AND looked_at < fromUnixTimestamp64Milli({before:Int64}, 'UTC')"
        )
        found = self.stage.rows(sql, task=BUSY, watermark=ids.millis(watermark), before=ids.millis(before))
        return bool(found and found[0]["n"])


def raw_event(event: Event, **changed: object) -> bytes:
    """An event's JSON with fields changed, as another emitter would write it."""
    return json.dumps({**json.loads(event.to_json()), **changed}).encode()
