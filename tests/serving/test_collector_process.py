"""What a gateway answered survives it: real processes, real Kafka, SIGKILL."""

from __future__ import annotations

import asyncio
import json
import signal

import httpx
import pytest
from gateway_process import Process, events, everything
from stage import until

from headrace.contract.control import Counter
from headrace.contract.events import Inference, new_inference
from headrace.contract.topics import EMITTERS, INFERENCES
from headrace.embedded.kafka import KafkaServer
from headrace.settings import Settings

pytestmark = pytest.mark.stack


class Frontend:
    """Posts batches of ten without pause and keeps the ids that were answered with 202."""

    def __init__(self, gateway: Process) -> None:
        self.gateway = gateway
        self.answered: set[str] = set()
        self.spooled = 0

    async def emit(self) -> None:
        """Until the gateway is gone."""
        while True:
            batch = [new_inference("router", "router@9", session_id="s") for _ in range(10)]
            body = b"[" + b",".join(event.to_json() for event in batch) + b"]"
            try:
                answer = await self.gateway.client.post("/v1/events", content=body)
            except httpx.TransportError:
                return
            assert answer.status_code == 202, answer.text
            assert answer.json()["inferences"] == 10
            self.answered |= {str(event.inference_id) for event in batch}
            self.spooled += answer.json()["spooled"]

    async def ask(self) -> None:
        """The same with questions."""
        while True:
            try:
                self.answered.add((await self.gateway.route())["inference_id"])
            except httpx.TransportError:
                return


async def killed_under_load(settings: Settings, answers: int, ready: bool) -> Frontend:
    """A gateway that SIGKILL ended in the middle of requests, after so many events were answered."""
    gateway = Process(settings)
    await gateway.start(ready)
    frontend = Frontend(gateway)
    clients = [asyncio.create_task(frontend.emit()) for _ in range(4)] + [asyncio.create_task(frontend.ask())]
    await until(lambda: len(frontend.answered) >= answers, 60)
    await gateway.stop(signal.SIGKILL)
    await asyncio.gather(*clients)
    await gateway.client.aclose()
    return frontend


async def test_what_was_answered_survives_sigkill_and_an_absent_kafka(broker: KafkaServer, settings: Settings) -> None:
    """A gateway is killed under load, its successor answers without Kafka and is killed too; the third ships what both
    had answered, and their last counters say exactly how much there is of each."""
    settings = settings.replaced(spool_mib=64)
    with_kafka = await killed_under_load(settings, 300, ready=True)
    assert with_kafka.spooled == 0
    await asyncio.to_thread(broker.kill)
    without = await killed_under_load(settings, 60, ready=False)
    assert without.spooled > 0
    await asyncio.to_thread(broker.start)
    spool = settings.home / "serving" / "gateway-a" / "spool"
    third = Process(settings)
    await third.start()
    await until(lambda: len(list(spool.iterdir())) == 1, 60)
    metrics = (await third.client.get("/metrics")).text
    assert await third.stop() == 0
    assert list(spool.iterdir()) == []
    assert "headrace_spool_full 0.0" in metrics and "headrace_spool_bytes" in metrics

    found = {
        str(event.inference_id): event.emitter for event in events(await everything(settings, INFERENCES), Inference)
    }
    assert with_kafka.answered | without.answered <= found.keys()
    counters: dict[str, Counter] = {}
    for message in await everything(settings, EMITTERS):
        counter = Counter(**json.loads(message.value or b""))
        if counter.kind == "inferences":
            counters[counter.emitter] = max(
                counter, counters.get(counter.emitter, counter), key=lambda one: one.sequence
            )
    stored = list(found.values())
    assert {name: (counter.emitted, counter.acknowledged, counter.dropped) for name, counter in counters.items()} == {
        name: (stored.count(name), stored.count(name), 0) for name in set(stored)
    }
