"""Who gets in at a host: so many at once, so many more in a queue, nobody else."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from serving.engines.engine import DeadlinePassed, EngineBusy

MIN_RETRY_S, MAX_RETRY_S = 1.0, 60.0
WEIGHT = 0.1
"""Of the newest request in the mean of how long one takes."""


class Admission:
    """Places at a host, first come, first served.

    capacity: requests in progress at once; queue: how many more may wait for a place
    """

    def __init__(self, name: str, capacity: int, queue: int) -> None:
        self._name = name
        self._capacity = capacity
        self._queue = queue
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._mean_s = 0.0
        # Seconds of the host that each request in progress has been charged so far: those are split evenly.
        self._share_s = 0.0
        self._counted_at = time.monotonic()

    def entered(self, deadline: float | None) -> Place | None:
        """A place, or None where one has to be waited for. Raises EngineBusy for a full queue, DeadlinePassed."""
        if deadline is not None and deadline <= time.monotonic():
            raise DeadlinePassed("the deadline passed before the request began")
        if self._running < self._capacity:
            self._count()
            self._running += 1
            return Place(self, self._share_s, self._counted_at)
        if len(self._waiting) < self._queue:
            return None
        raise EngineBusy(
            f"{self._name} is full: {self._running} requests are in progress and {len(self._waiting)} wait",
            self._retry_after_s(),
        )

    async def turn(self, deadline: float | None) -> Place:
        """Wait for a place. Raises DeadlinePassed where none is free in time."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave(0.0)  # the place was given in the same moment
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise DeadlinePassed(f"the deadline passed while the request waited for {self._name}") from None
            raise
        self._count()
        return Place(self, self._share_s, self._counted_at)

    def leave(self, took_s: float) -> None:
        """Give the place to the next in the queue. took_s: for the mean; 0 counts as nothing"""
        self._count()
        if took_s:
            self._mean_s += (took_s - self._mean_s) * (WEIGHT if self._mean_s else 1.0)
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1

    def charged_s(self) -> float:
        """What a request that was in progress all the time has been charged so far, seconds of the host."""
        self._count()
        return self._share_s

    def _count(self) -> None:
        now = time.monotonic()
        if self._running:
            self._share_s += (now - self._counted_at) / self._running
        self._counted_at = now

    def _retry_after_s(self) -> float:
        ahead = (self._running + len(self._waiting)) / self._capacity
        return min(MAX_RETRY_S, max(MIN_RETRY_S, ahead * self._mean_s))


class Place:
    """A request's place at a host, until `leave`."""

    def __init__(self, admission: Admission, charged_s: float, since: float) -> None:
        self._admission = admission
        self._charged_s = charged_s
        self._since = since

    def charged_s(self) -> float:
        """This request's share of the host's time so far, seconds: a machine that works on two is half each one's."""
        return self._admission.charged_s() - self._charged_s

    def leave(self) -> None:
        self._admission.leave(time.monotonic() - self._since)
