"""A consumer can stop fetching without a word: compare what the broker has with what was fetched; end it if stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

import faust
from faust.types import TP

from headrace.errors import HeadraceError
from streams.pressure import Pressure

LOOK_EVERY_S = 30.0
ANSWER_WITHIN_S = 20.0


class Stuck(HeadraceError):
    """Records wait at the broker and are not fetched."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """For each partition of this worker: the next offset to fetch, and the next that the broker will give out."""

    positions: Mapping[TP, int]
    ends: Mapping[TP, int]


def stuck(before: Sighting, now: Sighting, rested: Set[str]) -> list[TP]:
    """Partitions that had records waiting at the first sighting and fetched none until the second.

    rested: topics that were paused at any time in between
    """
    return sorted(
        tp
        for tp, position in now.positions.items()
        if tp.topic not in rested and before.positions.get(tp) == position < before.ends.get(tp, 0)
    )


class Watchdog:
    """Looks at a worker's consumer now and then.

    pressure: knows the topics that were not fetched on purpose, because too much of them is held
    stopped: partitions that are not fetched on purpose (streams.poison)
    """

    def __init__(self, app: faust.App, pressure: Pressure, stopped: Callable[[], Set[tuple[str, int]]]) -> None:
        self._app = app
        self._pressure = pressure
        self._stopped = stopped
        self._before = Sighting({}, {})

    async def look(self) -> None:
        """Crash the worker where it is stuck; the supervisor starts it again."""
        if self._app.rebalancing or not self._app.consumer.assignment():
            self._before = Sighting({}, {})
            return
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                now = await self._sight()
        except TimeoutError:
            await self._app.crash(Stuck(f"the Kafka consumer did not answer within {ANSWER_WITHIN_S:.0f} s"))
            return
        found = [tp for tp in stuck(self._before, now, self._pressure.rested()) if tp not in self._stopped()]
        self._before = now
        if found:
            await self._app.crash(Stuck(f"{found[0].topic}[{found[0].partition}] has records that are not fetched"))

    async def _sight(self) -> Sighting:
        consumer = self._app.consumer
        partitions = consumer.assignment()
        ends = await consumer.highwaters(*partitions)
        positions = {tp: await consumer.position(tp) for tp in partitions}
        return Sighting({tp: at for tp, at in positions.items() if at is not None}, ends)
