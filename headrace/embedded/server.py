"""A server started for the length of a test or a script: start, wait until it answers, stop."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from random import SystemRandom
from types import TracebackType
from typing import Self

from headrace.errors import StackError
from headrace.process.child import Child, Probe

PORTS = range(15_000, 32_000)
"""Below the ports that clients' own connections get: one of those could take a port between its choice and its
server's start, or while a server is away."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, and the variable that moves it."""

    host: str
    port: int
    name: str
    variable: str


class Server:
    """One embedded server and its readiness probe; `with` starts and stops it."""

    def __init__(self, child: Child, probe: Probe, place: Place) -> None:
        self._child = child
        self._probe = probe
        self._place = place

    @property
    def pid(self) -> int | None:
        return self._child.pid

    def start(self, timeout_s: float = 90.0) -> Self:
        """Return when it answers. Raises StackError with the server's own sentence when it cannot."""
        # A stranger on the port would pass the probe.
        check_port(self._place)
        self._child.start()
        try:
            self._child.wait_ready(self._probe, timeout_s)
        except BaseException:
            self._child.kill()
            raise
        return self

    def stop(self) -> None:
        """SIGTERM and wait: it flushes and closes."""
        self._child.stop()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._child.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def free_port(preferred: int = 0) -> int:
    """A loopback port that nobody listens on now: the preferred one, or any where that is taken.

    Raises StackError where none is free.
    """
    for port in (preferred, *SystemRandom().sample(PORTS, 50)):
        if port and _is_free(port):
            return port
    raise StackError(f"No free port was found from {PORTS[0]} to {PORTS[-1]}; stop what uses them")


def _is_free(port: int) -> bool:
    try:
        _bind("127.0.0.1", port)
    except OSError:
        return False
    return True


def check_port(place: Place) -> None:
    """Raise StackError naming the port and the variable that moves it, when it cannot be bound."""
    try:
        _bind(place.host, place.port)
    except OSError as error:
        why = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise StackError(
            f"Port {place.port} on {place.host}, where {place.name} would listen, {why}; stop what uses it or set "
            f"{place.variable}"
        ) from None


def _bind(host: str, port: int) -> None:
    """Take a port and give it back. Raises OSError."""
    with socket.socket() as sock:
        # As the servers do: a port in TIME_WAIT is free.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
