"""A front of ClickHouse that refuses the rows of some tables, as a server does that has too many parts of them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_plus

from headrace.settings import address

TOO_MANY_PARTS = 252
_INSERT = re.compile(rb"INSERT INTO\s+(?:`?\w+`?\.)?`?(\w+)`?")
_PASSED_ON = ("content-type", "content-encoding")


class Front(ThreadingHTTPServer):
    """Passes requests on to ClickHouse.

    refuses: names of the tables whose inserts are refused; changed while it runs
    refused: how many inserts were
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, clickhouse: str) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.upstream = address(clickhouse)
        self.refuses: frozenset[str] = frozenset()
        self.refused = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            self._pass_on(b"".join(pieces))
        else:
            self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _pass_on(self, body: bytes) -> None:
        statement = unquote_plus(self.path).encode() + b" " + body[:1000]
        if (found := _INSERT.search(statement)) and found[1].decode() in self.server.refuses:
            self.server.refused += 1
            text = f"Code: {TOO_MANY_PARTS}. DB::Exception: Too many parts. (TOO_MANY_PARTS)\n".encode()
            self._answer(500, [("X-ClickHouse-Exception-Code", str(TOO_MANY_PARTS))], text)
            return
        upstream = HTTPConnection(*self.server.upstream)
        try:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("host", "transfer-encoding", "content-length", "connection", "accept-encoding")
            }
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            kept = [
                (name, value)
                for name, value in answer.getheaders()
                if name.lower().startswith("x-clickhouse") or name.lower() in _PASSED_ON
            ]
            self._answer(answer.status, kept, answer.read())
        except OSError:
            # As if nothing listened: the caller connects again.
            self.close_connection = True
        finally:
            upstream.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the caller says what went wrong."""


@contextmanager
def refusing(clickhouse: str) -> Iterator[Front]:
    """A front of that ClickHouse for the length of a block; it refuses nothing until it is told to."""
    with Front(clickhouse) as front:
        thread = threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield front
        finally:
            front.shutdown()
            thread.join()
