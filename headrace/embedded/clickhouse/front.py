"""ClickHouse's HTTP protocol: a thread to a connection, since every request waits for the engine or for the client."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import SplitResult, urlsplit

from headrace.embedded.clickhouse import request as requests
from headrace.embedded.clickhouse.body import Bounded, ByteSource, Wire, decoded
from headrace.embedded.clickhouse.engine import Engine
from headrace.embedded.clickhouse.errors import Refused, refuse
from headrace.embedded.clickhouse.execute import StatementResult, execute
from headrace.embedded.clickhouse.guests import Guests
from headrace.embedded.clickhouse.origin import Origin
from headrace.embedded.clickhouse.reply import content_type, encoder
from headrace.embedded.clickhouse.request import Form, Request, Users
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
# Smaller answers are sent as they are: compressing them costs more than it saves.
LEAST_COMPRESSED = 4096


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


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Front
    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse"
    sys_version = ""
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    # An idle keep-alive connection gives its thread back after this.
    timeout = 300
    close_connection: bool
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
        self._user = ""
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
            self._refused(error)
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
        sent = _Sent()
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
            if sent.write is None:
                self._refused(error)
            else:
                # Too late for a status: ClickHouse puts the error behind the rows, between marks the client knows.
                message = self._worded(error).encode()
                mark = f"__exception__\r\n{tag}\r\n".encode()
                sent.write(b"\r\n" + mark + message + f"{len(message)} {tag}\r\n__exception__\r\n".encode())
                sent.end()
                self.close_connection = True

    def _refused(self, error: Refused) -> None:
        self._plain(error.status, self._worded(error).encode(), {"X-ClickHouse-Exception-Code": str(error.code)})

    def _worded(self, error: Refused) -> str:
        version = self.server.engine.version
        return f"{error.text}\n" if "(version " in error.text else f"{error.text} (version {version})\n"

    def _run(self, url_query: str, wire: Wire, tag: str, sent: _Sent) -> None:
        started = time.monotonic_ns()
        body: ByteSource = Bounded(decoded(wire, self.headers.get("Content-Encoding", "")), LARGEST_BODY)
        form = Form()
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            form = requests.form_of(_all(Bounded(body, LARGEST_FORM)), kind)
        asked = requests.parse(self.command, url_query, self.headers, form, self._user)
        with ExitStack() as stack:
            sessions = self.server.sessions
            # An analyst has nothing to keep: no temporary tables, no settings.
            if asked.session_id and not asked.analyst:
                kept = sessions.named(asked.user, asked.session_id, asked.session_timeout, asked.session_check)
                session = stack.enter_context(kept)
                stack.callback(session.restore)
            else:
                session = stack.enter_context(sessions.fresh())
            answer = execute(asked, body, session, self.server.engine.allowed)
            self._answer(asked, answer, time.monotonic_ns() - started, tag, sent)

    def _answer(self, asked: Request, answer: StatementResult, elapsed_ns: int, tag: str, sent: _Sent) -> None:
        summary = {"read_rows": 0, "read_bytes": 0, "written_rows": 0, "written_bytes": 0, "total_rows_to_read": 0}
        summary |= {"result_rows": 0, "result_bytes": 0, "elapsed_ns": elapsed_ns} | answer.summary
        headers = {
            "X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()}),
            "X-ClickHouse-Query-Id": asked.query_id or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self.server.engine.timezone,
            "X-ClickHouse-Exception-Tag": tag,
        }
        if answer.format:
            headers["X-ClickHouse-Format"] = answer.format
        if answer.whole:
            self._whole(b"".join(answer.body), headers, asked.encoding, answer.format)
        else:
            self._stream(answer.body, headers, asked.encoding, answer.format, sent)

    def _whole(self, body: bytes, headers: dict[str, str], encoding: str | None, format: str | None) -> None:
        if encoding and len(body) >= LEAST_COMPRESSED:
            encode, finish = encoder(encoding)
            body = encode(body) + finish()
            headers["Content-Encoding"] = encoding
        self._plain(200, body, headers, format)

    def _stream(
        self, pieces: Iterator[bytes], headers: dict[str, str], encoding: str | None, format: str | None, sent: _Sent
    ) -> None:
        encode, finish = encoder(encoding) if encoding else (bytes, bytes)
        chunked = self.request_version != "HTTP/1.0"
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            self.close_connection = True
        if encoding:
            headers["Content-Encoding"] = encoding
        first = next(pieces, b"")
        self._headers(200, headers, format)

        def write(data: bytes, last: bool = False) -> None:
            out = encode(data) if data else b""
            out = out + finish() if last else out
            if out:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(out), out) if chunked else out)

        def end() -> None:
            write(b"", last=True)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")

        sent.write, sent.end = write, end
        write(first)
        for piece in pieces:
            write(piece)
        end()

    def _plain(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, format: str | None = None
    ) -> None:
        self._headers(status, {**(headers or {}), "Content-Length": str(len(body))}, format)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _headers(self, status: int, headers: Mapping[str, str], format: str | None) -> None:
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string())
        self.send_header("Server", self.server_version)
        self.send_header("X-ClickHouse-Server-Display-Name", socket.gethostname())
        self.send_header("Content-Type", content_type(format))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close" if self.close_connection else "Keep-Alive")
        self.end_headers()


class _Sent:
    """How to go on with an answer whose headers are out; `write` is None before."""

    write: Callable[[bytes], None] | None = None
    end: Callable[[], None]


def _all(body: ByteSource) -> bytes:
    parts = []
    while piece := body.read(1 << 20):
        parts.append(piece)
    return b"".join(parts)
