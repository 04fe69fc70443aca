"""A bound in bytes on what an agent holds: a record may be 100 bytes or 4 MiB, and Faust counts records only."""

from __future__ import annotations

import asyncio


class ByteBudget:
    """Lets records in while those held stay within `limit` bytes; one larger record is let in alone."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._freed = asyncio.Event()

    async def admit(self, value: bytes | None) -> bytes | None:
        """A stream processor: returns the value once there is room for it."""
        size = len(value or b"")
        while self.held and self.held + size > self.limit:
            self._freed.clear()
            await self._freed.wait()
        self.held += size
        return value

    def release(self, size: int) -> None:
        """`size` bytes of records are stored and acknowledged."""
        self.held -= size
        self._freed.set()
