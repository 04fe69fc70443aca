"""Requests over aiohttp's connections without its session, to a server that answers byte by byte as it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from serving.proxy.posting import Poster

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=5)
OK = b"HTTP/1.1 200 OK\r\ncontent-type: Application/JSON; charset=utf-8\r\ncontent-length: 2\r\n\r\n{}"


class Wire:
    """Answers each request with the next of `answers`.

    asked: each request's head and body; connections: how many came
    reads: whether a body is read before it is answered; drops: whether the connection ends behind each answer
    """

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self.reads, self.drops = True, False
        self.url = URL()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.asked.append((head, await reader.readexactly(length) if self.reads else b""))
                writer.write(self.answers.pop(0))
                await writer.drain()
                if self.drops:
                    break
        writer.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Poster]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions")
        poster = Poster()
        try:
            yield poster
        finally:
            await poster.close()
            server.close()

    async def asks(self, poster: Poster, body: bytes = b"{}", query: str = "", **headers: str) -> tuple[int, bytes]:
        answer = await poster.post(self.url, query, body, headers, TIMEOUT)
        try:
            return answer.status, await answer.read()
        finally:
            answer.close()


async def test_a_connection_is_used_again() -> None:
    """Requests are told apart by their lengths; a query stands behind the path as it is."""
    wire = Wire(OK, OK, OK)
    async with wire.running() as poster:
        said = [await wire.asks(poster, b'{"a":1}', query, accept="*/*") for query in ("", "a=%20b&c", "")]
    assert said == [(200, b"{}")] * 3 and wire.connections == 1
    (head, body), (asked, _), _ = wire.asked
    assert head == (
        b"POST /v1/chat/completions HTTP/1.1\r\naccept: */*\r\nhost: 127.0.0.1:%d\r\ncontent-length: 7\r\n\r\n"
        % (wire.url.port or 0)
    )
    assert body == b'{"a":1}' and asked.startswith(b"POST /v1/chat/completions?a=%20b&c HTTP/1.1\r\n")


async def test_what_an_answer_says_of_its_body() -> None:
    """Its type and its length; neither where it says none."""
    wire = Wire(OK, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    async with wire.running() as poster:
        for kind, length in (("application/json", 2), ("", None)):
            answer = await poster.post(wire.url, "", b"{}", {}, TIMEOUT)
            assert (answer.content_type, answer.content_length) == (kind, length)
            assert await answer.read() == b"{}"
            answer.close()
    assert wire.connections == 1


async def test_what_comes_before_an_answer_is_none() -> None:
    """RFC 9110, 15.2: any number of 1xx may."""
    wire = Wire(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK)
    async with wire.running() as poster:
        assert await wire.asks(poster) == (200, b"{}")


async def test_a_body_without_a_length_ends_with_its_connection() -> None:
    """As HTTP/1.0 has it; the next request takes another."""
    wire = Wire(b"HTTP/1.0 200 OK\r\n\r\nfirst", OK)
    wire.drops = True
    async with wire.running() as poster:
        assert [await wire.asks(poster), await wire.asks(poster)] == [(200, b"first"), (200, b"{}")]
    assert wire.connections == 2


async def test_a_connection_with_an_unread_answer_is_not_used_again() -> None:
    """Its rest would be the next request's."""
    wire = Wire(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", OK)
    async with wire.running() as poster:
        (await poster.post(wire.url, "", b"{}", {}, TIMEOUT)).close()
        assert await wire.asks(poster) == (200, b"{}")
    assert wire.connections == 2


async def test_a_connection_with_an_unsent_question_is_not_used_again() -> None:
    """An upstream may refuse a large body before it has come; its rest would begin the next request."""
    wire = Wire(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}", OK)
    wire.reads = False
    async with wire.running() as poster:
        assert await wire.asks(poster, b"x" * (16 << 20)) == (413, b"{}")
        assert await wire.asks(poster) == (200, b"{}")
    assert wire.connections == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", aiohttp.ClientPayloadError),
        (b"", aiohttp.ServerDisconnectedError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", aiohttp.ClientPayloadError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf", aiohttp.ClientPayloadError),
    ],
)
async def test_what_is_no_answer_is_an_error(answer: bytes, error: type[Exception]) -> None:
    """And the connection is not used again."""
    wire = Wire(answer, OK)
    wire.drops = True
    async with wire.running() as poster:
        with pytest.raises(error):
            await wire.asks(poster)
        assert await wire.asks(poster) == (200, b"{}")


