"""consumers.retrain while its broker is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from following import Process, alive, send, tail, trigger, until
from formatted_storage import formatted
from test_retrain import SCRIPT, of, office, runs

from headrace.bus.kafka import ensure_topics
from headrace.contract.control import JobState
from headrace.contract.topics import JOBS, TRIGGERS
from headrace.embedded.kafka import KafkaServer
from headrace.settings import Settings

pytestmark = pytest.mark.stack

CACHE = Path(__file__).parents[2] / "var" / "cache"


async def test_a_consumer_that_cannot_prove_its_ownership_ends_its_trainer(
    database: Settings, tmp_path: Path, processes: Callable[..., Process]
) -> None:
    """Cut off from Kafka for longer than its lease, it kills the trainer; once Kafka is back the job goes on."""
    broker = KafkaServer(formatted(tmp_path), cache=CACHE).start()
    settings = database.replaced(home=tmp_path, **broker.login())
    try:
        await ensure_topics(settings)
        settings = office(settings, "cut", cut=["hang", "lose"])
        process = await processes(settings, SCRIPT, "retrain").ready()
        await send(settings, TRIGGERS, trigger("cut"))
        (run,) = await until(lambda: runs(settings, "cut"))
        await asyncio.to_thread(broker.stop)
        assert alive(run["pid"])
        await until(lambda: not alive(run["pid"]), 20)
        assert process.popen.poll() is None
        broker = KafkaServer(tmp_path, port=broker.port, cache=CACHE).start()
        async with tail(settings, JOBS) as jobs:
            (lost,) = await jobs.until(of("cut", JobState.NO_WINNER), 60)
            assert (lost.attempt, lost.result["failures"]) == (2, 1)
        assert [one["attempt"] for one in runs(settings, "cut")] == [1, 2]
    finally:
        await asyncio.to_thread(broker.stop)
