"""What each gateway replica serves, by its heartbeats."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from consumers.rollout.step import Evidence
from consumers.rollout.table import candidate_of
from headrace.bus.kafka import KafkaConsumer
from headrace.contract.compacted import Unreadable, reading
from headrace.contract.control import Promotion, Replica
from headrace.contract.topics import REPLICAS
from headrace.errors import HeadraceError
from headrace.settings import Settings

log = logging.getLogger(__name__)

ALIVE = timedelta(seconds=10)
READ_S = 0.5
RETRY_S = 2.0


class Replicas:
    """The last heartbeat of each replica and task, and the first one at its generation.

    A replica whose heartbeats cannot be read, as those of a newer version, lives all the same: rollouts wait for it.
    """

    def __init__(self) -> None:
        self._unreadable: dict[str, datetime] = {}
        self._last: dict[tuple[str, str], Replica] = {}
        self._first: dict[tuple[str, str], Replica] = {}

    async def follow(self, settings: Settings) -> None:
        """Read heartbeats for ever, through every absence of the broker."""
        while True:
            consumer = KafkaConsumer(settings, [REPLICAS], client_id="headrace-rollout-replicas")
            try:
                await consumer.start()
                while True:
                    for message in await consumer.read(READ_S):
                        self.hear_bytes(message.key, message.value, datetime.now(UTC))
            except HeadraceError as error:
                log.warning("heartbeats cannot be read now: %s", error)
            finally:
                await consumer.stop()
            await asyncio.sleep(RETRY_S)

    def hear(self, heartbeat: Replica) -> None:
        """Take a heartbeat; an older one than the last is passed over."""
        key = (heartbeat.task, heartbeat.replica)
        last = self._last.get(key)
        if last and heartbeat.at < last.at:
            return
        first = self._first.get(key)
        # A replica that started anew counts from zero again.
        if first is None or first.generation != heartbeat.generation or heartbeat.requests < first.requests:
            self._first[key] = heartbeat
        self._last[key] = heartbeat

    def hear_bytes(self, key: bytes | None, value: bytes | None, now: datetime) -> None:
        """Take a record of the topic, whatever it holds."""
        if key is None or value is None:
            return
        found = reading(key, value, REPLICAS, Replica)
        if not isinstance(found, Unreadable):
            self._unreadable.pop(found.replica, None)
            self.hear(found)
            return
        if found.key not in self._unreadable:
            log.error("the heartbeats of %s cannot be read: %s", found.key, found.reason)
        self._unreadable[found.key] = now

    def evidence(self, promotion: Promotion, now: datetime) -> Evidence:
        """What the living replicas say of the promotion's step."""
        living = [
            replica for (task, _), replica in self._last.items() if task == promotion.task and now - replica.at <= ALIVE
        ]
        candidate = candidate_of(promotion)
        heeding = [replica for replica in living if replica.generation == promotion.generation]
        ready = [replica for replica in heeding if candidate and candidate.version in replica.ready]
        complaints = [f"{replica.replica}: {replica.error}" for replica in heeding if replica.error]
        heard = {replica.replica for replica in living}
        unknown = sum(now - at <= ALIVE for name, at in self._unreadable.items() if name not in heard)
        firsts = [self._first[replica.task, replica.replica] for replica in heeding]
        return Evidence(
            age_s=(now - promotion.at).total_seconds(),
            living=len(living) + unknown,
            ready=len(ready),
            complaint=complaints[0][:500] if complaints else "",
            requests=sum(r.requests - first.requests for r, first in zip(heeding, firsts, strict=True)),
            failed=sum(max(0, r.failed - first.failed) for r, first in zip(heeding, firsts, strict=True)),
        )
