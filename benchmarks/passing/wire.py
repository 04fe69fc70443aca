"""A client that costs next to nothing: requests are bytes made before, and of answers it looks for the end alone."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from typing import cast

IN_FLIGHT_S = 30.0
KEY = f"sk-{secrets.token_hex(24)}"
"""The API key that a client shows where nobody made one; LiteLLM does not start without one."""


@dataclass(slots=True)
class Taken:
    """What requests took, milliseconds: until the first byte of an answer's body, and until its end."""

    first_ms: list[float] = field(default_factory=list)
    whole_ms: list[float] = field(default_factory=list)
    failed: int = 0


class Connection(asyncio.Protocol):
    """One connection to a gateway; one request at a time."""

    def __init__(self) -> None:
        self._got, self._done = b"", None  # type: bytes, asyncio.Future[tuple[float, bool]] | None
        self._first, self.closed = 0.0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def ask(self, request: bytes) -> asyncio.Future[tuple[float, bool]]:
        """When the first byte of the body came, and whether the status was 200."""
        self._got, self._first = b"", 0.0
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0 or self._done is None:
            return
        head = self._got[:end].lower()
        if not self._first and len(self._got) > end + 4:
            self._first = time.perf_counter()
        place = head.find(b"content-length:")
        if place >= 0:
            length = int(head[place + 15 :].split(b"\r\n", 1)[0])
            over = len(self._got) >= end + 4 + length
        else:
            over = self._got.endswith(b"0\r\n\r\n")
        if over:
            done, self._done = self._done, None
            if not done.done():
                done.set_result((self._first or time.perf_counter(), head.startswith(b"http/1.1 200")))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._done is not None and not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def close(self) -> None:
        self._transport.close()


class Client:
    """Connections to one address, as many as are needed. key: the API key that its requests show"""

    def __init__(self, port: int, body: bytes, key: str = KEY, path: str = "/v1/chat/completions") -> None:
        self._port, self._idle = port, deque[Connection]()
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        self._request = f"{head}authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body

    async def ask(self, taken: Taken) -> None:
        """One request."""
        began = time.perf_counter()
        try:
            while self._idle and self._idle[0].closed:  # by the server, which waits for so long and no longer
                self._idle.popleft()
            connection = self._idle.popleft() if self._idle else await self._open()
            async with asyncio.timeout(IN_FLIGHT_S):
                first, well = await connection.ask(self._request)
        except (OSError, TimeoutError):
            taken.failed += 1
            return
        now = time.perf_counter()
        self._idle.append(connection)
        if not well:
            taken.failed += 1
            return
        taken.first_ms.append((first - began) * 1000)
        taken.whole_ms.append((now - began) * 1000)

    async def open_loop(self, rate: float, seconds: float) -> Taken:
        """Each request begins when it is due, whether others were answered or not."""
        taken, began = Taken(), time.perf_counter()
        asked: set[asyncio.Task[None]] = set()
        for number in range(int(rate * seconds)):
            if (wait := began + number / rate - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            asked.add(task := asyncio.create_task(self.ask(taken)))
            task.add_done_callback(asked.discard)
        await asyncio.gather(*asked)
        return taken

    async def closed_loop(self, connections: int, seconds: float) -> tuple[Taken, float]:
        """Each connection asks again as soon as it is answered; also the requests a second."""
        taken, began = Taken(), time.perf_counter()

        async def again() -> None:
            while time.perf_counter() - began < seconds:
                await self.ask(taken)

        await asyncio.gather(*(again() for _ in range(connections)))
        return taken, len(taken.whole_ms) / (time.perf_counter() - began)

    def close(self) -> None:
        """Every connection."""
        while self._idle:
            self._idle.popleft().close()

    async def _open(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        return connection
