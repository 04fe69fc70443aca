"""Connections that have not logged in: they cannot keep out those who do."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

# From connecting, or from the last answer, to a password.
PATIENCE_S = 10.0


class Guests:
    """The connections without a login, the longest-waiting first. For any number of threads."""

    def __init__(self) -> None:
        self._since: dict[socket.socket, float] = {}
        self._lock = threading.Lock()

    def enter(self, connection: socket.socket) -> None:
        with self._lock:
            self._since[connection] = time.monotonic()

    def answered(self, connection: socket.socket) -> None:
        """A guest got an answer (a health check, say): its time begins again."""
        with self._lock:
            if self._since.pop(connection, None) is not None:
                self._since[connection] = time.monotonic()

    def leave(self, connection: socket.socket) -> None:
        """It has logged in, or is closed."""
        with self._lock:
            self._since.pop(connection, None)

    def expire(self) -> None:
        """End those whose time is over."""
        oldest = time.monotonic() - PATIENCE_S
        with self._lock:
            for connection in [held for held, since in self._since.items() if since < oldest]:
                self._end(connection)

    def make_room(self, newest: socket.socket) -> None:
        """End the one that has waited longest, `newest` apart."""
        with self._lock:
            for connection in self._since:
                if connection is not newest:
                    self._end(connection)
                    return

    def _end(self, connection: socket.socket) -> None:
        """Its thread reads the end of the connection and gives its place back."""
        del self._since[connection]
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
