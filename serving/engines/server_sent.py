"""Server-sent events, read with bounds."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, AsyncIterator

MAX_EVENT_BYTES = 1 << 20
MAX_STREAM_BYTES = 64 << 20


class TooLarge(ValueError):
    """An event or a stream is beyond its bound."""


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The data of each event, its lines joined. Comments and other fields are passed over; so is an event cut short.

    Raises TooLarge.
    """
    line, data, total, size = bytearray(), list[bytes](), 0, 0
    begun = after_cr = False
    async for chunk in chunks:
        total += len(chunk)
        # A line ends with \n, \r or \r\n; the last may be cut in two.
        more = chunk.removeprefix(b"\n") if after_cr else chunk
        after_cr = chunk.endswith(b"\r") if chunk else after_cr
        for piece in more.splitlines(keepends=True):
            line += piece
            if not piece.endswith((b"\r", b"\n")):
                break
            said = bytes(line.rstrip(b"\r\n"))
            line.clear()
            if not begun:
                said, begun = said.removeprefix(BOM_UTF8), True
            if said.startswith(b"data:"):
                data.append(said[5:].removeprefix(b" "))
                size += len(data[-1]) + 1
            elif not said and data:
                yield b"\n".join(data)
                data, size = [], 0
        if total > MAX_STREAM_BYTES or len(line) + size > MAX_EVENT_BYTES:
            raise TooLarge(f"more than {MAX_STREAM_BYTES >> 20} MiB, or {MAX_EVENT_BYTES >> 20} MiB in one event")
