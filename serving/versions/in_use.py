"""A version in use: counts what is in flight, so that it can leave without dropping a request."""

from __future__ import annotations

import asyncio
import logging

from headrace.contract.control import Served
from serving.answering.breaker import Tally
from serving.engines import Answer, Engine, EngineFailed

log = logging.getLogger(__name__)

Key = tuple[str, str, str]


class Seat:
    """One opened engine and what it has answered as a candidate."""

    def __init__(self, served: Served, engine: Engine) -> None:
        self.served = served
        self.tally = Tally()
        self.retired = False
        self._engine = engine
        self._in_flight = 0
        self._empty = asyncio.Event()

    @property
    def key(self) -> Key:
        return key_of(self.served)

    async def answer(self, text: str) -> Answer:
        """See Engine.answer. What has begun here finishes here, whatever is promoted meanwhile."""
        self._in_flight += 1
        try:
            return await self._engine.answer(text)
        except EngineFailed:
            raise
        except Exception as error:  # an engine's bug is its version's failure: counted, and covered where it may be
            log.exception("%s failed", self.served.version)
            raise EngineFailed(f"{self.served.version} failed: {error!r}") from error
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._empty.set()

    async def retire(self) -> None:
        """Return when everything in flight is answered and the engine is closed."""
        self.retired = True
        while self._in_flight:
            self._empty.clear()
            await self._empty.wait()
        await self._engine.close()


def key_of(served: Served) -> Key:
    """What makes two mentions of a version the same engine."""
    return served.version, served.artifact, served.digest
