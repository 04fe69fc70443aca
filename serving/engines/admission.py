"""Who gets in at a host: so many at once, so many more in a queue, callers in turn, nobody else."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from serving.engines.engine import DeadlinePassed, EngineBusy

MIN_RETRY_S, MAX_RETRY_S = 1.0, 60.0
WEIGHT = 0.1
"""Of the newest request in the mean of how long one takes."""


class Admission:
    """Places at a host. Callers that wait get them in turn (Nagle, RFC 970), each its own first come first.

    capacity: requests in progress at once; queue: how many more may wait for a place. A full queue is shared evenly: a
    caller with less than its share takes the place of the newest request of the one that has the most.
    """

    def __init__(self, name: str, capacity: int, queue: int) -> None:
        self._name = name
        self._capacity = capacity
        self._queue = queue
        self._running = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._queued = 0
        self._mean_s = 0.0
        # Seconds of the host that each request in progress has been charged so far: those are split evenly.
        self._share_s = 0.0
        self._counted_at = time.monotonic()

    def entered(self, deadline: float | None, caller: str = "") -> Place | None:
        """A place, or None where one has to be waited for. Raises EngineBusy for a full queue, DeadlinePassed."""
        if deadline is not None and deadline <= time.monotonic():
            raise DeadlinePassed("the deadline passed before the request began")
        if self._running < self._capacity:
            self._count()
            self._running += 1
            return Place(self, self._share_s, self._counted_at)
        if self._queued >= self._queue:
            self._make_room(caller)
        return None

    async def turn(self, deadline: float | None, caller: str = "") -> Place:
        """Wait for a place. Raises DeadlinePassed where none is free in time, EngineBusy for one that lost its turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        self._queued += 1
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                await turn
        except BaseException as error:
            if not self._withdrawn(caller, turn) and turn.done() and not turn.cancelled() and not turn.exception():
                self.leave(0.0)  # the place was given in the same moment
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
            caller, turns = next(iter(self._waiting.items()))
            turn = turns[0]
            self._withdrawn(caller, turn)
            if turns:  # the caller's next one waits for the others' turns
                self._waiting[caller] = self._waiting.pop(caller)
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1

    def charged_s(self) -> float:
        """What a request that was in progress all the time has been charged so far, seconds of the host."""
        self._count()
        return self._share_s

    def _make_room(self, caller: str) -> None:
        """Raises EngineBusy where the caller has its share of the queue already."""
        most = max(self._waiting, key=lambda one: len(self._waiting[one]), default=caller)
        own = len(self._waiting.get(caller, ()))
        if most == caller or own + 1 >= len(self._waiting[most]):
            raise self._busy(bool(own) and len(self._waiting) > 1)
        last = self._waiting[most][-1]
        self._withdrawn(most, last)
        if not last.done():
            last.set_exception(self._busy(of_caller=True))

    def _withdrawn(self, caller: str, turn: asyncio.Future[None]) -> bool:
        """Whether the turn was still waited for; it is no longer."""
        turns = self._waiting.get(caller)
        if turns is None or turn not in turns:
            return False
        turns.remove(turn)
        self._queued -= 1
        if not turns:
            del self._waiting[caller]
        return True

    def _busy(self, of_caller: bool) -> EngineBusy:
        whose = ", and this key has its share of them" if of_caller else ""
        return EngineBusy(
            f"{self._name} is full: {self._running} requests are in progress and {self._queued} wait{whose}",
            self._retry_after_s(),
            of_caller,
        )

    def _count(self) -> None:
        now = time.monotonic()
        if self._running:
            self._share_s += (now - self._counted_at) / self._running
        self._counted_at = now

    def _retry_after_s(self) -> float:
        ahead = (self._running + self._queued) / self._capacity
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
