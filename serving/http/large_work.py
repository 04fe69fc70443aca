"""Large work on threads: questions must not wait behind it, nor memory fill, nor keys wait for each other's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from headrace.access.roles import Principal

T = TypeVar("T")

AT_ONCE = 2


class Turns:
    """Turns of keys: `at_once` in all and `of_a_key` at a time for each, so that no key fills the queue."""

    def __init__(self, at_once: int = AT_ONCE, of_a_key: int = 1) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._of_a_key = of_a_key
        self._keys: dict[tuple[str, str], tuple[asyncio.Semaphore, int]] = {}

    async def run(self, principal: Principal, work: Callable[..., T], *arguments: object) -> T:
        """What the function returns or raises; it runs on a thread."""
        async with self.turn(principal):
            return await asyncio.to_thread(work, *arguments)

    @asynccontextmanager
    async def turn(self, principal: Principal) -> AsyncIterator[None]:
        """The key's turn, for the length of a block."""
        key = principal.tenant, principal.key_id
        own, waiting = self._keys.get(key) or (asyncio.Semaphore(self._of_a_key), 0)
        self._keys[key] = own, waiting + 1
        try:
            async with own, self._all:
                yield
        finally:
            _, waiting = self._keys.pop(key)
            if waiting > 1:
                self._keys[key] = own, waiting - 1
