"""ClickHouse's HTTP protocol: a thread to a connection, since every request waits for the engine or for the client."""

from __future__ import annotations

import secrets
import ssl
import sys
import threading
import time
import traceback
from contextlib import ExitStack
from http.server import ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import SplitResult, urlsplit

from headrace.embedded.clickhouse import request as requests
from headrace.embedded.clickhouse.answer import Answering, Sent
from headrace.embedded.clickhouse.blocks import Blocks
from headrace.embedded.clickhouse.body import Bounded, ByteSource, Wire, decoded
from headrace.embedded.clickhouse.engine import Engine
from headrace.embedded.clickhouse.errors import Refused, refuse
from headrace.embedded.clickhouse.execute import execute
from headrace.embedded.clickhouse.guests import Guests
from headrace.embedded.clickhouse.origin import Origin
from headrace.embedded.clickhouse.reply import Dress
from headrace.embedded.clickhouse.request import Form, Users
from headrace.embedded.clickhouse.running import Running
from headrace.embedded.clickhouse.sessions import Sessions

LARGEST_URL = 1 << 20
LARGEST_BODY = 8 << 30
# A multipart body is held whole.
LARGEST_FORM = 64 << 20
# After an error this much more of a body is read, so that the client sees the answer and may go on.
MAX_DRAINED = 256 << 20
# Of a body whose sender is not known.
MAX_DRAINED_OF_GUESTS = 64 << 10
MAX_QUERIES = 100
MAX_CONNECTIONS = 400


class Front(ThreadingHTTPServer):
    """The listener. `stop` lets requests in flight end, up to a grace."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 512
    # The library's default joins every thread at close, idle keep-alive connections among them.
    block_on_close = False

    def __init__(
        self, address: tuple[str, int], engine: Engine, users: Users, tls: ssl.SSLContext | None = None
    ) -> None:
        self.engine = engine
        self.users = users
        self.sessions = Sessions(engine)
        self.queries = Running(self.sessions)
        self.running = threading.BoundedSemaphore(MAX_QUERIES)
        self._stopping = False
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self.guests = Guests()
        self.origin = Origin(*address)
        super().__init__(address, Handler)
        if tls is not None:
            # The handshake is left to the connection's own thread: a slow client must not hold up the listener.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.guests.enter(request)
        wait_s = 0.0
        while not self._places.acquire(timeout=wait_s):
            if self._stopping:
                self.guests.leave(request)
                self.shutdown_request(request)
                return
            self.guests.make_room(request)
            wait_s = 0.1
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Called several times a second."""
        self.guests.expire()
        self.queries.end_abandoned()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.guests.leave(request)
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is ordinary; anything else is printed with its traceback."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client_address)

    def stop(self, grace_s: float) -> None:
        """Accept nothing more, wait for what runs, close the sessions."""
        self._stopping = True
        self.shutdown()
        self.server_close()
        deadline = time.monotonic() + grace_s
        for _ in range(MAX_QUERIES):
            self.running.acquire(timeout=max(0.0, deadline - time.monotonic()))
        self.sessions.close()


