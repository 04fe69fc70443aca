"""Kafka, then ClickHouse, away for minutes behind a real gateway and a real worker: nothing fails, nothing is lost."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from stage import Upstream, plan_text

from headrace.bus.kafka import ensure_topics
from headrace.cli.stack import prepare
from headrace.embedded import stack
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.embedded.kafka import KafkaServer
from headrace.embedded.part import Part
from headrace.embedded.server import Server, free_port
from headrace.embedded.supervisor import Supervisor
from headrace.settings import Settings
from headrace.warehouse import Warehouse

CACHE = Path(__file__).parents[2] / "var" / "cache"
AWAY_S = 150.0
RATE = 20.0
HEALED_S = 120.0
QUESTION = {"text": "How do I reset my password?"}

pytestmark = [pytest.mark.stack, pytest.mark.acceptance, pytest.mark.timeout(1200)]


@dataclass
class Clients:
    """An open loop of RATE questions a second.

    ids: of the answers; wrong: other outcomes; took: seconds of each answer by the phase in which it was asked
    """

    http: httpx.AsyncClient
    phase: str = "before"
    ids: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    took: dict[str, list[float]] = field(default_factory=dict)

    async def ask(self, phase: str) -> None:
        began = time.monotonic()
        try:
            answer = await self.http.post("/v1/route", json=QUESTION)
            answer.raise_for_status()
            self.ids.append(answer.json()["inference_id"])
        except httpx.HTTPError as error:
            self.wrong.append(f"{phase}: {error!r}")
        self.took.setdefault(phase, []).append(time.monotonic() - began)

    async def run(self) -> None:
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while self.phase:
                group.create_task(self.ask(self.phase))
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - time.monotonic()))


@asynccontextmanager
async def asking(gateway: str) -> AsyncIterator[Clients]:
    async with httpx.AsyncClient(base_url=gateway, trust_env=False, timeout=30) as http:
        clients = Clients(http)
        loop = asyncio.create_task(clients.run())
        yield clients
        clients.phase = ""
        await loop


async def test_minutes_without_kafka_and_without_clickhouse(upstream: Upstream, tmp_path: Path) -> None:
    """Requests go on as fast as before, the gateway stays ready, and all of its events are stored once it is over."""
    plan = tmp_path / "flywheel.toml"
    plan.write_text(plan_text(upstream.url))
    home = tmp_path / "var"
    with KafkaServer(home, cache=CACHE) as kafka, ClickHouseServer(home) as clickhouse:
        urls = {name: f"http://127.0.0.1:{free_port()}" for name in ("gateway", "console")}
        logins = kafka.login() | clickhouse.login() | {"embedded": ()}
        settings = Settings(home=home, plan=plan, **urls).replaced(otlp_grpc=f"127.0.0.1:{free_port()}", **logins)
        await ensure_topics(settings)
        await asyncio.to_thread(prepare, settings)
        parts = [part for part in stack.parts(settings) if part.name.split("-")[0] in ("streams", "serving")]
        with Supervisor([part for part in parts if isinstance(part, Part)], tmp_path) as supervisor:
            await asyncio.to_thread(supervisor.wait_ready)
            async with asking(settings.gateway) as clients:
                await asyncio.sleep(20)
                await _away(kafka, clients, "without Kafka")
                await asyncio.sleep(20)
                await _away(clickhouse, clients, "without ClickHouse")
                await asyncio.sleep(20)
            restarts = {part.name: part.restarts for part in supervisor.status().parts}
            stored = await asyncio.to_thread(_stored, settings, len(clients.ids))
    assert not clients.wrong, clients.wrong[:3]
    assert len(clients.ids) == len(set(clients.ids)) > 2 * AWAY_S * RATE
    assert stored == {"rows": len(clients.ids), "ids": len(clients.ids)}
    assert restarts["serving"] == 0, restarts
    p50 = {phase: statistics.median(took) for phase, took in clients.took.items()}
    print(f"{len(clients.ids):,} answers, p50 { ({phase: f'{took * 1e3:.1f} ms' for phase, took in p50.items()}) }")
    assert all(took < p50["before"] + 0.05 for took in p50.values()), p50


async def _away(server: Server, clients: Clients, phase: str) -> None:
    await asyncio.to_thread(server.kill)
    clients.phase = phase
    for _ in range(10):
        await asyncio.sleep(AWAY_S / 10)
        assert (await clients.http.get("/readyz")).status_code == 200
    clients.phase = "after"
    await asyncio.to_thread(server.start)


def _stored(settings: Settings, wanted: int) -> dict[str, int]:
    """Rows of answers in the warehouse, and how many answers they are, once all are there or it has taken too long."""
    warehouse = Warehouse.connect(settings)
    deadline = time.monotonic() + HEALED_S
    while True:
        (found,) = warehouse.rows("SELECT count() AS rows, uniqExact(inference_id) AS ids FROM inferences FINAL")
        if found["ids"] >= wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.5)
