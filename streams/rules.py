"""What workers hold events to, whoever wrote them: who may say what, which arms count, what is audited.

Anyone who may emit events can write any field. So feedback of a topic comes from the topic's sources alone; an arm
other than live counts only where a gateway signed it; and the base audit is drawn here, by a hash that only workers
know, and no emitter's word about it counts (headrace/warehouse/inserts/inferences.sql draws).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self, TypeVar

from headrace.access.proofs import Proofs
from headrace.access.secrets import audit_secret
from headrace.access.siphash import key_of
from headrace.client.packing import topic_of
from headrace.contract.events import Arm, Event, Feedback, Inference, Source
from headrace.contract.topics import FEEDBACK, Topic
from headrace.errors import EventError
from headrace.plan import Plan
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.label_ids import LabelIds

SAID_EVERY_S = 60.0

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)


@dataclass(slots=True)
class Unproven:
    """Counts what was not as it said, and says so once a minute.

    count: told why, each time
    """

    count: Callable[[str], object] = lambda why: None
    _said: dict[str, float] = field(default_factory=dict)

    def tell(self, why: str, sentence: str) -> None:
        """Count it; log the sentence where it was not logged within the last minute."""
        self.count(why)
        now = time.monotonic()
        if now - self._said.get(why, -SAID_EVERY_S) >= SAID_EVERY_S:
            self._said[why] = now
            log.warning("%s (said once a minute)", sentence)


@dataclass(frozen=True)
class Rules:
    """What holds for events. `Rules()` is the strictest: no label in the topic of feedback, no arm, no audit.

    labels_below: by partition of headrace.feedback, the offset below which its records may hold labels, too: they were
        written before labels had a topic
    rates: by task, the share of answers that the base audit draws
    audit_secret: what it draws by
    proofs: checks gateways' signatures; None: none holds
    label_ids: of labels that events name by their texts
    """

    labels_below: Mapping[int, int] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    audit_secret: bytes = b""
    proofs: Proofs | None = None
    label_ids: LabelIds = field(default_factory=LabelIds)
    unproven: Unproven = field(default_factory=Unproven)

    @classmethod
    def of(cls, settings: Settings, plan: Plan, warehouse: Warehouse, count: Callable[[str], object]) -> Self:
        """Of a deployment. Raises SettingsError where a secret cannot be read, WarehouseError."""
        rows = warehouse.query("shared/topic_bounds", topic=FEEDBACK.name)
        if not rows:
            log.warning(
                "the warehouse does not know where the topic of labels began (`headrace prepare` writes it down):"
                " %s takes no labels at all",
                FEEDBACK.name,
            )
        return cls(
            labels_below={int(row["partition"]): int(row["bound"]) for row in rows},
            rates={name: task.audit.rate for name, task in plan.served.items()},
            audit_secret=audit_secret(settings).get_secret_value().encode(),
            proofs=Proofs.of(settings),
            label_ids=LabelIds.of(plan.tasks),
            unproven=Unproven(count),
        )

    @cached_property
    def draw(self) -> bytes:
        """What the insert of answers needs to know, as members of a JSON object: keys of 128 bits, and the rates."""
        marks = self.proofs.mark_key if self.proofs is not None else (0, 0)
        return b'"audit_key_0":%d,"audit_key_1":%d,"mark_key_0":%d,"mark_key_1":%d,"audit_rates":%b' % (
            *key_of("headrace audit 1", self.audit_secret),
            *marks,
            json.dumps(dict(self.rates)).encode(),
        )

    def hold(self, topic: Topic, partition: int, offset: int, events: Sequence[Any]) -> bool:
        """Whether a record's events, as headrace/contract has read them, may be stored as they are."""
        if topic.sources is None:
            return all(self._signed(event) for event in events if event.proof or event.arm is not Arm.LIVE)
        return self._older(topic, partition, offset) or topic.sources.issuperset([event.source for event in events])

    def held(self, topic: Topic, partition: int, offset: int, event: E) -> E:
        """The event as it is stored, its labels by their ids. Raises EventError that says where it belongs."""
        return self.label_ids.named(self._held(topic, partition, offset, event))

    def _held(self, topic: Topic, partition: int, offset: int, event: E) -> E:
        if isinstance(event, Feedback):
            self._allow(topic, partition, offset, event)
        elif isinstance(event, Inference) and not self._signed(event):
            if self.proofs is not None and self.proofs.minted(event.inference_id):
                raise EventError(
                    f"Inference.inference_id: {event.inference_id} is an answer of the gateway's, and no gateway signed"
                    " this event as it is; give an answer of your own an id of your own"
                )
            if event.proof or event.arm is not Arm.LIVE:
                return self._unsigned(event)  # type: ignore[return-value]
        return event

    def _allow(self, topic: Topic, partition: int, offset: int, event: Feedback) -> None:
        sources = topic.sources or frozenset()
        if event.source in sources or self._older(topic, partition, offset):
            return
        raise EventError(
            f"Feedback.source: {event.source} does not speak on {topic.name}, which takes {_listed(sources)};"
            f" it belongs on {topic_of(event).name}"
        )

    def _older(self, topic: Topic, partition: int, offset: int) -> bool:
        return topic is FEEDBACK and offset < self.labels_below.get(partition, 0)

    def _signed(self, event: Any) -> bool:
        return self.proofs is not None and self.proofs.hold(event)

    def _unsigned(self, event: Inference) -> Inference:
        """As an answer like any emitter's; what it said of its arm stays in `extra`."""
        if event.proof:
            self.unproven.tell(
                "wrong",
                f"emitter {event.emitter!r} sent an answer whose signature does not hold: either it"
                " is forged, or this worker and the gateways have different secrets (HEADRACE_GATEWAY_SECRET, or"
                " secrets/gateway below each one's HEADRACE_HOME), and then no canary and no shadow is counted",
            )
        else:
            self.unproven.tell(
                "missing",
                f"emitter {event.emitter!r} says arm {event.arm} of an answer; only a gateway can: it counts as live",
            )
        said = {} if event.arm is Arm.LIVE else {"said_arm": event.arm.value}
        return event.model_copy(update={"arm": Arm.LIVE, "proof": None, "extra": event.extra | said})


def _listed(sources: frozenset[Source]) -> str:
    return ", ".join(source for source in Source if source in sources)
