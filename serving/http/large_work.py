"""Large work on threads: questions must not wait behind it, nor memory fill, nor keys wait for each other's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from headrace.access.roles import Principal

T = TypeVar("T")

AT_ONCE = 2


class Turns:
    """Runs functions on threads, AT_ONCE in all and one at a time for each key, so that no key fills the queue."""

    def __init__(self) -> None:
        self._threads = asyncio.Semaphore(AT_ONCE)
        self._keys: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}

    async def run(self, principal: Principal, work: Callable[..., T], *arguments: object) -> T:
        """What the function returns or raises."""
        key = principal.tenant, principal.key_id
        lock, waiting = self._keys.get(key) or (asyncio.Lock(), 0)
        self._keys[key] = lock, waiting + 1
        try:
            async with lock, self._threads:
                return await asyncio.to_thread(work, *arguments)
        finally:
            _, waiting = self._keys.pop(key)
            if waiting > 1:
                self._keys[key] = lock, waiting - 1
