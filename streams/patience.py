"""How a worker waits for a warehouse that refuses: as long as it takes, with back-off, telling what it waits for."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from headrace.access.logins import LOGIN_CODES
from headrace.errors import WarehouseError
from streams.pressure import Lane, Refusal

log = logging.getLogger(__name__)

T = TypeVar("T")

TELL_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Pauses between attempts double from first_s up to longest_s."""

    first_s: float = 0.1
    longest_s: float = 3.0

    def pause_s(self, attempt: int) -> float:
        """Seconds to wait after the attempt of that number, counted from 0."""
        return float(min(self.longest_s, self.first_s * 2.0 ** min(attempt, 30)))

    async def keep_trying(self, step: Callable[[], T], lane: Lane) -> T:
        """Run a blocking step in the lane's thread until the warehouse takes it; meanwhile the lane says why it waits.

        A new process would be refused, too, and the other topics would pay for it. So this gives up for a refused login
        alone, whose password may have changed: raises it, and whatever is not the warehouse's.
        """
        told = began = time.monotonic()
        for attempt in count():
            if attempt:
                # A refused insert leaves its exception and its frames in a cycle, and with them the rows: 16 MiB an
                # attempt, of so few objects that the collector would not look for hours.
                gc.collect(0)
            try:
                done = await lane.run(step)
            except WarehouseError as error:
                if error.code in LOGIN_CODES:
                    raise
                now = time.monotonic()
                lane.refusal = Refusal(str(error), error.code, now)
                if attempt == 0 or now - told >= TELL_EVERY_S:
                    told = now
                    log.warning("the warehouse does not take rows of %s, waiting for it: %s", lane.name, error)
                await asyncio.sleep(self.pause_s(attempt))
                continue
            lane.refusal = None
            if told > began:
                log.info("the warehouse takes rows of %s again after %.0f s", lane.name, time.monotonic() - began)
            return done
        raise AssertionError("count() does not end")
