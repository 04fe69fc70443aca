"""`python -m consumers.rollout` as a process, and gateways beside it on the real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

from stage import Stage, gateway
from warm_processes import Popen

from headrace import plan
from headrace.process.readiness import ready_file
from headrace.settings import Settings
from serving.replica.bus import kafka_bus


class Owner:
    """`python -m consumers.rollout`."""

    def __init__(self, settings: Settings) -> None:
        self.log = settings.home / "rollout.log"
        self._ready = ready_file(settings.home, "rollout")
        self._settings = settings
        self._process: Popen | None = None

    async def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        with self.log.open("ab") as out:
            argv, environ = ["-m", "consumers.rollout", "--name", "rollout"], os.environ | self._settings.environ()
            self._process = Popen("consumers", argv, env=environ, stdout=out, stderr=out)
        async with asyncio.timeout(60):
            while not self._ready.exists():
                assert self._process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(self._process.wait)


@contextlib.asynccontextmanager
async def rollout(settings: Settings) -> AsyncIterator[Owner]:
    """The owner of promotions; killed at the end."""
    owner = Owner(settings)
    await owner.start()
    try:
        yield owner
    finally:
        await owner.kill()


@contextlib.asynccontextmanager
async def serving(settings: Settings, name: str) -> AsyncIterator[Stage]:
    """A gateway on the real Kafka, with a home that outlives it."""
    gateway_bus = kafka_bus(settings, name)
    async with gateway(plan.load(settings.plan), settings.home / name, gateway_bus=gateway_bus, name=name) as stage:
        yield stage
    await gateway_bus.producer.stop()
