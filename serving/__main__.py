"""`python -m serving [--name NAME]`: run the gateway at HEADRACE_GATEWAY until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Sequence

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.types import ASGIApp

from headrace import plan
from headrace.access.proofs import Proofs
from headrace.access.secrets import gateway_secret
from headrace.client import AsyncClient
from headrace.contract.topics import MIB
from headrace.embedded.server import free_port
from headrace.errors import SettingsError, UserError
from headrace.plan import Plan
from headrace.process.host import host_name
from headrace.process.readiness import part_name, tell_address
from headrace.settings import Settings, address
from serving.engines.opening import warm
from serving.http.callers import Callers
from serving.http.limits import Limits
from serving.otlp.grpc_receiver import GrpcReceiver
from serving.replica.bus import kafka_bus
from serving.replica.service import Service

LOOPBACK = "127.0.0.1"
BACKLOG = 1024
MAX_CONNECTIONS = 4096
"""Open at once, idle ones too; more wait in the socket's backlog."""
MAX_FILES = 16_384
"""File descriptors that the process asks for; many systems give 1024 at first, fewer than MAX_CONNECTIONS."""
HEADERS_S = 30.0
"""How long the head of a request may take, and how long a connection may stay idle: granian has one timer for both."""
MAX_BUFFER_BYTES = 64 * 1024
"""Of what a connection has sent and no route has read: the head of a request must fit."""
MAX_REMEMBERED = 200_000
"""Events that are known again when a client sends them again: 8 seconds of them at full load, 20 MB."""
GARBAGE = 200_000, 20, 50
"""When to look for cycles. An event is five containers and none of them in a cycle: by default a third of the
collector's time went into looking, at 20,000 an eighth."""
DRAIN_S, FLUSH_S = 6.0, 5.0
"""How long a stop waits for answers, and then for their events: less than a supervisor waits before it kills."""

log = logging.getLogger("serving")


async def serve(settings: Settings, name: str, folder: str) -> None:
    """Serve until a signal. Raises UserError for a wrong plan, key or address.

    folder: what it keeps stands in <home>/serving/<folder>, also where the host gets another name
    """
    host, port = address(settings.gateway)
    callers, limits = Callers.of(settings), Limits(settings.rate_limits)
    the_plan, shared = plan.load(settings.plan), settings.gateway_processes > 1
    _check_port(host, port, "HEADRACE_GATEWAY", shared)
    if settings.otlp_grpc:
        _check_port(*address(settings.otlp_grpc), "HEADRACE_OTLP_GRPC", shared)
    bus = kafka_bus(settings, name)
    home = settings.home / "serving" / folder
    recorder = AsyncClient(
        settings,
        emitter=name,
        spool=home / "spool",
        spool_bytes=settings.spool_mib * MIB,
        remembered=MAX_REMEMBERED,
    )
    secret, proofs = gateway_secret(settings), Proofs.of(settings)
    service = Service(the_plan, callers, secret, limits, bus, recorder, proofs, home, name, os.environ)
    await recorder.start()
    await service.start()
    threading.Thread(target=_warm, args=(the_plan,), name="warm", daemon=True).start()
    servers, told = [server_of(service.app, host, port)], None
    if shared:
        # Whoever asks at the shared address gets any of the gateways; a supervisor and Prometheus ask for each.
        own = free_port()
        servers.append(server_of(service.app, LOOPBACK, own))
        told = tell_address(settings, name, f"http://{LOOPBACK}:{own}")
    try:
        if settings.otlp_grpc:
            await service.grpc.start(*address(settings.otlp_grpc), shared)
        await _until_signal(servers, service.grpc)
    finally:
        if told is not None:
            told.unlink(missing_ok=True)
        await service.stop()
        await recorder.close(FLUSH_S)
        await bus.producer.stop()


def server_of(app: ASGIApp, host: str, port: int) -> Server:
    """The HTTP server, with its bounds."""
    return Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=int(HEADERS_S * 1000), max_buffer_size=MAX_BUFFER_BYTES),
        websockets=False,
        backlog=BACKLOG,
        backpressure=MAX_CONNECTIONS,
        log_enabled=False,
    )


def _raise_files() -> None:
    """Take as many file descriptors as connections may need, up to what the system allows this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _warm(the_plan: Plan) -> None:
    warm(the_plan)
    # What is loaded stays: the collector of garbage need not look at a million objects again and again.
    gc.collect()
    gc.freeze()


async def _until_signal(servers: Sequence[Server], grpc: GrpcReceiver) -> None:
    """Serve; at SIGTERM or SIGINT take nothing new and give what is in flight DRAIN_S."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = [asyncio.create_task(server.serve()) for server in servers]
    await asyncio.wait({*serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.stop()
    _, late = await asyncio.wait({*serving, asyncio.create_task(grpc.stop(DRAIN_S))}, timeout=DRAIN_S + 1)
    if late:
        log.warning("requests were still in flight after %.0f s; they get no answer", DRAIN_S)
    for one in serving:
        if late:
            one.cancel()
        elif error := one.exception():
            # Where another took the port after it was found free; the traceback is the Rust server's.
            said = str(error).partition("\n")[0]
            raise SettingsError(f"the gateway cannot serve: {said}") from error


def _check_port(host: str, port: int, variable: str, shared: bool = False) -> None:
    """Raises SettingsError where the port is not free. shared: another gateway of ours may listen there already"""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        try:
            sock.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"the gateway cannot listen on {host}:{port} ({error.strerror}); stop what does or set {variable}"
            ) from None


def main() -> None:
    """Parse, run, and print what a person can mend as one sentence."""
    parser = argparse.ArgumentParser(prog="python -m serving", description="Run the headrace gateway.")
    parser.add_argument("--name", help="the replica's name, of which there is one (default HOST-gateway-PORT)")
    options = parser.parse_args()
    gc.set_threshold(*GARBAGE)
    _raise_files()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # While a broker is away aiokafka says so ten times a second; the gateway says it itself, once a try.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = Settings.from_environ()
        local = f"gateway-{address(settings.gateway)[1]}"
        # Under a supervisor one of several is called serving-0, serving-1 and so on; what they keep they share.
        number = part_name("serving").partition("-")[2]
        name = options.name or "-".join(filter(None, (host_name(), local, number)))
        uvloop.run(serve(settings, name, options.name or local))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    # All is closed. A thread that is still importing (see `warm`) cannot be cancelled and has nothing to lose, but
    # the interpreter's own end would abort in the middle of its native code.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
