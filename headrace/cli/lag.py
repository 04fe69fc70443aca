"""How far each group of readers is behind Kafka, in plain words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from headrace.bus.kafka.lag import Lag, Place, lag_reader
from headrace.contract.topics import FEEDBACK, ROLLOUTS, TOPICS, TRIGGERS, Topic
from headrace.errors import HeadraceError
from headrace.settings import Settings

# Who reads what: the group's name without its prefix, and its topics.
GROUPS: Mapping[str, tuple[Topic, ...]] = {
    "streams": TOPICS,
    "judge": (FEEDBACK,),
    "retrain": (TRIGGERS,),
    "rollout": (ROLLOUTS,),
}
PREFIX = "headrace-"
WITHIN_S = 10.0

Lags = Mapping[str, Mapping[Place, Lag]]
"""The lag of each partition, by group."""


def read(settings: Settings) -> Lags:
    """The lag of every group; empty where Kafka does not answer in time."""

    async def one(group: str, topics: tuple[Topic, ...]) -> Mapping[Place, Lag]:
        async with lag_reader(settings, PREFIX + group) as reader:
            return await reader.read(topics)

    async def every() -> list[Mapping[Place, Lag]]:
        async with asyncio.timeout(WITHIN_S):
            return await asyncio.gather(*(one(group, topics) for group, topics in GROUPS.items()))

    try:
        return dict(zip(GROUPS, asyncio.run(every()), strict=True))
    except (HeadraceError, TimeoutError):
        return {}


def rows(lags: Lags) -> list[dict[str, Any]]:
    """One row a group and topic in which records wait."""
    now = time.time()
    found: list[dict[str, Any]] = []
    for group, places in lags.items():
        for topic in sorted({topic for (topic, _), lag in places.items() if lag.records}):
            here = [lag for (name, _), lag in places.items() if name == topic]
            found.append(
                {
                    "group": group,
                    "topic": topic,
                    "records": sum(lag.records for lag in here),
                    "events": sum(lag.events for lag in here),
                    "oldest_s": round(max(lag.age_s(now) for lag in here), 1),
                }
            )
    return found


def sentences(lags: Lags) -> list[str]:
    """What a person wants to know: who is behind, by how much, and since when."""
    if not lags:
        return ["Kafka does not answer, so nobody knows what waits there"]
    behind = rows(lags)
    told = [
        f"{row['group']} has not read {row['records']:,} records of {row['topic']} (about {row['events']:,} events);"
        f" the oldest waits for {row['oldest_s']:g} s"
        for row in behind
    ]
    level = [group for group in lags if group not in {row["group"] for row in behind}]
    return told + ([f"{', '.join(level)}: nothing waits"] if level else [])
