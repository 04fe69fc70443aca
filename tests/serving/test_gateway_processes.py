"""Several gateways at one address: what `headrace up` starts for HEADRACE_GATEWAY_PROCESSES above 1."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest
from gateway_process import events, everything
from stage import Upstream
from warm_processes import Popen

from headrace.contract.control import Replica
from headrace.contract.events import Inference
from headrace.contract.topics import INFERENCES, REPLICAS
from headrace.embedded import stack as stacks
from headrace.embedded.part import Part
from headrace.embedded.server import free_port
from headrace.settings import Settings

pytestmark = pytest.mark.stack
TWO = ("serving-0", "serving-1")


def gateways(settings: Settings) -> list[Part]:
    """The parts that `headrace up` would run."""
    found = [part for part in stacks.parts(settings) if part.name.startswith("serving")]
    return [part for part in found if isinstance(part, Part)]


def test_one_gateway_is_called_as_ever(tmp_path: Path) -> None:
    """And asked at its address."""
    (part,) = gateways(Settings(home=tmp_path))
    assert part.name == "serving" and part.argv[-2:] == ["-m", "serving"]


async def test_two_share_an_address_and_what_one_leaves(settings: Settings, upstream: Upstream) -> None:
    """Both answer, both are replicas; after one is killed the other answers, and once it is started again, as a
    supervisor does, every answer is an event: what the dead one had not shipped is its successor's."""
    settings = settings.replaced(
        gateway=f"http://127.0.0.1:{free_port()}", otlp_grpc=f"127.0.0.1:{free_port()}", gateway_processes=2
    )
    parts = gateways(settings)
    assert tuple(part.name for part in parts) == TWO
    running: dict[str, Popen] = {}
    answered: list[str] = []

    async def begin(*some: Part) -> None:
        for part in some:
            running[part.name] = Popen("serving", list(part.argv[1:]), env=dict(part.env or os.environ))
        async with asyncio.timeout(180):
            while not all([await asyncio.to_thread(part.probe) for part in some]):
                assert all(process.poll() is None for process in running.values())
                await asyncio.sleep(0.1)

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=settings.gateway, timeout=30, trust_env=False) as client:
            response = await client.post("/v1/route", json={"text": "How do I reset my password?"})
            assert response.status_code == 200, response.text
            answered.append(response.json()["inference_id"])

    try:
        await begin(*parts)
        await asyncio.gather(*(ask() for _ in range(40)))
        running["serving-1"].send_signal(signal.SIGKILL)
        await asyncio.to_thread(running["serving-1"].wait, 60)
        alive = [await asyncio.to_thread(part.alive) for part in parts if part.alive is not None]
        assert alive == [True, False]
        for _ in range(20):
            await ask()
        await begin(parts[1])
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        ended = [await asyncio.to_thread(process.wait, 60) for process in running.values()]
    assert ended == [0, 0]
    emitted: list[Inference] = []
    async with asyncio.timeout(60):
        # A busy broker may take longer for a record than a reader waits for the next.
        while not {str(event.inference_id) for event in emitted} >= set(answered):
            emitted = events(await everything(settings, INFERENCES), Inference)
    # What the killed one had sent and nobody had acknowledged is sent again; the warehouse keeps one row of it.
    assert {str(event.inference_id) for event in emitted} == set(answered)
    assert len({event.emitter for event in emitted}) == 2
    replicas = {Replica.model_validate_json(one.value or b"").replica for one in await everything(settings, REPLICAS)}
    assert {name.rpartition("-")[2] for name in replicas} == {"0", "1"}
