"""What the gateway tells the others: which generation serves, and which candidate it took out of traffic."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from headrace.bus import Producer
from headrace.contract import ids
from headrace.contract.control import Replica, RequestKind, RolloutRequest
from headrace.contract.events import MAX_TEXT
from headrace.contract.topics import REPLICAS, ROLLOUTS
from serving.answering.breaker import Tally
from serving.answering.gateway import Counts, Stopped
from serving.versions.fleet import Fleet

log = logging.getLogger(__name__)

EVERY_S = 2.0
FRESH_S = 6.0
"""Kafka counts as reachable this long after it acknowledged a heartbeat."""


class Heartbeat:
    """Sends a Replica for each task every EVERY_S seconds and at each change, and requests until they are stored.

    reachable: Kafka acknowledged a heartbeat lately
    starting: no heartbeat has been tried yet
    acknowledged: the generation that the newest stored heartbeat of a task named
    """

    def __init__(self, name: str, fleet: Fleet, producer: Producer, counts: Mapping[str, Counts]) -> None:
        self.acknowledged: dict[str, int] = {}
        self._name = name
        self._fleet = fleet
        self._producer = producer
        self._counts = counts
        self._requests: list[RolloutRequest] = []
        self._changed = asyncio.Event()
        self._stored_at = -FRESH_S
        self._began_at = time.monotonic()
        self._tried = False

    @property
    def reachable(self) -> bool:
        return time.monotonic() - self._stored_at < FRESH_S

    @property
    def starting(self) -> bool:
        """Whether it is too early to say that Kafka is away."""
        return not self._tried and time.monotonic() - self._began_at < FRESH_S

    def changed(self) -> None:
        """Send now and not at the next beat."""
        self._changed.set()

    def stopped(self, stopped: Stopped) -> None:
        """Ask consumers/rollout to abort a candidate that failed here."""
        lane, candidate = stopped.lane, stopped.candidate
        at = datetime.now(UTC)
        reason = (
            f"{candidate.tally.failed} of {candidate.tally.requests} requests failed on {candidate.served.version}"
            f" at {self._name}; it gets no more traffic there"
        )
        log.error("task %s: %s", lane.task, reason)
        self._requests.append(
            RolloutRequest(
                request_id=ids.uuid7(at),
                task=lane.task,
                kind=RequestKind.ABORT,
                at=at,
                by=self._name,
                candidate=candidate.served,
                generation=lane.desired.generation,
                reason=reason,
            )
        )
        self.changed()

    async def run(self) -> None:
        """Beat for ever; a broker that is away is only logged."""
        while True:
            try:
                await self.beat()
            except Exception as error:  # questions are answered all the same, and the next beat tries again
                log.warning("no heartbeat could be stored: %s", error)
            self._tried = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._changed.wait()

    async def beat(self) -> None:
        """Send once. Raises HeadraceError where the broker does not take it."""
        self._changed.clear()
        while self._requests:
            request = self._requests[0]
            await self._producer.send(ROLLOUTS, request.to_json(), request.task.encode())
            self._requests.pop(0)
        for task, lane in self._fleet.table.items():
            counts = self._counts[task]
            tried = lane.desired.canary or lane.desired.shadow
            loaded = lane.canary or lane.shadow
            if tried is None and lane.desired.previous and lane.complete:  # a new live version is watched
                tried, loaded = lane.live.served, lane.live
            tally = loaded.tally if loaded else Tally()
            replica = Replica(
                replica=self._name,
                task=task,
                at=datetime.now(UTC),
                generation=lane.desired.generation,
                live=lane.live.served.version,
                ready=lane.ready,
                error=lane.error[:MAX_TEXT],
                requests=counts.requests,
                failed=counts.failed,
                candidate=tried.version if tried else "",
                candidate_error=lane.candidate_error[:MAX_TEXT],
                candidate_requests=tally.requests,
                candidate_failed=tally.failed,
            )
            await self._producer.send(REPLICAS, replica.to_json(), self._name.encode())
            self.acknowledged[task] = replica.generation
        self._stored_at = time.monotonic()
