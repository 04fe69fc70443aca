"""Coroutines that wait until so many frames of the spool are dealt with."""

from __future__ import annotations

import asyncio
from collections import deque


class Waiters:
    """Wakes each once, in the order of what they wait for: appends are, and one condition would wake them all."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._reached = 0

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    async def wait(self, target: int, timeout_s: float) -> bool:
        """True once `target` is reached, False after `timeout_s`. Targets never fall from one call to the next."""
        if self._reached >= target or timeout_s <= 0:
            return self._reached >= target
        while self._waiting and self._waiting[0][1].done():
            # Its time was up; while nothing answers there may be very many.
            self._waiting.popleft()
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((target, future))
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        return True

    def reached(self, count: int) -> None:
        """So many are dealt with."""
        self._reached = max(self._reached, count)
        while self._waiting and self._waiting[0][0] <= count:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
