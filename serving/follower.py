"""Reads promotions and tells the fleet what to serve."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from headrace.control import Promotion
from headrace.errors import HeadraceError
from headrace.plan import Plan
from serving import remembered
from serving.link import Link
from serving.routing import Desired

log = logging.getLogger(__name__)

FIRST_LOOK_S = 10.0
RETRY_S = 2.0
POLL_S = 1.0
RENEW_S = 60.0
"""A consumer can fall silent without an error: a new one reads the few records again this often."""


class Follower:
    """Keeps each task at the newest promotion.

    The topic is the truth: what it holds when it can first be read replaces whatever this process believed, be that
    the plan's incumbent or the file from before. From then on a higher generation wins and a lower one is stale.
    """

    def __init__(self, plan: Plan, link: Link, file: Path, want: Callable[[str, Desired], None]) -> None:
        self._seeds = {task: Desired.seed(spec.incumbent) for task, spec in plan.tasks.items()}
        self._link = link
        self._file = file
        self._want = want
        self._known: dict[str, Promotion] = {}
        self._replayed = False

    async def first(self) -> Mapping[str, Desired]:
        """What to start with: the topic's state, or the file's where no broker answers in FIRST_LOOK_S."""
        try:
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._replay()
        except (HeadraceError, TimeoutError) as error:
            self._known = self._of_plan(remembered.load(self._file))
            log.warning("starting from %s, because Kafka cannot be read: %s", self._file, error or "no answer")
        return {task: self._desired(task) for task in self._seeds}

    async def run(self) -> None:
        """Follow for ever, through every absence of the broker."""
        while True:
            consumer = self._link.promotions()
            try:
                if not self._replayed:
                    await self._replay()
                    for task in self._seeds:
                        self._want(task, self._desired(task))
                await consumer.start()
                again_at = time.monotonic() + RENEW_S
                while time.monotonic() < again_at:
                    for message in await consumer.read(POLL_S):
                        self._take(message.value)
            except Exception as error:  # what is loaded goes on serving, and the next try tells
                log.warning("promotions cannot be read now: %s", error)
                await asyncio.sleep(RETRY_S)
            finally:
                await consumer.stop()

    async def _replay(self) -> None:
        values = (await self._link.snapshot()).values()
        found = [promotion for value in values if (promotion := _decoded(value))]
        self._known = self._of_plan({promotion.task: promotion for promotion in found})
        self._replayed = True
        remembered.save(self._file, self._known)

    def _take(self, value: bytes | None) -> None:
        promotion = _decoded(value)
        if promotion is None or promotion.task not in self._seeds:
            return
        known = self._known.get(promotion.task)
        if known and promotion.generation <= known.generation:
            return
        self._known[promotion.task] = promotion
        self._want(promotion.task, Desired.of(promotion))
        remembered.save(self._file, self._known)

    def _desired(self, task: str) -> Desired:
        known = self._known.get(task)
        return Desired.of(known) if known else self._seeds[task]

    def _of_plan(self, promotions: Mapping[str, Promotion]) -> dict[str, Promotion]:
        return {task: promotion for task, promotion in promotions.items() if task in self._seeds}


def _decoded(value: bytes | None) -> Promotion | None:
    if value is None:
        return None
    try:
        return Promotion.model_validate_json(value)
    except ValidationError as error:
        log.error("a record on the promotions topic is not a promotion and is passed over: %s", error)
        return None
