"""What stands between client and upstream beside headrace; a gateway of others is installed below var/."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.passing.wire import KEY
from benchmarks.waiting import until
from headrace.embedded.server import free_port
from headrace.process.readiness import responds

FOLDER = Path("var/bench/gateway-peers")
LITELLM = "litellm[proxy]>=1.100,<1.107"
"""Release 1.107 is reported as compromised."""


class NotThere(Exception):
    """Why a peer cannot be measured here."""


@contextmanager
def litellm(upstream: int, model: str) -> Iterator[tuple[int, int]]:
    """LiteLLM's proxy with one worker: its port and process id. Raises NotThere."""
    home = FOLDER.absolute() / "litellm"
    command = home / "bin" / "litellm"
    if not command.exists():
        venv.create(home, with_pip=True, clear=True)
        install = [str(home / "bin" / "pip"), "install", "--quiet", LITELLM]
        if subprocess.run(install, stdout=subprocess.DEVNULL).returncode:
            raise NotThere("its packages could not be installed")
    config = {
        "model_list": [
            {
                "model_name": model,
                "litellm_params": {
                    "model": f"openai/{model}",
                    "api_base": f"http://127.0.0.1:{upstream}/v1",
                    "api_key": "sk-bench",
                },
            }
        ],
        "litellm_settings": {"telemetry": False},
    }
    (home / "config.yaml").write_text(json.dumps(config))
    port = free_port()
    argv = [str(command), "--config", "config.yaml", "--port", str(port), "--host", "127.0.0.1", "--num_workers", "1"]
    environ = os.environ | {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    environ |= {"LITELLM_MASTER_KEY": KEY}
    with started(argv, home, environ, f"http://127.0.0.1:{port}/health/liveliness") as pid:
        yield port, pid


@contextmanager
def bare(upstream: int) -> Iterator[tuple[int, int]]:
    """The plainest ASGI app that passes requests on (bare.py): its port and process id."""
    port = free_port()
    address = f"http://127.0.0.1:{upstream}"
    argv = [sys.executable, "-m", "benchmarks.passing.bare", "--port", str(port), "--upstream", address]
    with started(argv, Path.cwd(), os.environ, "") as pid:
        yield port, pid


@contextmanager
def simulated() -> Iterator[tuple[int, int]]:
    """The upstream (simulation/instant.py): its port and process id."""
    port = free_port()
    argv = [sys.executable, "-m", "simulation.instant", "--port", str(port)]
    with started(argv, Path.cwd(), os.environ, "") as pid:
        yield port, pid


@contextmanager
def started(argv: list[str], folder: Path, environ: os._Environ[str] | dict[str, str], probe: str) -> Iterator[int]:
    """A process until the block ends: its id. probe: answers once it is ready; empty: it listens at --port"""
    port = int(argv[argv.index("--port") + 1])
    process = subprocess.Popen(argv, cwd=folder, env=dict(environ), stdout=subprocess.DEVNULL)

    def ready() -> bool:
        if process.poll() is not None:
            raise NotThere(f"{argv[0]} ended with {process.returncode}")
        return responds(probe) if probe else _listens(port)

    try:
        until(ready, f"{argv[0]} to answer", 120.0)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
