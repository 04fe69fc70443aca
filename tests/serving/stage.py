"""What the gateway's tests stand on: a plan, an upstream, artifacts of the real format, and a gateway to ask."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from bundles import LABELS, artifact
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from headrace import plan
from headrace.access.key_ring import KeyRing
from headrace.access.keys import make
from headrace.access.proofs import Proofs
from headrace.access.roles import Role
from headrace.bus.memory import MemoryBus
from headrace.client.counts import Count
from headrace.contract.control import Promotion, Served, Step
from headrace.contract.events import Event, Inference
from headrace.contract.fast_reading import Read
from headrace.contract.topics import PROMOTIONS, Topic
from headrace.embedded.server import free_port
from headrace.errors import HeadraceError
from headrace.plan import Plan
from headrace.spool import SpoolState
from serving.http.callers import Callers
from serving.http.capacity import BOUNDS, Bounds
from serving.http.limits import Limits
from serving.replica.bus import GatewayBus
from serving.replica.service import Service

__all__ = ["LABELS", "artifact"]
PROOFS = Proofs(b"of tests")

INCUMBENT = Served(version="router@0")


SECRET = SecretStr("what the gateway signs with")
NOWHERE = "http://127.0.0.1:1/v1"


def plan_text(url: str = NOWHERE, rollout: str = "", audit: float = 0.05, timeout_s: float = 5.0) -> str:
    """flywheel.toml with one task, its incumbent at `url`."""
    return f"""
version = 1
[tasks.router]
labels = {json.dumps(LABELS)}
[tasks.router.describe]
hr = "people and pay"
[tasks.router.incumbent]
version = "router@0"
url = "{url}"
model = "big"
timeout_s = {timeout_s}
usd_per_million_in = 1.0
usd_per_million_out = 2.0
[tasks.router.audit]
rate = {audit}
[tasks.router.candidates.probe]
method = "probe"
usd_per_hour = 0.36
[tasks.router.rollout]
{rollout}
"""


class Upstream:
    """An OpenAI-like server: answers `label` after `delay_s` and once `gate` is open.

    failures: statuses to fail with first; retry_after: what they say, where anything
    """

    def __init__(self) -> None:
        self.label = "it"
        self.delay_s = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[int] = []
        self.retry_after = ""
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Upstream]:
        port = free_port()
        app = Starlette(routes=[Route("/v1/chat/completions", self._complete, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        self.url = f"http://127.0.0.1:{port}/v1"
        try:
            yield self
        finally:
            self.gate.set()
            server.should_exit = True
            await serving

    async def _complete(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        if self.failures:
            headers = {"retry-after": self.retry_after} if self.retry_after else None
            return JSONResponse({"error": {"message": "no"}}, self.failures.pop(0), headers)
        await asyncio.sleep(self.delay_s)
        await self.gate.wait()
        message = {"role": "assistant", "content": self.label}
        usage = {"prompt_tokens": 100, "completion_tokens": 2}
        return JSONResponse({"choices": [{"index": 0, "message": message}], "usage": usage})


class Recorded:
    """Stands for headrace.client: keeps what the gateway emits. away: it takes nothing; slow: the spool has it."""

    def __init__(self) -> None:
        self.inferences: list[Inference] = []
        self.sent: list[Event] = []
        self.emitter = "gateway-test.1"
        self.away = self.slow = False
        self.spooled = SpoolState()

    def inference(self, event: Inference) -> None:
        self.inferences.append(event)

    def answered(self, event: Read, body: bytes) -> None:
        assert event.said_emitter == self.emitter
        self.inferences.append(Inference.strict(body))

    async def keep(self, events: Sequence[Event | Read], wait_s: float, given: Sequence[bytes] = ()) -> bool:
        if self.away:
            raise HeadraceError("no Kafka broker answers")
        bodies = given or [b""] * len(events)
        for event, body in zip(events, bodies, strict=True):
            self.sent.append(event if isinstance(event, Event) else event.whole(body))
        return not self.slow

    def count(self, kind: str) -> Count:
        return Count()


class DeadProducer:
    """A bus that takes nothing."""

    async def start(self) -> None: ...

    async def send(self, topic: Topic, value: bytes | None, key: bytes | None = None) -> None:
        raise HeadraceError("no Kafka broker answers")

    async def stop(self) -> None: ...


def memory_bus(bus: MemoryBus) -> GatewayBus:
    """The bus that a gateway needs, in memory."""
    return GatewayBus(bus.producer(), lambda: bus.consumer([PROMOTIONS]), lambda: bus.snapshot(PROMOTIONS))


def dead_bus(bus: MemoryBus) -> GatewayBus:
    """A bus that does not answer."""

    async def nothing() -> dict[bytes, bytes]:
        raise HeadraceError("no Kafka broker answers")

    return GatewayBus(DeadProducer(), lambda: bus.consumer([PROMOTIONS]), nothing)


@dataclasses.dataclass
class Stage:
    """A running gateway, asked in process."""

    service: Service
    client: httpx.AsyncClient
    recorded: Recorded
    bus: MemoryBus
    keys: Path

    def key(self, tenant: str, *roles: Role, **rights: Any) -> dict[str, str]:
        """The headers of a new key's holder."""
        _, text = make(self.keys, f"key-{uuid4().hex}", tenant, frozenset(roles), "test", **rights)
        return {"authorization": f"Bearer {text.get_secret_value()}"}

    async def route(self, text: str = "How do I reset my password?", **fields: Any) -> dict[str, Any]:
        """A question that must be answered."""
        response = await self.client.post("/v1/route", json={"text": text} | fields)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def promote(self, generation: int, live: Served, **fields: Any) -> None:
        """Publish a promotion, and return when the gateway has dealt with it."""
        await publish_promotion(self.bus.producer(), promotion(generation, live, **fields))
        await until(lambda: self.service.fleet.table["router"].desired.generation == generation)


@contextlib.asynccontextmanager
async def gateway(
    the_plan: Plan | str,
    home: Path,
    bus: MemoryBus | None = None,
    gateway_bus: GatewayBus | None = None,
    limits: str = "",
    name: str = "gateway-test",
    bounds: Bounds = BOUNDS,
) -> AsyncIterator[Stage]:
    """A gateway over a bus in memory, unless another is given; without keys until `Stage.key` makes one."""
    bus = bus or MemoryBus()
    recorded = Recorded()
    parsed = plan.parse(the_plan) if isinstance(the_plan, str) else the_plan
    callers = Callers(KeyRing(home / "keys.json", look_s=0), local=True)
    gateway_bus = gateway_bus or memory_bus(bus)
    service = Service(parsed, callers, SECRET, Limits(limits), gateway_bus, recorded, PROOFS, home, name, {}, bounds)
    await service.start()
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield Stage(service, client, recorded, bus, home / "keys.json")
    finally:
        await service.stop()


def promotion(generation: int, live: Served, **fields: Any) -> Promotion:
    """A promotion of the router; its step follows from what it names."""
    now = datetime.now(UTC)
    step = Step.CANARY if fields.get("canary") else Step.SHADOW if fields.get("shadow") else Step.STEADY
    return Promotion(task="router", generation=generation, step=step, live=live, since=now, at=now, **fields)


async def publish_promotion(producer: Any, record: Promotion) -> None:
    await producer.send(PROMOTIONS, record.to_json(), record.task.encode())


async def until(condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
    """Wait for a condition, at most so long."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 (the condition is another process's as often as not)
            await asyncio.sleep(0.01)


def versions(events: Sequence[Inference]) -> set[str]:
    """Which versions answered."""
    return {event.version for event in events}
