"""Where the topic of labels began: up to there headrace.feedback may hold labels, too, which an older program wrote.

    before the topic of labels is created   the end of each partition of headrace.feedback becomes its bound
    from then on                            a bound never moves to later records, and never lies beyond the end

So it may be run again, be killed anywhere, or run twice at once. A new deployment's bounds are 0. Where the topic is
there and no bound is known, the warehouse is new: then the bounds are 0, too, and labels among old feedback are refused
rather than believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiokafka import TopicPartition

from headrace.bus.kafka.connection import reader
from headrace.contract.topics import FEEDBACK, LABELS
from headrace.settings import Settings
from headrace.warehouse import Warehouse


async def keep_bounds(settings: Settings, warehouse: Warehouse) -> str:
    """Write the bounds down; to be called before the topics are created, and after the tables.

    Returns a sentence where labels among old feedback will not be believed, else an empty one. Raises HeadraceError.
    """
    began, ends = await _look(settings)
    known = {
        int(row["partition"]): int(row["bound"]) for row in warehouse.query("shared/topic_bounds", topic=FEEDBACK.name)
    }
    bounds = {
        partition: min(known.get(partition, 0 if began else end), end)
        for partition, end in (dict.fromkeys(range(settings.partitions), 0) | dict(ends)).items()
    }
    rows = [
        json.dumps({"topic": FEEDBACK.name, "partition": partition, "bound": bound}).encode()
        for partition, bound in bounds.items()
        if known.get(partition) != bound
    ]
    warehouse.insert("topic_bounds", rows)
    if began and not known and any(ends.values()):
        return (
            f"the database {warehouse.database} does not know where {LABELS.name} began: labels in {FEEDBACK.name}"
            " become dead letters (`headrace deadletters replay --to` sends them on, where you trust who wrote them)"
        )
    return ""


async def _look(settings: Settings) -> tuple[bool, Mapping[int, int]]:
    """Whether the topic of labels is there, and the end of each partition of the topic of feedback."""
    async with reader(settings) as kafka:
        # aiokafka's own topics() returns names and keeps the partitions to itself.
        metadata = await kafka._client.fetch_all_metadata()
        parts = [TopicPartition(FEEDBACK.name, number) for number in metadata.partitions_for_topic(FEEDBACK.name) or ()]
        ends = await kafka.end_offsets(parts) if parts else {}
        return LABELS.name in metadata.topics(), {part.partition: end for part, end in ends.items()}
