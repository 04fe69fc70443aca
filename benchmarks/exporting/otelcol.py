"""An OpenTelemetry Collector as a process: nobody packages it for Python, so it is used where it has been built."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.waiting import until
from headrace.embedded.server import free_port
from headrace.settings import address

BUILT = Path("var/cache/otelcol/otelcol")
MISSING = "there is no OpenTelemetry Collector: build it as benchmarks/exporting/otelcol.yaml says, or set OTELCOL"
LIMIT_MIB = 128


def binary() -> Path | None:
    """OTELCOL, what the configuration beside this file builds, or otelcol on the PATH."""
    named = os.environ.get("OTELCOL") or (str(BUILT) if BUILT.exists() else shutil.which("otelcol"))
    return Path(named).absolute() if named else None


@contextmanager
def running(
    home: Path, exporters: Mapping[str, Any], processors: Mapping[str, Any] | None = None
) -> Iterator[Collector]:
    """A collector of traces that takes OTLP and hands it to these exporters."""
    found = binary()
    assert found is not None, MISSING
    home.mkdir(parents=True, exist_ok=True)
    grpc, http = (f"127.0.0.1:{free_port()}" for _ in range(2))
    protocols = {
        "grpc": {"endpoint": grpc, "max_recv_msg_size_mib": LIMIT_MIB},
        "http": {"endpoint": http, "max_request_body_size": LIMIT_MIB << 20},
    }
    pipeline = {"receivers": ["otlp"], "processors": list(processors or ()), "exporters": list(exporters)}
    service = {"pipelines": {"traces": pipeline}, "telemetry": {"metrics": {"level": "none"}}}
    config = home / "otelcol.json"
    sections = {"receivers": {"otlp": {"protocols": protocols}}, "processors": processors or {}, "exporters": exporters}
    config.write_text(json.dumps(sections | {"service": service}))
    with (home / "otelcol.log").open("wb") as log:
        process = subprocess.Popen([found, "--config", config], stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or _listens(http), "the collector to listen", 30.0)
        yield Collector(process, f"http://{http}", grpc, home / "otelcol.log")
    finally:
        process.terminate()
        process.wait(30)


def _listens(where: str) -> bool:
    import socket

    with socket.socket() as sock:
        return sock.connect_ex(address(where)) == 0


class Collector:
    """A running one: where it takes OTLP."""

    def __init__(self, process: subprocess.Popen[bytes], http: str, grpc: str, log: Path) -> None:
        self.pid = process.pid
        self.http = http
        self.grpc = grpc
        self.log = log
