"""`up`, `down` and `status`, and what is refused before anything starts."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from headrace.embedded import stack
from headrace.embedded.part import Part, Step
from headrace.embedded.server import free_port
from headrace.embedded.state import Phase, StackState
from headrace.errors import StackError
from headrace.process import readiness
from headrace.settings import Settings

WORKER = """
import time
from headrace.process.readiness import ready
from headrace.settings import Settings
ready(Settings.from_environ(), "worker")
time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    ports = [free_port() for _ in range(5)]
    kafka, *urls = f"127.0.0.1:{ports[0]}", *(f"http://127.0.0.1:{port}" for port in ports[1:4])
    otlp_grpc = f"127.0.0.1:{ports[4]}"
    return Settings(
        home=tmp_path, kafka=kafka, clickhouse=urls[0], gateway=urls[1], console=urls[2], otlp_grpc=otlp_grpc
    )


def worker(settings: Settings, name: str) -> Part:
    file = readiness.ready_file(settings.home, name)
    env = {**os.environ, **settings.environ(), readiness.PART_VARIABLE: name}
    return Part(name, [sys.executable, "-c", WORKER], file.exists, env, ready_file=file)


def test_every_part_can_show_that_it_is_alive(settings: Settings) -> None:
    """The supervisor has something to ask each part that is ready; while none runs, none is alive."""
    parts = [part for part in stack.parts(settings) if isinstance(part, Part)]
    assert len(parts) > 6 and all(part.alive is not None for part in parts)
    assert not any(part.alive() for part in parts if part.alive is not None)


async def test_a_consumer_shows_that_its_loop_turns(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ready file is touched while its event loop runs, and not by anything else."""
    monkeypatch.setattr(readiness, "BEAT_S", 0.05)
    readiness.ready(settings, "judge")
    file = readiness.ready_file(settings.home, "judge")
    beating = asyncio.create_task(readiness.beat(settings, "judge"))
    for _ in range(3):
        os.utime(file, (0, 0))
        async with asyncio.timeout(10):
            while not readiness.beats(file):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    beating.cancel()
    os.utime(file, (0, 0))
    assert not readiness.beats(file)


def test_up_detached_runs_on_until_down(settings: Settings) -> None:
    """`up` returns when all is ready, `status` shows it, a second `up` is refused, `down` ends every process."""
    seen: list[StackState] = []
    stack.up(settings, [worker(settings, "a-0"), worker(settings, "a-1")], detach=True, on_change=seen.append)
    found = stack.status(settings)
    assert found is not None and found.phase is Phase.READY and found.pid != os.getpid()
    assert [(part.name, part.phase) for part in found.parts] == [("a-0", Phase.READY), ("a-1", Phase.READY)]
    assert seen[-1].phase is Phase.READY
    with pytest.raises(StackError, match=r"already up in .* run `headrace down` first"):
        stack.up(settings, [worker(settings, "a-0")], detach=True)
    stack.down(settings)
    assert stack.status(settings) is None
    assert not any(part.pid and psutil.pid_exists(part.pid) for part in found.parts)
    with pytest.raises(StackError, match=r"headrace is not up in .*; nothing to stop"):
        stack.down(settings)


def test_up_detached_says_why_it_could_not_start(settings: Settings) -> None:
    """A step that fails in the background is the sentence that `up` raises."""

    def prepare() -> None:
        raise StackError("The schema of the warehouse is newer than this headrace; upgrade it")

    with pytest.raises(StackError, match="is newer than this headrace"):
        stack.up(settings, [worker(settings, "a-0"), Step("prepare", prepare, needs=("a-0",))], detach=True)
    assert stack.status(settings) is None


def test_the_parts_are_the_settings_parts(settings: Settings) -> None:
    """Servers come first, then prepare, then the parts; servers that exist already are not started."""
    several = settings.replaced(streams_workers=2)
    names = [part.name for part in stack.parts(several, prepare=lambda: None)]
    workers = ["streams-0", "streams-1", "judge", "retrain", "rollout"]
    assert names == ["kafka", "clickhouse", "prepare", *workers, "serving", "console"]
    external = stack.parts(settings.replaced(embedded=()))
    assert external[0].name == "streams-0" and not external[0].needs


@pytest.mark.parametrize(
    ("field", "variable"),
    [
        ("kafka", "KAFKA"),
        ("clickhouse", "CLICKHOUSE"),
        ("gateway", "GATEWAY"),
        ("otlp_grpc", "OTLP_GRPC"),
        ("console", "CONSOLE"),
    ],
)
def test_a_port_in_use_is_named_with_its_variable(settings: Settings, field: str, variable: str) -> None:
    """Nothing is started when a port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        where = f"127.0.0.1:{port}" if field in ("kafka", "otlp_grpc") else f"http://127.0.0.1:{port}"
        crowded = settings.replaced(**{field: where})  # type: ignore[arg-type]
        with pytest.raises(StackError, match=rf"^Port {port} .* already in use; .* HEADRACE_{variable}$"):
            stack.up(crowded, stack.parts(crowded))


def test_no_clients_connection_takes_a_free_port() -> None:
    """What was found free stays so while its server starts: the system gives none of them to a connection."""
    of_clients = Path("/proc/sys/net/ipv4/ip_local_port_range")
    least = int(of_clients.read_text().split()[0]) if of_clients.exists() else 32_768
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert max(free_port(taken.getsockname()[1]) for _ in range(20)) < least
    assert free_port(wanted := free_port()) == wanted


def test_a_missing_extra_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without chdb the sentence names the package and the extra."""
    real = importlib.metadata.distribution

    def distribution(name: str) -> importlib.metadata.Distribution:
        if name == "chdb":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    with pytest.raises(StackError, match=r"clickhouse needs the package chdb, .*headrace\[embedded\]"):
        stack.check(settings, stack.parts(settings))


def test_a_server_that_should_exist_is_looked_for(settings: Settings) -> None:
    """With nothing embedded, an address where nobody answers is one sentence."""
    external = settings.replaced(embedded=())
    with pytest.raises(StackError, match=r"Nothing answers at 127.0.0.1:.* HEADRACE_KAFKA says kafka is"):
        stack.check(external, stack.parts(external))


def test_embedded_servers_stay_on_loopback(settings: Settings) -> None:
    """An embedded server has no users worth the name to offer the network."""
    wide = settings.replaced(kafka="0.0.0.0:9092")
    with pytest.raises(StackError, match=r"HEADRACE_KAFKA is 0.0.0.0:9092, .* loopback only"):
        stack.check(wide, stack.parts(wide))


def test_a_home_that_cannot_be_written_is_named(settings: Settings) -> None:
    """The sentence names the folder and the variable."""
    settings.home.joinpath("file").touch()
    blocked = settings.replaced(home=settings.home / "file" / "home")
    with pytest.raises(StackError, match=r"file/home cannot be written \(.*\); set HEADRACE_HOME"):
        stack.up(blocked, [])
