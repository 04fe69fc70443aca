"""An answer on its connection: the headers, the body whole or in chunks, an error before it or behind its rows."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler

from headrace.embedded.clickhouse.errors import Refused
from headrace.embedded.clickhouse.execute import StatementResult
from headrace.embedded.clickhouse.reply import Dress, content_type

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SUMMARY = ("read_rows", "read_bytes", "written_rows", "written_bytes", "total_rows_to_read", "result_rows",
            "result_bytes", "elapsed_ns")  # fmt: skip


class Sent:
    """How to break off an answer whose headers are out, with last bytes; None before."""

    break_off: Callable[[bytes], None] | None = None


class Answering(BaseHTTPRequestHandler):
    """The half of a connection's handler that writes."""

    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse"
    sys_version = ""
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    close_connection: bool
    # Of the request that is being answered, as far as it is known.
    _dress = Dress()
    _query_id = ""

    def _give(self, result: StatementResult, elapsed_ns: int, timezone: str, tag: str, sent: Sent) -> None:
        """A statement's result; tag: marks an error that comes behind its first rows."""
        summary = dict.fromkeys(_SUMMARY, 0) | {"elapsed_ns": elapsed_ns} | result.summary
        headers = {
            "X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()}),
            "X-ClickHouse-Timezone": timezone,
            "X-ClickHouse-Exception-Tag": tag,
        }
        if result.format:
            headers["X-ClickHouse-Format"] = result.format
        if result.whole:
            self._whole(200, b"".join(result.body), headers, result.format)
        else:
            self._stream(result.body, headers, result.format, sent)

    def _whole(self, status: int, body: bytes, headers: dict[str, str], format: str | None = None) -> None:
        packed, encoding = self._dress.whole(body)
        if encoding:
            headers["Content-Encoding"] = encoding
        self._plain(status, packed, headers, format)

    def _stream(self, pieces: Iterator[bytes], headers: dict[str, str], format: str | None, sent: Sent) -> None:
        encode, finish = self._dress.stream()
        chunked = self.request_version != "HTTP/1.0"
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            self.close_connection = True
        if self._dress.encoding:
            headers["Content-Encoding"] = self._dress.encoding
        first = next(pieces, b"")
        self._headers(200, headers, format)
        if self.command == "HEAD":
            return

        def write(data: bytes, last: bool = False) -> None:
            out = encode(data) if data else b""
            out = out + finish() if last else out
            if out:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(out), out) if chunked else out)

        sent.break_off = partial(write, last=True)
        write(first)
        for piece in pieces:
            write(piece)
        write(b"", last=True)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _fail(self, error: Refused, version: str, tag: str = "", sent: Sent | None = None) -> None:
        """An error: by status and code or, behind rows, between marks that clients know.

        As a server's, the broken answer has no last chunk: who does not know the marks sees that it is not complete.
        """
        text = f"{error.text}\n" if "(version " in error.text else f"{error.text} (version {version})\n"
        if sent is None or sent.break_off is None:
            self._whole(error.status, text.encode(), {"X-ClickHouse-Exception-Code": str(error.code)})
            return
        message = text.encode()
        mark = f"__exception__\r\n{tag}\r\n".encode()
        sent.break_off(b"\r\n" + mark + message + f"{len(message)} {tag}\r\n__exception__\r\n".encode())
        self.close_connection = True

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
        if self._query_id:
            self.send_header("X-ClickHouse-Query-Id", _as_header(self._query_id))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close" if self.close_connection else "Keep-Alive")
        self.end_headers()


def _as_header(value: str) -> str:
    """A client's text as a header's value: UTF-8, and no line's end in it."""
    return _CONTROL.sub("?", value).encode("utf-8", "surrogateescape").decode("latin-1")
