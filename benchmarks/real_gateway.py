"""The real gateway over the real Kafka, for benchmarks that send to it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.waiting import calm, process_cpu_s, until
from headrace.bus.kafka import ensure_topics
from headrace.embedded import stack
from headrace.embedded.kafka import KafkaServer
from headrace.embedded.part import Part
from headrace.embedded.server import free_port
from headrace.process.readiness import health_file
from headrace.settings import Settings

CACHE = Path("var/cache")
PLAN = """
version = 1
[tasks.router]
labels = ["hr", "it"]
[tasks.router.incumbent]
version = "router@0"
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.router.candidates.probe]
method = "probe"
"""


@dataclass(frozen=True, slots=True)
class Gateways:
    """One gateway, or several that share an address.

    settings: that they have; url: the address; own: of each process, for what concerns it alone, as its metrics
    """

    url: str
    own: tuple[str, ...]
    processes: tuple[subprocess.Popen[bytes], ...]
    settings: Settings


@contextmanager
def gateway(home: Path, otlp_grpc: str = "", processes: int = 1, plan: str = PLAN) -> Iterator[Gateways]:
    """What `headrace up` would run, until the block ends.

    otlp_grpc: where it takes OTLP over gRPC, HOST:PORT; plan: the text of its flywheel.toml
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "flywheel.toml").write_text(plan)
    with KafkaServer(home, cache=CACHE.absolute()) as broker, (home / "gateway.log").open("wb") as log:
        settings = Settings(
            home=home,
            plan=home / "flywheel.toml",
            kafka=broker.bootstrap,
            gateway=f"http://127.0.0.1:{free_port()}",
            otlp_grpc=otlp_grpc,
            gateway_processes=processes,
        )
        asyncio.run(ensure_topics(settings))
        parts = [part for part in stack.parts(settings) if isinstance(part, Part) and part.name.startswith("serving")]
        started = tuple(subprocess.Popen(part.argv, env=part.env, stdout=log, stderr=log) for part in parts)
        try:
            until(lambda: all(part.probe() for part in parts), "the gateway to be ready", 60.0)
            for process in started:
                calm(partial(process_cpu_s, process.pid))
            files = [health_file(home, part.name) for part in parts]
            own = tuple(file.read_text().strip() for file in files if file.exists()) or (settings.gateway,)
            yield Gateways(settings.gateway, own, started, settings)
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
            for process in started:
                process.wait(30)
