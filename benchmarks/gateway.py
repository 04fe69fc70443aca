"""The real gateway over the real Kafka, for benchmarks that send to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from benchmarks.waiting import calm, process_cpu_s, until
from headrace.bus.kafka import ensure_topics
from headrace.embedded.kafka import KafkaServer
from headrace.embedded.server import free_port
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


@contextmanager
def gateway(home: Path, otlp_grpc: str = "") -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The gateway's address and its process, until the block ends.

    otlp_grpc: where it takes OTLP over gRPC, HOST:PORT
    """
    home.mkdir(parents=True, exist_ok=True)
    (home / "flywheel.toml").write_text(PLAN)
    with KafkaServer(home, cache=CACHE.absolute()) as broker, (home / "gateway.log").open("wb") as log:
        settings = Settings(
            home=home,
            plan=home / "flywheel.toml",
            kafka=broker.bootstrap,
            gateway=f"http://127.0.0.1:{free_port()}",
            otlp_grpc=otlp_grpc,
        )
        asyncio.run(ensure_topics(settings))
        argv = [sys.executable, "-m", "serving"]
        process = subprocess.Popen(argv, env=dict(os.environ) | settings.environ(), stdout=log, stderr=log)

        def ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{settings.gateway}/readyz", trust_env=False).status_code == 200
            return False

        try:
            until(ready, "the gateway to be ready", 60.0)
            calm(partial(process_cpu_s, process.pid))
            yield settings.gateway, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
