"""What each gateway replica serves, by its heartbeats."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from consumers.rollout.step import Evidence
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


@dataclass(frozen=True, slots=True)
class Heard:
    """A replica's last heartbeat, and what its processes before counted for the candidate of now."""

    last: Replica
    requests: int = 0
    failed: int = 0

    def then(self, heartbeat: Replica) -> Heard:
        """With the next one. A replica that started again counts from zero; one that tries another starts there."""
        if heartbeat.candidate != self.last.candidate:
            return Heard(heartbeat)
        if heartbeat.candidate_requests >= self.last.candidate_requests:
            return Heard(heartbeat, self.requests, self.failed)
        return Heard(heartbeat, self.requests + self.last.candidate_requests, self.failed + self.last.candidate_failed)


class Replicas:
    """The last heartbeat of each replica and task, and what was counted for the candidate.

    A replica whose heartbeats cannot be read, as those of a newer version, lives all the same: rollouts wait for it.
    """

    def __init__(self) -> None:
        self._unreadable: dict[str, datetime] = {}
        self._heard: dict[tuple[str, str], Heard] = {}

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
        before = self._heard.get(key)
        if before is None:
            self._heard[key] = Heard(heartbeat)
        elif heartbeat.at >= before.last.at:
            self._heard[key] = before.then(heartbeat)

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
        """What the replicas say of the promotion's candidate, or of the live version where there is none.

        Only the living are waited for; what one counted that died since the step began counts all the same.
        """
        told = [heard for (task, _), heard in self._heard.items() if task == promotion.task]
        version = (promotion.candidate or promotion.live).version
        counted = [each for each in told if each.last.candidate == version]
        counted = [each for each in counted if each.last.at >= promotion.at or now - each.last.at <= ALIVE]
        living = [each.last for each in told if now - each.last.at <= ALIVE]
        heeding = [replica for replica in living if replica.generation == promotion.generation]
        ready = [replica for replica in heeding if version in replica.ready]
        complaints = [f"{replica.replica}: {replica.candidate_error}" for replica in heeding if replica.candidate_error]
        names = {replica.replica for replica in living}
        unknown = sum(now - at <= ALIVE for name, at in self._unreadable.items() if name not in names)
        return Evidence(
            age_s=(now - promotion.at).total_seconds(),
            living=len(living) + unknown,
            ready=len(ready),
            complaint=complaints[0][:500] if complaints else "",
            requests=sum(each.requests + each.last.candidate_requests for each in counted),
            failed=sum(each.failed + each.last.candidate_failed for each in counted),
        )
