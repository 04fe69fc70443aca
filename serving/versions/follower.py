"""Reads promotions and tells the fleet what to serve."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from headrace.contract.compacted import Unreadable, reading
from headrace.contract.control import Promotion
from headrace.contract.topics import PROMOTIONS
from headrace.errors import HeadraceError
from headrace.plan import Plan
from serving.answering.routing import Desired
from serving.replica.bus import GatewayBus
from serving.versions import promotions_file

log = logging.getLogger(__name__)

FIRST_LOOK_S = 10.0
RETRY_S = 2.0
POLL_S = 1.0
RENEW_S = 60.0
"""A consumer can fall silent without an error: a new one reads the few records again this often."""


class Follower:
    """Keeps each task at the newest promotion.

    The highest generation that was ever seen wins, be it on the topic or in the file from before. So nothing that the
    topic lost, and nothing on it that cannot be read, changes what serves, also over a restart; `headrace control
    restore` writes a generation above all.
    """

    def __init__(self, plan: Plan, bus: GatewayBus, file: Path, want: Callable[[str, Desired], None]) -> None:
        self._seeds = {task: Desired.seed(spec.incumbent) for task, spec in plan.served.items()}
        self._bus = bus
        self._file = file
        self._want = want
        self._known: dict[str, Promotion] = {}
        self._unreadable: dict[str, Unreadable] = {}
        self._replayed = False

    async def first(self) -> Mapping[str, Desired]:
        """What to start with: the newest of the file and the topic, or the file alone after FIRST_LOOK_S without it."""
        kept = promotions_file.load(self._file)
        self._known, self._unreadable = dict(kept.read), dict(kept.unreadable)
        try:
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._replay()
        except (HeadraceError, TimeoutError) as error:
            log.warning("starting from %s, because Kafka cannot be read: %s", self._file, error or "no answer")
        return {task: self._desired(task) for task in self._seeds}

    async def run(self) -> None:
        """Follow for ever, through every absence of the broker."""
        while True:
            consumer = self._bus.promotions()
            try:
                if not self._replayed:
                    await self._replay()
                    for task in self._seeds:
                        self._want(task, self._desired(task))
                await consumer.start()
                again_at = time.monotonic() + RENEW_S
                while time.monotonic() < again_at:
                    # Of what is read at once the last record of a key: the others are what it replaced.
                    newest = {message.key or b"": message.value for message in await consumer.read(POLL_S)}
                    for key, value in newest.items():
                        if value is not None and self._take(key, value):
                            promotions_file.save(self._file, self._known)
                            task = key.decode()
                            if task in self._seeds:
                                self._want(task, self._desired(task))
            except Exception as error:  # what is loaded goes on serving, and the next try tells
                log.warning("promotions cannot be read now: %s", error)
                await asyncio.sleep(RETRY_S)
            finally:
                await consumer.stop()

    def unreadable(self, task: str) -> str:
        """Why the task's newest promotion cannot be read; empty where it can."""
        found = self._unreadable.get(task)
        if found is None and task not in self._known:
            found = self._unreadable.get(promotions_file.WHOLE)
        return found.reason if found else ""

    def unknown(self, task: str) -> str:
        """Why nothing is known of what should serve a task; empty where it is, and before its first promotion."""
        return "" if task in self._known else self.unreadable(task)

    async def _replay(self) -> None:
        values = await self._bus.snapshot()
        newer = [key for key, value in values.items() if self._take(key, value)]
        if newer:
            promotions_file.save(self._file, self._known)
        self._replayed = True
        for task in self._known.keys() & self._seeds.keys():
            if task.encode() not in values:
                log.error("the promotions topic has nothing of %s: what it says in %s serves", task, self._file)

    def _take(self, key: bytes, value: bytes) -> bool:
        """Whether the record is newer than what is known."""
        found = reading(key, value, PROMOTIONS, Promotion)
        if isinstance(found, Unreadable):
            if self._unreadable.get(found.key) != found:
                log.error("the promotion of %s cannot be read, what serves stays: %s", found.key, found.reason)
            self._unreadable[found.key] = found
            return False
        self._unreadable.pop(found.task, None)
        known = self._known.get(found.task)
        if known and found.generation <= known.generation:
            if found.generation < known.generation and not self._replayed:
                log.error(
                    "the topic says generation %d of %s, what serves is %d and stays",
                    found.generation,
                    found.task,
                    known.generation,
                )
            return False
        self._known[found.task] = found
        return True

    def _desired(self, task: str) -> Desired:
        known = self._known.get(task)
        return Desired.of(known, self._seeds[task]) if known else self._seeds[task]
