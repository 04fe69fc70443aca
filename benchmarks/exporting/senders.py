"""Senders of OTLP: bodies that are ready, over a few connections, each as soon as the one before is answered.

What is refused because the receiver is busy (503, UNAVAILABLE) is sent again, as exporters do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator

import grpc
import grpc.aio

from benchmarks.waiting import Late
from headrace.settings import address

CONNECTIONS = 8
"""Several processes behind an address are given connections, not exports."""
AGAIN_S = 0.2
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
# Each sender has a connection of its own, as each exporter has.
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


def over_http(url: str, bodies: Iterable[bytes], content_type: str, encoding: str = "") -> float:
    """Seconds until every body was taken. Raises Late for another answer."""
    host, port = address(url)
    left: Iterator[bytes] = iter(bodies)
    head = f"POST /v1/traces HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\n"
    head += f"Content-Encoding: {encoding}\r\n" if encoding else ""

    async def sender() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for body in left:
            while True:
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
                answer = await reader.readuntil(b"\r\n\r\n")
                lines = answer.lower().split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length")), 0)
                said = await reader.readexactly(length)
                if b" 200 " in answer[:20]:
                    break
                if b" 503 " not in answer[:20]:
                    raise Late(f"the receiver answered {answer[:40]!r} {said[:200]!r}")
                writer.close()
                await asyncio.sleep(AGAIN_S)
                reader, writer = await asyncio.open_connection(host, port)
        writer.close()

    return asyncio.run(_timed(sender))


def over_grpc(where: str, bodies: Iterable[bytes], zipped: bool = False) -> float:
    """The same over gRPC. Raises grpc.RpcError."""
    left: Iterator[bytes] = iter(bodies)
    compression = grpc.Compression.Gzip if zipped else grpc.Compression.NoCompression

    async def sender() -> None:
        async with grpc.aio.insecure_channel(where, options=OPTIONS, compression=compression) as channel:
            call = channel.unary_unary(EXPORT)
            for body in left:
                while True:
                    try:
                        await call(body)
                        break
                    except grpc.aio.AioRpcError as error:
                        if error.code() != grpc.StatusCode.UNAVAILABLE:
                            raise
                    await asyncio.sleep(AGAIN_S)

    return asyncio.run(_timed(sender))


async def _timed(sender: object) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(CONNECTIONS)))  # type: ignore[operator]
    return time.perf_counter() - began
