"""Kafka's topics: one row each.

An event's key is its session, or else its inference, so that what belongs to one session stays in order; a control
message's key is its task, job or replica, an action's its kind. Dead letters are bounded by time: erasures rely on
that. Ground truth has a topic of its own, so that a broker's ACLs can say who may write it.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.contract.actions import Action
from headrace.contract.control import Counter, DeadLetter, Job, Progress, Promotion, Replica, RolloutRequest, Trigger
from headrace.contract.events import Feedback, Inference, Record, Source
from headrace.settings import Settings

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TEN_MINUTES_MS = 600_000
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    model: what a record's value decodes to; events are packed (an object or an array), control messages are not
    key: the field whose value is the record's key; "" for bucketed events
    partitions: of an event topic where the deployment says nothing else; see partitions_in
    retention_ms: -1 keeps for ever; compact: only the last record of a key is kept
    max_record_bytes: the largest record the broker takes
    sources: of feedback: who may speak there; None where the model has no sources
    """

    name: str
    model: type[Record]
    key: str
    partitions: int
    retention_ms: int
    compact: bool = False
    max_record_bytes: int = 4 * MIB
    sources: frozenset[Source] | None = None

    def config(self) -> dict[str, str]:
        """The broker's settings for it."""
        return {
            "cleanup.policy": "compact" if self.compact else "delete",
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_record_bytes),
            # Only closed segments are compacted, and a job's heartbeats are many.
            "segment.ms": str(TEN_MINUTES_MS if self.compact else DAY_MS),
        }


INFERENCES = Topic("headrace.inferences", Inference, "", 8, 7 * DAY_MS)
FEEDBACK = Topic("headrace.feedback", Feedback, "", 8, 7 * DAY_MS, sources=frozenset({Source.USER, Source.IMPLICIT}))
LABELS = Topic(
    "headrace.labels",
    Feedback,
    "",
    8,
    7 * DAY_MS,
    sources=frozenset({Source.OUTCOME, Source.JUDGE, Source.REVIEWER, Source.AUDIT}),
)
TRIGGERS = Topic("headrace.triggers", Trigger, "task", 4, 365 * DAY_MS)
JOBS = Topic("headrace.jobs", Job, "job_id", 4, -1, compact=True)
PROGRESS = Topic("headrace.progress", Progress, "job_id", 4, 7 * DAY_MS)
ROLLOUTS = Topic("headrace.rollouts", RolloutRequest, "task", 4, 365 * DAY_MS)
PROMOTIONS = Topic("headrace.promotions", Promotion, "task", 1, -1, compact=True)
REPLICAS = Topic("headrace.replicas", Replica, "replica", 1, DAY_MS)
ACTIONS = Topic("headrace.actions", Action, "kind", 1, 365 * DAY_MS)
EMITTERS = Topic("headrace.emitters", Counter, "emitter", 1, 30 * DAY_MS)
DEAD_LETTERS = Topic("headrace.dead-letters", DeadLetter, "topic", 1, 30 * DAY_MS, max_record_bytes=12 * MIB)

ROLLOUT_GROUP, RETRAIN_GROUP = "headrace-rollout", "headrace-retrain"
"""The groups that own ROLLOUTS and TRIGGERS, one partition each member: what they hold is named after them."""

TOPICS = (
    INFERENCES,
    FEEDBACK,
    LABELS,
    TRIGGERS,
    JOBS,
    PROGRESS,
    ROLLOUTS,
    PROMOTIONS,
    REPLICAS,
    ACTIONS,
    EMITTERS,
    DEAD_LETTERS,
)

EVENTS = (INFERENCES, FEEDBACK, LABELS)
"""What emitters write; everything else is written by headrace's own parts."""


def partitions_in(topic: Topic, settings: Settings) -> int:
    """How many partitions a topic has in a deployment: topics of events as many as it says, others a fixed number."""
    return settings.partitions if topic in EVENTS else topic.partitions
