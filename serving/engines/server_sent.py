"""Server-sent events, read with bounds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from headrace.contract.framing import MARK

MAX_EVENT_BYTES = 1 << 20
MAX_STREAM_BYTES = 64 << 20


class TooLarge(ValueError):
    """An event or a stream is beyond its bound."""


class Lines:
    """Lines out of bytes as they come: they end with LF, CR or both (HTML, 9.2.5), and a byte order mark before the
    first is read past.

    rest: of a line whose end has not come
    """

    def __init__(self) -> None:
        self.rest = bytearray()
        self._begun = self._after_cr = False

    def ended_by(self, chunk: bytes) -> list[bytes]:
        """The lines that end in the next bytes, without their ends."""
        if not chunk:
            return []
        # The LF of an end that was cut in two.
        more = chunk.removeprefix(b"\n") if self._after_cr else chunk
        self._after_cr = chunk.endswith(b"\r")
        self.rest += more
        if b"\n" not in more and b"\r" not in more:
            return []
        lines = self.rest.splitlines(keepends=True)
        self.rest = bytearray() if lines[-1].endswith((b"\r", b"\n")) else lines.pop()
        found = [bytes(line.rstrip(b"\r\n")) for line in lines]
        if not self._begun:
            self._begun, found[0] = True, found[0].removeprefix(MARK)
        return found


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The data of each event, its lines joined. Comments and other fields are passed over; so is an event cut short.

    Raises TooLarge.
    """
    lines, data, total, size = Lines(), list[bytes](), 0, 0
    async for chunk in chunks:
        total += len(chunk)
        for said in lines.ended_by(chunk):
            if said.startswith(b"data:"):
                data.append(said[5:].removeprefix(b" "))
                size += len(data[-1]) + 1
            elif not said and data:
                yield b"\n".join(data)
                data, size = [], 0
        if total > MAX_STREAM_BYTES or len(lines.rest) + size > MAX_EVENT_BYTES:
            raise TooLarge(f"more than {MAX_STREAM_BYTES >> 20} MiB, or {MAX_EVENT_BYTES >> 20} MiB in one event")
