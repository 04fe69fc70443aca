"""Engines of a company's own that break the rules: the wrapper around them and the fleet keep theirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from stage import until

from headrace import kinds
from headrace.contract.choice import Choice
from headrace.contract.control import Served
from headrace.plan.engines import EngineKeys
from serving.answering.routing import Desired
from serving.engines.engine import (
    Capability,
    DeadlinePassed,
    Delta,
    Engine,
    EngineFailed,
    Final,
    Message,
    Request,
    final_of,
)
from serving.engines.hosts import HostedModel, Hosts
from serving.versions.fleet import Fleet
from serving.versions.loaded import LoadedVersion

CHOICE = Choice({"hr": "hr"}, {})
ASKED = Request((Message("user", "Where?"),))
SCORED = Request((Message("user", "Where?"),), labels=("hr",))


class Faulty(Engine):
    """Raises or gives what it is told, on a host that is itself.

    lingers: its work takes this event to end, once it is cancelled
    """

    capabilities = frozenset({Capability.TEXT, Capability.LABEL_SCORES})
    labels = ()
    BUNDLES = frozenset[str]()
    Keys = EngineKeys

    def __init__(self, final: Final | None = None, error: Exception | None = None, on_close: Exception | None = None):
        self.final, self.error, self.on_close = final or Final(text="hr"), error, on_close
        self.lingers: asyncio.Event | None = None
        self.ending = self.host_closed = self.closed = False

    async def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        if self.error:
            raise self.error
        if self.lingers:
            try:
                await asyncio.Event().wait()
            finally:
                self.ending = True
                await self.lingers.wait()
        yield self.final

    async def close(self) -> None:
        self.host_closed, self.closed = self.closed, True
        if self.on_close and not self.host_closed:
            raise self.on_close

    def host_of(self, model: HostedModel) -> str:
        return ""

    async def open(self, keys: Any, model: Any, environ: Any) -> Faulty:
        return self

    async def engine(self, model: HostedModel) -> Faulty:
        return self


async def admitted(faulty: Faulty, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(kinds, "load", lambda room, name: faulty)
    return await hosts.engine("faulty", EngineKeys(kind="faulty"), HostedModel("model"))


async def test_a_host_is_closed_though_its_engine_does_not_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's error is seen, and the host does not stay open."""
    faulty, hosts = Faulty(on_close=OSError("the worker is gone")), Hosts({})
    engine = await admitted(faulty, hosts, monkeypatch)
    with pytest.raises(OSError, match="the worker is gone"):
        await engine.close()
    assert faulty.host_closed and hosts.open == 0


async def test_an_engine_is_closed_while_a_deadline_ends_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that takes a moment to end does not keep the engine and its host open."""
    faulty, hosts = Faulty(), Hosts({})
    faulty.lingers = asyncio.Event()
    engine = await admitted(faulty, hosts, monkeypatch)
    asked = Request(ASKED.messages, deadline=time.monotonic() + 0.01)
    late = asyncio.create_task(final_of(engine, asked))
    await until(lambda: faulty.ending)
    await engine.close()
    assert faulty.host_closed and hosts.open == 0
    faulty.lingers.set()
    with pytest.raises(EngineFailed, match="closed"):
        await late


async def test_an_engines_own_timeout_is_not_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the engine's failure, also where the request has no deadline."""
    engine = await admitted(Faulty(error=TimeoutError("reading upstream")), Hosts({}), monkeypatch)
    with pytest.raises(EngineFailed, match="the engine timed out: reading upstream") as raised:
        await final_of(engine, ASKED)
    assert not isinstance(raised.value, DeadlinePassed)
    await engine.close()


@pytest.mark.parametrize(
    ("request_", "final"),
    [
        (ASKED, Final(text="hr", tokens_in=-1)),
        (ASKED, Final(text="hr", tokens_out=2**40)),
        (ASKED, Final(text="hr", cost=float("nan"))),
        (ASKED, Final(text="hr", first_token_ms=float("inf"))),
        (SCORED, Final(scores={"hr": float("nan")})),
        (SCORED, Final(scores={"hr": 1.5})),
        (SCORED, Final()),
    ],
)
async def test_an_answer_that_no_event_can_hold_is_a_failure(request_: Request, final: Final) -> None:
    """Of its version, which is named, and not of the gateway."""
    version = LoadedVersion(Served(version="router@3"), Faulty(final), CHOICE)
    with pytest.raises(EngineFailed, match="router@3 answered with"):
        await final_of(version, request_)


async def test_what_was_opened_is_closed_with_the_fleet() -> None:
    """Also a canary whose promotion is still loading its shadow."""
    opened: dict[str, Faulty] = {}

    async def open_engine(task: str, served: Served) -> Engine:
        opened[served.version] = Faulty()
        if served.version == "router@2":
            await asyncio.Event().wait()
        return opened[served.version]

    live, canary, shadow = (Served(version=f"router@{number}") for number in range(3))
    fleet = Fleet(open_engine, {"router": CHOICE}, {"router": live}, lambda: None)
    await fleet.start({"router": Desired(0, live)})
    fleet.want("router", Desired(1, live, canary=canary, canary_share=0.1, shadow=shadow))
    await until(lambda: "router@2" in opened)
    await fleet.close()
    assert opened["router@0"].closed and opened["router@1"].closed
