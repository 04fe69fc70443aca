"""The body of a request as it comes, within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from serving.http.capacity import MIB
from serving.http.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Sizes:
    """What one body may have, in bytes: as sent, and without its encoding."""

    sent: int
    unpacked: int


EVENTS = Sizes(4 * MIB, 8 * MIB)
EXPORTS = Sizes(64 * MIB, 64 * MIB)
"""Of OpenTelemetry: an exporter packs thousands of spans with all their texts, and does not split what is refused."""


CALLS = Sizes(32 * MIB, 32 * MIB)
"""Of OpenAI's API: conversations with images in them."""


async def pieces_of(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Refusal: 413 without reading what is too much, 400 where the sender left."""
    declared = request.headers.get("content-length", "0")
    left = limit
    if declared.isdigit() and int(declared) <= limit:
        try:
            async for piece in request.stream():
                left -= len(piece)
                if left < 0:
                    break
                yield piece
            else:
                return
        except ClientDisconnect:
            raise Refusal(400, "the body is cut off: the connection ended before it") from None
    raise Refusal(413, f"the body is larger than {limit} bytes; send it in pieces")
