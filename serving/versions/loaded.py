"""A loaded version: counts what is in flight, so that it can leave without dropping a request."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from headrace.contract.choice import Choice
from headrace.contract.control import Served
from serving.answering.breaker import Tally
from serving.engines.classify import classify
from serving.engines.engine import Answer, Capability, Delta, Engine, EngineFailed, Final, Request

log = logging.getLogger(__name__)

Key = tuple[str, str, str]
MAX_COUNT = 2**31
"""Tokens that an event can count."""


class LoadedVersion:
    """One opened engine and what it has answered as a candidate.

    choice: what its task chooses from
    """

    def __init__(self, served: Served, engine: Engine, choice: Choice) -> None:
        self.served = served
        self.tally = Tally()
        self.retired = False
        self._engine = engine
        self._choice = choice
        self._in_flight = 0
        self._empty = asyncio.Event()

    @property
    def key(self) -> Key:
        return key_of(self.served)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See Engine."""
        return self._engine.capabilities

    @property
    def labels(self) -> tuple[str, ...]:
        """See Engine."""
        return self._engine.labels

    async def answer(
        self, text: str, deadline: float | None = None, caller: str = "", parts: tuple[Mapping[str, Any], ...] = ()
    ) -> Answer:
        """Classify a text; see `classify`. Raises EngineFailed."""
        return await classify(self, text, self._choice, deadline, caller, parts)

    async def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        """See Engine.run. What has begun here finishes here, whatever is promoted meanwhile."""
        self._in_flight += 1
        try:
            async with aclosing(self._engine.run(request)) as items:
                async for item in items:
                    if isinstance(item, Final) and (wrong := _wrong(item, request)):
                        raise EngineFailed(f"{self.served.version} answered with {wrong}")
                    yield item
        except EngineFailed:
            raise
        except Exception as error:  # an engine's bug is its version's failure: counted, and covered where it may be
            log.exception("%s failed", self.served.version)
            raise EngineFailed(f"{self.served.version} failed: {error!r}") from error
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._empty.set()

    async def close(self) -> None:
        """Return when everything in flight is answered and the engine is closed."""
        self.retired = True
        while self._in_flight:
            self._empty.clear()
            await self._empty.wait()
        await self._engine.close()


def _wrong(final: Final, request: Request) -> str:
    """What no event can hold, in words; empty for an answer that is in order."""
    if not all(math.isfinite(number) and number >= 0 for number in (final.cost, final.first_token_ms)):
        return "a cost or a time that is not finite or below 0"
    if not all(0 <= count <= MAX_COUNT for count in (final.tokens_in, final.tokens_out)):
        return "a number of tokens that is below 0 or too large"
    if not all(0 <= score <= 1 for score in final.scores.values()):
        return "scores that are not probabilities"
    chose = not final.scores and final.chosen in ("", *request.labels)
    if request.labels and not chose and final.scores.keys() != set(request.labels):
        return "scores of other labels than were asked for"
    return ""


def key_of(served: Served) -> Key:
    """What makes two mentions of a version the same engine."""
    return served.version, served.artifact, served.digest
