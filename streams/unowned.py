"""Sees to it that each partition is read: those that a topic got while its workers ran, and all of one made again.

The member that leads a group looks for new partitions. A member that is started again under its name takes its
partitions back without a new sharing out, and does not learn that it leads the group (KIP-814): then nobody looks. So
each worker asks the coordinator, and joins again where partitions are without an owner; when the leader does, the group
shares all of them out.

A topic that is made again under its name has offsets from 0 on. A worker that did not notice, because it stood still
meanwhile, would go on where it was in the former topic, and what the new one holds before that would be left out.
"""

from __future__ import annotations

import asyncio
import logging

import faust

from headrace.bus.kafka.lag import Place, lag_reader
from headrace.contract.topics import TOPICS
from headrace.errors import HeadraceError
from headrace.settings import Settings

LOOK_EVERY_S = 5.0

log = logging.getLogger("streams")


async def watch(app: faust.App, settings: Settings, group: str) -> None:
    """Look until cancelled; partitions that had no owner at two looks are shared out, topics made again read anew.

    group: the workers'
    """
    known: dict[str, str] = {}
    while True:
        try:
            async with lag_reader(settings, group) as reader:
                before: frozenset[Place] = frozenset()
                while True:
                    identities = await reader.identities()
                    if again := {name for name, found in identities.items() if known.get(name, found) != found}:
                        await app.consumer.read_anew(again)
                    known |= identities
                    now = frozenset() if app.rebalancing else await reader.unassigned(TOPICS)
                    if found := sorted(now & before):
                        log.warning(
                            "%d partitions have no worker, %s[%d] for one: joining again", len(found), *found[0]
                        )
                        await app.consumer.join_again()
                        now = frozenset()
                    before = now
                    await asyncio.sleep(LOOK_EVERY_S)
        except HeadraceError as error:
            log.warning("the group's partitions cannot be read, it will try again: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)