async def test_a_connection_that_was_closed_meanwhile_costs_nothing() -> None:
    """Another is taken; on a new one, where the question may have arrived, it is asked once."""
    wire = Wire(OK, b"", OK, b"", OK)
    async with wire.running() as poster:
        assert await wire.asks(poster) == (200, b"{}")
        wire.drops = True
        assert await wire.asks(poster) == (200, b"{}")
        assert (len(wire.asked), wire.connections) == (3, 2)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await wire.asks(poster)
        assert await wire.asks(poster) == (200, b"{}")


@pytest.mark.parametrize("part", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 103 Hints\r\n\r\n"])
async def test_a_question_that_was_being_answered_is_not_asked_again(part: bytes) -> None:
    """Also on a connection of the pool: that some of an answer came shows that it arrived."""
    wire = Wire(OK, part, OK)
    async with wire.running() as poster:
        await wire.asks(poster)
        wire.drops = True
        with pytest.raises(aiohttp.ClientPayloadError, match="broke off in its head"):
            await wire.asks(poster)
    assert len(wire.asked) == 2


@pytest.mark.parametrize("size", [2, 200_000])
async def test_what_comes_behind_an_answer_is_nobodys(size: int) -> None:
    """It would be the next one's answer."""
    first = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size
    wire = Wire(first + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nothers", OK)
    async with wire.running() as poster:
        assert await wire.asks(poster) == (200, b"x" * size)
        await asyncio.sleep(0.05)
        assert await wire.asks(poster) == (200, b"{}")
    assert wire.connections == 2


@contextlib.asynccontextmanager
async def _reading(bytes_s: float) -> AsyncIterator[tuple[URL, asyncio.Event]]:
    """A server that reads so much a second before it answers, nothing where that is 0; set: its client has gone."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            size = int((await reader.readuntil(b"\r\n\r\n")).split(b"content-length: ")[1])
            while size and bytes_s:
                size -= len(await reader.readexactly(min(size, 1 << 18)))
                await asyncio.sleep((1 << 18) / bytes_s)
            if bytes_s:
                writer.write(OK)
            while not bytes_s and not gone.is_set():
                await asyncio.sleep(0.02)
                # Only a reset reaches who does not read.
                writer.write(b" ")
                await writer.drain()
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"), gone
    finally:
        gone.set()
        server.close()


async def test_a_question_that_is_sent_slowly_is_no_slow_answer() -> None:
    """The time to read counts from its last byte."""
    poster = Poster()
    async with _reading(20 << 20) as (url, _):
        timeout = aiohttp.ClientTimeout(total=None, sock_read=0.3)
        answer = await poster.post(url, "", b"x" * (16 << 20), {}, timeout)
        assert await answer.read() == b"{}"
    await poster.close()


async def test_a_question_that_nobody_reads_is_given_up() -> None:
    """After sock_read, and its rest is not kept for whoever may read it."""
    poster = Poster()
    async with _reading(0) as (url, gone):
        with pytest.raises((TimeoutError, aiohttp.ClientError)):
            timeout = aiohttp.ClientTimeout(total=None, sock_read=0.2)
            await poster.post(url, "", b"x" * (32 << 20), {}, timeout)
        async with asyncio.timeout(2):
            await gone.wait()
    await poster.close()


async def test_an_upstream_that_says_nothing_is_given_up() -> None:
    """After sock_read, and where somebody stops waiting."""
    wire = Wire(b"", b"", OK)
    async with wire.running() as poster:
        with pytest.raises(TimeoutError):
            await poster.post(wire.url, "", b"{}", {}, aiohttp.ClientTimeout(total=None, sock_read=0.05))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await wire.asks(poster)
        assert await wire.asks(poster) == (200, b"{}")
    assert wire.connections == 3


@pytest.mark.parametrize("value", ["a\r\nx: 1", "a\nx: 1", "a\rx", "a\0"])
async def test_a_header_is_one_line(value: str) -> None:
    """Nothing is sent where a value would be more."""
    wire = Wire(OK)
    async with wire.running() as poster:
        with pytest.raises(ValueError, match="line break or a NUL"):
            await wire.asks(poster, authorization=value)
    assert not wire.asked


async def test_nobody_listens() -> None:
    """An OSError, as from the session."""
    wire = Wire()
    async with wire.running() as poster:
        url = wire.url.with_port(1)
        with pytest.raises(aiohttp.ClientConnectorError):
            await poster.post(url, "", b"{}", {}, TIMEOUT)


async def test_a_login_in_the_address_is_sent() -> None:
    """Instead of a key."""
    wire = Wire(OK)
    async with wire.running() as poster:
        wire.url = wire.url.with_user("me").with_password("secret")
        assert await wire.asks(poster, authorization="Bearer key") == (200, b"{}")
    assert b"\r\nauthorization: Basic bWU6c2VjcmV0\r\n" in wire.asked[0][0] and b"Bearer" not in wire.asked[0][0]
