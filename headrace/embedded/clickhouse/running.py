"""The requests that run, by their query ids: none runs twice, and a client that leaves may end its own."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.embedded.clickhouse.errors import Refused, refuse
from headrace.embedded.clickhouse.processes import own_ids
from headrace.embedded.clickhouse.sessions import Sessions

# A request with the same id has this long to end when it is to be replaced: the server's own.
REPLACED_S = 5.0
# The other side closed its half. Where the platform has no word for that, it says so with POLLHUP.
_LEFT = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


@dataclass(slots=True)
class _Running:
    """connection: of a client that ends its statement by leaving; None: it runs on"""

    user: str
    connection: socket.socket | None = None


class Running:
    """For any number of threads."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._by_id: dict[str, _Running] = {}
        self._changed = threading.Condition()

    @contextmanager
    def entered(self, query_id: str, user: str, replaces: bool) -> Iterator[None]:
        """Let the request run under its id. Raises Refused (216) while another one has it.

        replaces: ends that other one first, where it is the same user's (`replace_running_query=1`)
        """
        with self._changed:
            held = self._by_id.get(query_id)
        if held is not None and replaces and held.user == user:
            self.kill(query_id)
        else:
            replaces = False
        with self._changed:
            if replaces:
                self._changed.wait_for(lambda: query_id not in self._by_id, REPLACED_S)
            if query_id in self._by_id:
                raise refuse(
                    216,
                    "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                    f"Query with id = {query_id} is already running; give each statement an id of its own",
                )
            self._by_id[query_id] = _Running(user)
        try:
            yield
        finally:
            with self._changed:
                del self._by_id[query_id]
                self._changed.notify_all()

    def end_with(self, query_id: str, connection: socket.socket) -> None:
        """End the statement when this connection's client leaves."""
        with self._changed:
            self._by_id[query_id].connection = connection

    def end_abandoned(self) -> None:
        """End the statements whose clients have left. Called several times a second; does not wait for the engine."""
        with self._changed:
            for query_id, one in self._by_id.items():
                if one.connection is not None and _has_left(one.connection):
                    one.connection = None
                    threading.Thread(target=self.kill, args=(query_id,), daemon=True).start()

    def kill(self, query_id: str) -> None:
        """Tell the engine to end the statement of this id, if it runs."""
        with contextlib.suppress(Refused), self._sessions.fresh() as session:
            quoted = query_id.replace("\\", "\\\\").replace("'", "\\'")
            session.query(own_ids(f"KILL QUERY WHERE query_id = '{quoted}' ASYNC".encode("utf-8", "surrogateescape")))


def _has_left(connection: socket.socket) -> bool:
    poll = select.poll()
    try:
        poll.register(connection, _LEFT)
    except (OSError, ValueError):
        return True
    return any(event & _LEFT for _, event in poll.poll(0))
