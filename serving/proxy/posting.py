"""POST over aiohttp's connections and by its parser, without its session.

A session does much for each request that a gateway has no use for (cookies, redirects, authentication, proxies,
middleware), which takes 60 of its 84 µs (docs/log.md). Pool, TLS, names and timeouts stay aiohttp's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import aiohttp
from aiohttp.http import HttpProcessingError

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.http_parser import RawResponseMessage
    from multidict import CIMultiDictProxy
    from yarl import URL

READ_BYTES = 64 * 1024
"""Of an answer that wait to be read; the upstream waits where more would."""


class Answer:
    """An upstream's answer, its body unread. Close it where that is not read to its end.

    headers: as they came
    content_type: without its parameters, in lower case; empty where the answer names none
    content: the body, packed as it came
    """

    def __init__(self, connection: Connection, message: RawResponseMessage, content: aiohttp.StreamReader) -> None:
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.content = content
        self._connection = connection
        # Where all of it is there already, at once.
        content.on_eof(self._ended)

    @property
    def content_length(self) -> int | None:
        """Bytes of the body, where the answer says so before it comes."""
        said = self.headers.get("content-length")
        return int(said) if said is not None and said.isdigit() else None

    async def read(self) -> bytes:
        """All of the body. Raises aiohttp.ClientError where it breaks off."""
        return await self.content.read()

    def close(self) -> None:
        """The connection is another request's where the body has been read to its end, and ends where it has not."""
        _end(self._connection)

    def _ended(self) -> None:
        # An answer that came before all of the question was sent: the rest would begin the next request.
        if _unsent(self._connection):
            _end(self._connection)
        else:
            self._connection.release()


@dataclass(frozen=True, slots=True)
class _Way:
    """To an address: what aiohttp knows a connection by, and how a request begins."""

    request: aiohttp.ClientRequest
    headers: Mapping[str, str]


class Poster:
    """Posts bodies over connections of its own, as many at once as are asked for. Made inside an event loop."""

    def __init__(self) -> None:
        self._connector = aiohttp.TCPConnector(limit=0)
        self._ways: dict[URL, _Way] = {}
        self._used = WeakSet[Any]()

    async def post(
        self, url: URL, query: str, body: bytes, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> Answer:
        """The answer, its body unread.

        Where a connection of the pool fails before anything came it was closed meanwhile, and another is taken. On a
        new one the question may have arrived, and would be computed twice.

        url: one of few, without a query
        query: as it stands behind the question mark, may be empty
        timeout: sock_connect and sock_read count
        Raises aiohttp.ClientError, TimeoutError and OSError where there is no answer, ValueError for a header of more
        than a line.
        """
        way = self._ways.get(url)
        if way is None:
            way = self._ways[url] = _way(url)
        head = _head(way, query, len(body), headers)
        while True:
            connection = await self._connector.connect(way.request, [], timeout)
            protocol = connection.protocol
            pooled = protocol in self._used
            if pooled and protocol is not None and protocol.should_close:
                # More came behind the answer before, or while nobody had asked: it would be read as this one's.
                _end(connection)
                continue
            try:
                answer = await _answer(connection, head, body, timeout.sock_read)
            except BaseException as error:
                _end(connection)
                if pooled and isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError):
                    continue
                if isinstance(error, HttpProcessingError):
                    raise aiohttp.ClientPayloadError(f"the answer is no HTTP: {error.message}") from None
                raise
            if not pooled:
                self._used.add(protocol)
            return answer

    async def close(self) -> None:
        """Give the connections back."""
        await self._connector.close()


async def _answer(connection: Connection, head: bytes, body: bytes, read_s: float | None) -> Answer:
    protocol = connection.protocol
    transport = protocol.transport if protocol is not None else None
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionResetError("the connection was closed")
    protocol.set_response_params(
        read_until_eof=True, auto_decompress=False, read_timeout=read_s, read_bufsize=READ_BYTES
    )
    transport.writelines((head, body))
    began = False
    try:
        message, content = await _first(protocol, transport, read_s)
        # 1xx come before an answer (RFC 9110, 15.2), but for the last of them, which is one.
        while 100 <= message.code < 200 and message.code != 101:
            began = True
            message, content = await protocol.read()
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        # Where part of a head came, it stands in the error instead of words.
        if began or not isinstance(getattr(error, "message", ""), str):
            raise aiohttp.ClientPayloadError("the answer broke off in its head") from None
        raise
    return Answer(connection, message, content)


async def _first(protocol: ResponseHandler, transport: asyncio.WriteTransport, read_s: float | None) -> Any:
    """What comes first. The time to read counts from the last of the question; that goes on while some of it leaves."""
    while left := transport.get_write_buffer_size():
        try:
            async with asyncio.timeout(read_s) as bound:
                return await protocol.read()
        except TimeoutError:
            if not bound.expired() or transport.get_write_buffer_size() >= left:
                raise
    protocol.start_timeout()
    return await protocol.read()


def _unsent(connection: Connection) -> int:
    """Bytes of its question that wait to be sent."""
    transport = connection.transport
    return transport.get_write_buffer_size() if transport is not None else 0


def _end(connection: Connection) -> None:
    transport = connection.transport
    if transport is not None and _unsent(connection):
        # A close would wait until the upstream has read all of it, which may be never.
        transport.abort()
    connection.close()


def _way(url: URL) -> _Way:
    request = aiohttp.ClientRequest("POST", url, loop=asyncio.get_running_loop())
    # The login of an address with one in it counts before another.
    own = {name: request.headers[name] for name in ("host", "authorization") if name in request.headers}
    return _Way(request, own)


def _head(way: _Way, query: str, size: int, headers: Mapping[str, str]) -> bytes:
    path = way.request.url.raw_path_qs
    sent = {**headers, **way.headers, "content-length": str(size)}
    lines = [f"POST {path}?{query} HTTP/1.1" if query else f"POST {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in sent.items()]
    head = "\r\n".join(lines)
    # Each but the last ends in one of both; more would be a header that somebody wrote into another's value.
    if head.count("\r") >= len(lines) or head.count("\n") >= len(lines) or "\0" in head:
        raise ValueError("a header of a request holds a line break or a NUL")
    return f"{head}\r\n\r\n".encode()
