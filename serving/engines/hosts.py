"""Hosts: what versions answer on. A host is opened for the first version that needs it and closed after the last.

A kind of engine is a file of serving/engines/kinds, or of a company's own folder (headrace/kinds.py), with

    Keys                  its table in the plan
    BUNDLES               kinds of bundle that it can serve; none: only models that its endpoint has already
    WHY_NOT               where it can be said: by kind of bundle that it does not take, why, and what does
    host_of(model)        which of its hosts a model needs: models that give the same can share one
    open(keys, model, environ)    the host, opened for its first model
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from headrace import kinds
from headrace.models.bundle import Manifest
from headrace.plan.engines import EngineKeys
from serving.engines.admission import Admission
from serving.engines.engine import (
    Capability,
    DeadlinePassed,
    Delta,
    Engine,
    EngineFailed,
    Final,
    Request,
    UnsupportedRequest,
)

T = TypeVar("T")
CLOSED = "the engine was closed"


@dataclass(frozen=True, slots=True)
class HostedModel:
    """What an engine is opened for.

    name: the version, as router@12, or the name that an endpoint knows the model by
    folder, manifest: of its bundle, verified; None where the endpoint has the model already
    """

    name: str
    folder: Path | None = None
    manifest: Manifest | None = None


class Host(Protocol):
    """A process, a pool or an endpoint with a base loaded, on which several models answer."""

    async def engine(self, model: HostedModel) -> Engine:
        """Make a model able to answer. Raises ArtifactError where it does not answer as it was evaluated."""
        ...

    async def close(self) -> None:
        """After the last of its engines."""
        ...


class Kind(Protocol):
    """A file of serving/engines/kinds."""

    Keys: type[EngineKeys]
    BUNDLES: frozenset[str]

    def host_of(self, model: HostedModel) -> str: ...

    async def open(self, keys: EngineKeys, model: HostedModel, environ: Mapping[str, str]) -> Host: ...


@dataclass(slots=True)
class _Held:
    admission: Admission
    users: int = 0
    host: Host | None = None
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)


class Hosts:
    """The open hosts of this process, each with its admission.

    environ: where an endpoint's `key_env` is looked up
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._held: dict[tuple[str, str], _Held] = {}

    async def engine(self, name: str, keys: EngineKeys, model: HostedModel) -> Engine:
        """An engine on the host that it shares with others, under that host's admission.

        name: of the engine in the plan
        Raises what the kind raises; a host that was opened in vain is closed.
        """
        kind = cast(Kind, kinds.load("engines", keys.kind))
        key = name, kind.host_of(model)
        held = self._held.setdefault(key, _Held(Admission(name, keys.capacity, keys.queue)))
        held.users += 1
        try:
            async with held.opening:
                if held.host is None:
                    held.host = await kind.open(keys, model, self._environ)
            engine = await held.host.engine(model)
        except BaseException:
            await self._release(key, held)
            raise
        return _Admitted(engine, held.admission, keys.usd_per_hour or 0.0, lambda: self._release(key, held))

    @property
    def open(self) -> int:
        """How many hosts are open."""
        return len(self._held)

    async def _release(self, key: tuple[str, str], held: _Held) -> None:
        held.users -= 1
        if not held.users:
            del self._held[key]
            if held.host is not None:
                await held.host.close()


class _Admitted(Engine):
    """An engine behind its host's admission: what every kind does alike stands here once.

    A request that the engine cannot do is refused; one that is late, or finds the host full, does not begin; one whose
    deadline passes, or whose engine is closed, is cancelled. Its cost is its share of the host's time, and what the
    engine says besides.
    """

    def __init__(
        self, engine: Engine, admission: Admission, usd_per_hour: float, release: Callable[[], Awaitable[None]]
    ) -> None:
        self._engine = engine
        self._admission = admission
        self._usd_per_s = usd_per_hour / 3600
        self._release = release
        self._closed = False
        self._steps: set[asyncio.Timeout] = set()

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._engine.capabilities

    @property
    def labels(self) -> tuple[str, ...]:
        return self._engine.labels

    async def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        """See Engine.run."""
        check(self._engine, request)
        if self._closed:
            raise EngineFailed(CLOSED)
        place = self._admission.entered(request.deadline, request.caller)
        if place is None:
            place = await self._step(self._admission.turn(request.deadline, request.caller), None)
        try:
            async with aclosing(self._engine.run(request)) as items:
                while not isinstance(item := await self._step(_next(items), request.deadline), Final):
                    if request.stream:
                        yield item
                if self._usd_per_s:
                    item = replace(item, cost=item.cost + place.charged_s() * self._usd_per_s)
        finally:
            place.leave()
        yield item

    async def _step(self, work: Coroutine[Any, Any, T], deadline: float | None) -> T:
        """Await a part of the work, at most until the deadline or until the engine is closed."""
        if self._closed:
            work.close()
            raise EngineFailed(CLOSED)
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()) as step:
                self._steps.add(step)
                try:
                    return await work
                finally:
                    self._steps.discard(step)
        except TimeoutError as error:
            if self._closed:
                raise EngineFailed(CLOSED) from None
            if not step.expired():
                raise EngineFailed(f"the engine timed out: {error or 'it does not say where'}") from error
            raise DeadlinePassed("the deadline passed before the answer was complete") from None

    async def close(self) -> None:
        """See Engine.close. What is in flight raises EngineFailed at once."""
        self._closed = True
        now = asyncio.get_running_loop().time()
        for step in list(self._steps):
            with suppress(RuntimeError):  # its deadline has just come, which ends it as well
                step.reschedule(now)
        try:
            await self._engine.close()
        finally:
            await self._release()


async def _next(items: AsyncGenerator[Delta | Final]) -> Delta | Final:
    try:
        return await anext(items)
    except StopAsyncIteration:
        raise EngineFailed("the engine ended without an answer") from None


def check(engine: Engine, request: Request) -> None:
    """Raises UnsupportedRequest for what the engine would otherwise drop without a word."""
    needed = {Capability.LABEL_SCORES if request.labels else Capability.TEXT}
    if request.tools or any(message.tool_calls or message.tool_call_id for message in request.messages):
        needed.add(Capability.TOOLS)
    if any(message.parts for message in request.messages):
        needed.add(Capability.IMAGES)
    if missing := needed - engine.capabilities:
        can = ", ".join(sorted(engine.capabilities))
        raise UnsupportedRequest(f"this model cannot give {' and '.join(sorted(missing))}; it can give {can}")
    if request.labels and engine.labels and set(request.labels) != set(engine.labels):
        raise UnsupportedRequest(f"this model scores the labels {', '.join(engine.labels)} and no others")
