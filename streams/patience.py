"""How long a worker waits for a warehouse that is down: bounded, with back-off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from headrace.errors import Transient

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Pauses between attempts double from first_s up to longest_s; after `attempts` the error is let go."""

    attempts: int = 40
    first_s: float = 0.1
    longest_s: float = 3.0

    def pause_s(self, attempt: int) -> float:
        """Seconds to wait after the attempt of that number, counted from 0."""
        return float(min(self.longest_s, self.first_s * 2.0 ** min(attempt, 30)))

    async def keep_trying(self, step: Callable[[], T]) -> T:
        """Run a blocking step in a thread until it does not raise Transient. Raises what the last attempt raised."""
        for attempt in range(self.attempts):
            try:
                return await asyncio.to_thread(step)
            except Transient as error:
                if attempt + 1 == self.attempts:
                    raise
                if attempt == 0:
                    log.warning("the warehouse does not take rows, waiting for it: %s", error)
                await asyncio.sleep(self.pause_s(attempt))
        raise AssertionError("attempts is at least 1")
