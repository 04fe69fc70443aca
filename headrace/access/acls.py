"""Who may do what on a secured broker: one table, applied to the embedded broker and printed by `headrace acls`.

A topic is the smallest thing that Kafka guards. So a role that speaks as some sources of a topic's events may write all
of it, and what is finer (which source, which tenant) is checked by the gateway: give programs that you do not trust an
API key instead of a login at the broker. Role publish has none: browsers reach the gateway alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from headrace.access.roles import Role

TOPICS, GROUPS = "headrace.", "headrace-"


class Kind(IntEnum):
    """Kinds of resources, by Kafka's numbers."""

    TOPIC = 2
    GROUP = 3
    TRANSACTIONAL_ID = 5


class Operation(IntEnum):
    """By Kafka's numbers. Read and Write bring Describe with them."""

    READ = 3
    WRITE = 4
    CREATE = 5


@dataclass(frozen=True, slots=True)
class Acl:
    """One right to one resource, or to all whose names begin with `name`."""

    kind: Kind
    name: str
    operation: Operation
    prefixed: bool = False

    def arguments(self) -> str:
        """As kafka-acls takes it."""
        option = {Kind.TOPIC: "--topic", Kind.GROUP: "--group", Kind.TRANSACTIONAL_ID: "--transactional-id"}[self.kind]
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return f"--operation {self.operation.name.capitalize()} {option} {self.name}{pattern}"


def _writes(*topics: str) -> tuple[Acl, ...]:
    return tuple(Acl(Kind.TOPIC, TOPICS + topic, Operation.WRITE) for topic in topics)


_READS = (
    Acl(Kind.TOPIC, TOPICS, Operation.READ, prefixed=True),
    Acl(Kind.GROUP, GROUPS, Operation.READ, prefixed=True),
)


def _owns(group: str) -> tuple[Acl, ...]:
    """Writes as one, and fences whoever owned a partition before."""
    return (Acl(Kind.TRANSACTIONAL_ID, GROUPS + group, Operation.WRITE, prefixed=True),)


EMITS = _writes("inferences", "feedback", "emitters")
"""What an agent frontend does, and the anonymous programs beside the embedded broker."""

ROLES: Mapping[Role, tuple[Acl, ...]] = {
    Role.INGEST: EMITS,
    Role.PUBLISH: (),
    Role.OUTCOME: _writes("labels", "emitters"),
    Role.REVIEW: _writes("labels", "emitters"),
    Role.OPERATE: (
        *_writes("triggers", "rollouts", "actions"),
        Acl(Kind.TOPIC, TOPICS + "promotions", Operation.READ),
        Acl(Kind.TOPIC, TOPICS + "jobs", Operation.READ),
    ),
    Role.READ: _READS,
}

PARTS: Mapping[str, tuple[Acl, ...]] = {
    "prepare": (Acl(Kind.TOPIC, TOPICS, Operation.CREATE, prefixed=True), *_READS),
    "streams": (*_READS, *_writes("dead-letters", "triggers", "actions")),
    "judge": (*_READS, *_writes("labels", "emitters")),
    "retrain": (*_READS, *_writes("jobs", "progress", "rollouts", "actions"), *_owns("retrain")),
    "rollout": (*_READS, *_writes("promotions", "triggers", "actions"), *_owns("rollout")),
    "serving": (*_READS, *_writes("inferences", "feedback", "labels", "emitters", "replicas", "rollouts", "actions")),
    "console": (*_READS, *_writes("actions")),
}
"""The parts that talk to the broker; the alert part reads the warehouse alone."""


def of_everyone() -> dict[str, tuple[Acl, ...]]:
    """Each part and role that talks to the broker, by the name that its principal goes by here."""
    roles = {f"role-{role}": acls for role, acls in ROLES.items() if acls}
    return {**PARTS, **roles}


def commands(principal: str, acls: Iterable[Acl]) -> list[str]:
    """kafka-acls commands that give one principal its rights."""
    return [
        f"kafka-acls --bootstrap-server $KAFKA --command-config admin.properties --add --allow-principal {principal} "
        f"{acl.arguments()}"
        for acl in acls
    ]
