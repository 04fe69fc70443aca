"""What chaos plays on: the embedded stack with two streams workers and a gateway, under a supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from benchmarks.waiting import until
from headrace.bus.kafka import KafkaProducer
from headrace.cli.stack import prepare
from headrace.contract.control import Promotion, Served
from headrace.contract.control import Step as RolloutStep
from headrace.contract.topics import PROMOTIONS
from headrace.embedded import stack
from headrace.embedded.part import Part, Step
from headrace.embedded.server import free_port
from headrace.embedded.state import Phase
from headrace.embedded.supervisor import Supervisor
from headrace.errors import Transient, WarehouseError
from headrace.process.readiness import responds
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from simulation.demo.run import EXAMPLE_UPSTREAM

WORKERS = ("streams-0", "streams-1")
BUSY, IDLE, UNUSED = "busy", "idle", "unused"
VERSION = "router@0"
TASK = """
[tasks.{name}]
labels = ["hr", "it"]

[tasks.{name}.incumbent]
version = "{version}"
url = "{upstream}"
model = "incumbent-70b"

[tasks.{name}.audit]
rate = 1.0

[tasks.{name}.windows]
size_s = 5.0
lateness_s = 1.0
rolling = 6
refresh_s = 3.0

[tasks.{name}.triggers]
detectors = ["shiryaev_roberts"]
cheaper_after_labels = 0

[tasks.{name}.candidates.probe]
method = "probe"
"""
KEPT = ("kafka", "clickhouse", *WORKERS, "serving", "upstreams", "prepare")


@dataclass(frozen=True, slots=True)
class Stage:
    """A running stack and its handles."""

    settings: Settings
    supervisor: Supervisor

    def pid(self, part: str) -> int:
        """The process group of a part. Raises Late when it does not come back."""
        return until(lambda: self.alive(part), f"{part} to run")

    def alive(self, part: str) -> int | None:
        """The same, None where it does not run."""
        return next((found.pid for found in self.supervisor.status().parts if found.name == part), None)

    def kill(self, part: str) -> None:
        """SIGKILL, as a crash would; the supervisor starts it again."""
        os.killpg(self.pid(part), signal.SIGKILL)

    def terminate(self, part: str) -> None:
        """SIGTERM; the supervisor starts it again."""
        os.killpg(self.pid(part), signal.SIGTERM)

    @contextmanager
    def paused(self, part: str) -> Iterator[None]:
        """SIGSTOP for the length of a block."""
        group = self.pid(part)
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)

    def wait_ready(self, *parts: str) -> None:
        """Until these parts are ready again."""
        until(lambda: all(self._phase(part) is Phase.READY for part in parts), f"{', '.join(parts)} to be ready")

    def command(self, sql: str) -> None:
        """Run a statement as an administrator of ClickHouse would, when it answers."""

        def run() -> bool:
            try:
                Warehouse.connect(self.settings).command(sql)
            except Transient:
                return False
            return True

        until(run, "ClickHouse to take a statement")

    def rows(self, sql: str, **parameters: object) -> list[dict[str, object]]:
        """Rows of a query, [] while ClickHouse does not answer."""
        try:
            return Warehouse.connect(self.settings).rows(sql, **parameters)
        except WarehouseError:
            return []

    def restarts(self, part: str) -> int:
        """How often the supervisor had to start it again."""
        return next(found.restarts for found in self.supervisor.status().parts if found.name == part)

    def log(self, part: str) -> str:
        """What it has said lately."""
        return (self.settings.home / "log" / f"{part}.log").read_text(errors="replace")

    def _phase(self, part: str) -> Phase:
        return next(found.phase for found in self.supervisor.status().parts if found.name == part)


@contextmanager
def raised(home: Path, cache: Path) -> Iterator[Stage]:
    """Start everything below `home` on free ports; stopped at the end."""
    os.environ.setdefault("BROKER_CACHE", str(cache))
    home.mkdir(parents=True, exist_ok=True)
    settings, upstream = _places(home)
    url = f"http://127.0.0.1:{upstream}/v1"
    plan = (resources.files("simulation.demo") / "flywheel.toml").read_text("utf-8").replace(EXAMPLE_UPSTREAM, url)
    planned = [TASK.format(name=name, version=VERSION, upstream=url) for name in (BUSY, IDLE, UNUSED)]
    settings.plan.write_text("".join([plan, *planned]))

    incumbent = Part(
        "upstreams",
        [sys.executable, "-m", "simulation.upstreams", "--port", str(upstream)],
        lambda: responds(f"http://127.0.0.1:{upstream}/v1/models"),
        {**os.environ, **settings.environ()},
    )
    wanted: list[Part | Step] = [part for part in stack.parts(settings, lambda: prepare(settings)) if part.name in KEPT]
    stack.check(settings, wanted)
    with Supervisor([incumbent, *wanted], home) as supervisor:
        supervisor.wait_ready(300.0)
        asyncio.run(_promote(settings))
        yield Stage(settings, supervisor)


async def _promote(settings: Settings) -> None:
    """The monitor evaluates tasks that have a live version."""
    now = datetime.now(UTC)
    producer = KafkaProducer(settings)
    for task in (BUSY, IDLE, UNUSED):
        promotion = Promotion(
            task=task, generation=1, step=RolloutStep.STEADY, live=Served(version=VERSION), since=now, at=now
        )
        await producer.send(PROMOTIONS, promotion.to_json(), task.encode())
    await producer.stop()


def _places(home: Path) -> tuple[Settings, int]:
    kafka, clickhouse, gateway, upstream = (free_port() for _ in range(4))
    settings = Settings(home=home, plan=home / "flywheel.toml").replaced(
        kafka=f"127.0.0.1:{kafka}",
        clickhouse=f"http://127.0.0.1:{clickhouse}",
        gateway=f"http://127.0.0.1:{gateway}",
        otlp_grpc="",
        streams_workers=len(WORKERS),
    )
    return settings, upstream
