from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from formatted_storage import formatted
from openai_stub import Front, Stub, in_front
from stage import Upstream, artifact, plan_text

from headrace.bus.kafka import ensure_topics
from headrace.contract.control import Served
from headrace.embedded.kafka import KafkaServer
from headrace.settings import Settings

CACHE = Path(__file__).parents[2] / "var" / "cache"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """An OpenAI-like server on a port of its own."""
    async with Upstream().running() as server:
        yield server


@pytest.fixture
async def front(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Front]:
    """A gateway behind its real server, in front of an upstream."""
    async with (
        Stub().running() as stub,
        in_front(stub, upstream.url, tmp_path) as (stage, address),
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
    ):
        yield stage, client, stub


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, str], Served]:
    """router@number that always says a label, published once a session."""
    root: Path = tmp_path_factory.mktemp("artifacts")
    made: dict[tuple[int, str], Served] = {}

    def published(number: int, label: str) -> Served:
        if (number, label) not in made:
            made[number, label] = artifact(root / label, number, label)
        return made[number, label]

    return published


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[KafkaServer]:
    """A broker that the test may kill."""
    server = KafkaServer(formatted(tmp_path / "var"), cache=CACHE)
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


@pytest.fixture
async def settings(broker: KafkaServer, upstream: Upstream, tmp_path: Path) -> Settings:
    (tmp_path / "flywheel.toml").write_text(plan_text(upstream.url, rollout="max_error_share = 0.2", audit=0.5))
    made = Settings(home=tmp_path / "var", plan=tmp_path / "flywheel.toml", kafka=broker.bootstrap)
    await ensure_topics(made)
    return made