class Handler(Answering):
    """One connection."""

    server: Front
    # An idle keep-alive connection gives its thread back after this.
    timeout = 300
    # Who asks; empty as long as that is not known.
    _user: str

    _fixed: ClassVar[dict[str, bytes]] = {"/ping": b"Ok.\n", "/replicas_status": b"Ok.\n"}

    def handle_one_request(self) -> None:
        """As the library's, with ClickHouse's limit for the URL in place of its 64 KiB."""
        try:
            self.raw_requestline = self.rfile.readline(LARGEST_URL + 1)
            if not self.raw_requestline:
                self.close_connection = True
                return
            if len(self.raw_requestline) > LARGEST_URL:
                self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
                self.send_error(414)
                return
            if self.parse_request():
                self._serve()
                self.wfile.flush()
        except TimeoutError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """No access log: a log line a request would outgrow the data."""

    def handle_expect_100(self) -> bool:
        """Ask for no body yet: see `_logged_in`."""
        return True

    def _serve(self) -> None:
        wire: Wire | None = None
        self._user, self._query_id, self._dress = "", "", Dress()
        try:
            url = self._url()
            wire = self._wire()
            if url.path in self._fixed:
                self._plain(200, self._fixed[url.path])
            elif url.path not in ("", "/"):
                why = f"There is no handle {url.path}. Use / for queries, /ping for health checks.\n"
                self._plain(404, why.encode())
            elif self.command != "POST" and "query" not in url.query:
                self._plain(200, b"Ok.\n")
            else:
                self._user = requests.authenticate(url.query, self.headers, self.server.users)
                self._logged_in()
                self._query(url.query, wire)
        except Refused as error:
            self.close_connection = True
            self._fail(error, self.server.engine.version)
        self.wfile.flush()
        self.server.guests.answered(self.connection)
        # A guest that waits to be asked for its body has not been asked.
        most = MAX_DRAINED if self._user else 0 if "Expect" in self.headers else MAX_DRAINED_OF_GUESTS
        if wire is None or not wire.drain(most):
            self.close_connection = True

    def _url(self) -> SplitResult:
        """The request's target. Raises Refused: of another origin or host (497), a method that is not known (48)."""
        try:
            url = urlsplit(self.path)
        except ValueError as error:
            raise refuse(36, "BAD_ARGUMENTS", f"The request's target is no URL: {error}") from None
        self.server.origin.check(self.headers, url.netloc)
        if self.command not in ("GET", "HEAD", "POST"):
            raise refuse(48, "NOT_IMPLEMENTED", "The embedded ClickHouse takes GET and POST")
        return url

    def _logged_in(self) -> None:
        self.server.guests.leave(self.connection)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()

    def _wire(self) -> Wire:
        coding, length = self.headers.get("Transfer-Encoding", ""), self.headers.get("Content-Length", "0")
        if coding.lower() == "chunked":
            return Wire(self.rfile, None)  # type: ignore[arg-type]
        if coding or not (length.isascii() and length.isdigit()):
            raise refuse(36, "BAD_ARGUMENTS", "A body is chunked, or its Content-Length is a number")
        return Wire(self.rfile, int(length))  # type: ignore[arg-type]

    def _query(self, url_query: str, wire: Wire) -> None:
        tag = secrets.token_hex(8)
        sent = Sent()
        try:
            if not self.server.running.acquire(blocking=False):
                raise refuse(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many simultaneous queries: {MAX_QUERIES}")
            try:
                self._run(url_query, wire, tag, sent)
            finally:
                self.server.running.release()
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            if not isinstance(error, Refused):
                traceback.print_exc()
                error = refuse(1001, "STD_EXCEPTION", f"{type(error).__name__}: {error}")
            self._fail(error, self.server.engine.version, tag, sent)

    def _run(self, url_query: str, wire: Wire, tag: str, sent: Sent) -> None:
        started = time.monotonic_ns()
        body: ByteSource = Bounded(decoded(wire, self.headers.get("Content-Encoding", "")), LARGEST_BODY)
        form = Form()
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            form = requests.form_of(_all(Bounded(body, LARGEST_FORM)), kind)
        asked = requests.parse(self.command, url_query, self.headers, form, self._user)
        self._dress, self._query_id = asked.dress, asked.query_id
        if asked.blocks:
            body = Blocks(body, verified=not asked.unverified)
        with ExitStack() as stack:
            sessions, queries = self.server.sessions, self.server.queries
            stack.enter_context(queries.entered(asked.query_id, asked.user, asked.replaces))
            # An analyst has nothing to keep: no temporary tables, no settings.
            if asked.session_id and not asked.analyst:
                kept = sessions.named(asked.user, asked.session_id, asked.session_timeout, asked.session_check)
                session = stack.enter_context(kept)
                stack.callback(session.restore)
            else:
                session = stack.enter_context(sessions.fresh())
            engine = self.server.engine
            result = execute(asked, body, session, engine, lambda: queries.end_with(asked.query_id, self.connection))
            self._give(result, time.monotonic_ns() - started, engine.timezone, tag, sent)


def _all(body: ByteSource) -> bytes:
    parts = []
    while piece := body.read(1 << 20):
        parts.append(piece)
    return b"".join(parts)
