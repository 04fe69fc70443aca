"""Server-sent events, read with bounds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

MAX_EVENT_BYTES = 1 << 20
MAX_STREAM_BYTES = 64 << 20


class TooLarge(ValueError):
    """An event or a stream is beyond its bound."""


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The data of each event, its lines joined. Comments and other fields are passed over; so is an event cut short.

    Raises TooLarge.
    """
    rest, data, total = bytearray(), list[bytes](), 0
    async for chunk in chunks:
        total += len(chunk)
        rest += chunk
        *lines, last = rest.split(b"\n")
        rest = bytearray(last)
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data.append(bytes(line[5:].removeprefix(b" ")))
            elif not line and data:
                yield b"\n".join(data)
                data = []
        if total > MAX_STREAM_BYTES or len(rest) + sum(map(len, data)) > MAX_EVENT_BYTES:
            raise TooLarge(f"more than {MAX_STREAM_BYTES >> 20} MiB, or {MAX_EVENT_BYTES >> 20} MiB in one event")
