"""A gateway without Kafka as a process of its own: behind the server of `python -m serving`, over a bus in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from stage import gateway, plan_text

from headrace.access.keys import make
from headrace.access.roles import Role
from headrace.embedded.server import free_port
from headrace.process.child import PARENT_DEATH
from serving.__main__ import server_of
from serving.http.capacity import Bounds


async def serve(home: Path, port: int, bounds: Bounds, limits: str) -> None:
    """Until the process is killed."""
    async with gateway(plan_text(), home, limits=limits, bounds=bounds) as stage:
        await server_of(stage.service.app, "127.0.0.1", port).serve()


@dataclass(frozen=True, slots=True)
class Bare:
    """A running one.

    acme, globex: the header of a key of each of the two tenants
    """

    port: int
    pid: int
    acme: str
    globex: str

    async def open(self, *headers: str, path: str = "/v1/events") -> Connection:
        """A connection on which a request has begun."""
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self.port))
        await connection.send(
            f"POST {path} HTTP/1.1\r\nHost: x\r\n" + "".join(f"{one}\r\n" for one in headers) + "\r\n"
        )
        return connection

    async def ask(self, *headers: str, body: bytes = b"", path: str = "/v1/events") -> Reply:
        """What a whole request is answered."""
        connection = await self.open(*headers, path=path)
        await connection.send(body)
        return await connection.reply()

    async def push(self, pieces: Iterable[bytes]) -> bytes:
        """The answer to a sender that writes without looking up until it is done or cut off."""
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                for piece in pieces:
                    await loop.sock_sendall(sock, piece)
            return await asyncio.wait_for(loop.sock_recv(sock, 65_536), 20)

    def resident_mb(self) -> int:
        """Memory that it has, MiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    head: str
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection, spoken to byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def reply(self, within_s: float = 20.0) -> Reply:
        """The answer."""
        began = time.monotonic()
        async with asyncio.timeout(within_s):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
            body = await self.reader.readexactly(length)
        return Reply(int(head.split()[1]), head, body, time.monotonic() - began)

    def close(self) -> None:
        self.writer.close()


def _key(home: Path, tenant: str) -> str:
    _, text = make(home / "keys.json", tenant, tenant, frozenset({Role.INGEST}), "test")
    return f"Authorization: Bearer {text.get_secret_value()}"


@contextlib.asynccontextmanager
async def running(home: Path, limits: str = "", **bounds: Any) -> AsyncIterator[Bare]:
    """A process with these bounds, for the length of a block."""
    acme, globex = (_key(home, tenant) for tenant in ("acme", "globex"))
    port = free_port()
    wrapper = [sys.executable, "-I", "-S", str(PARENT_DEATH), str(os.getpid())]
    argv = [*wrapper, sys.executable, __file__, str(home), str(port), json.dumps(bounds), limits]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = await asyncio.create_subprocess_exec(*argv, env=env)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(60):
            while True:
                assert process.returncode is None
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("/healthz")).status_code == 200:
                        break
                await asyncio.sleep(0.02)
        yield Bare(port, process.pid, acme, globex)
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    home, port, bounds, limits = sys.argv[1:]
    asyncio.run(serve(Path(home), int(port), Bounds(**json.loads(bounds)), limits))
