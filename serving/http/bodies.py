"""The body of a request: its pieces within bounds, unzipped within bounds."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from serving.http.refusal import Refusal

MAX_BODY_BYTES = 4 * 1024 * 1024
"""As sent."""
MAX_UNZIPPED_BYTES = 8 * 1024 * 1024
MAX_MEMBERS = 1024
"""Gzip files in one body; each costs a decoder, empty ones too."""
_FED_BYTES = 16 * 1024
_GZIP = 16 + zlib.MAX_WBITS


def encoding_of(request: Request) -> str:
    """gzip or identity. Raises Refusal 415."""
    encoding = request.headers.get("content-encoding", "").strip().lower() or "identity"
    if encoding not in ("gzip", "identity"):
        raise Refusal(415, f"the body's encoding is {encoding[:40]!r}; send gzip, or none")
    return encoding


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Refusal: 413 without reading what is too much, 400 where the sender left."""
    declared = request.headers.get("content-length", "0")
    left = MAX_BODY_BYTES
    if declared.isdigit() and int(declared) <= MAX_BODY_BYTES:
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
    raise Refusal(413, f"the body is larger than {MAX_BODY_BYTES} bytes; send it in pieces")


def unzipped(body: bytes, limit: int = MAX_UNZIPPED_BYTES) -> bytes:
    """What gzip packed. Raises Refusal 413 as soon as it is more than `limit`, 400 where it is not gzip or cut off.

    A body made of several gzip files is one, up to MAX_MEMBERS of them. Fed in small pieces, because a decoder copies
    what follows its end: the whole rest, for each of a hundred thousand empty files.
    """
    out, view, place = bytearray(), memoryview(body), 0
    for _ in range(MAX_MEMBERS):
        if place == len(view):
            return bytes(out)
        stream = zlib.decompressobj(_GZIP)
        while not stream.eof:
            fed = view[place : place + _FED_BYTES]
            if not fed:
                raise Refusal(400, "the body is cut off: its gzip stream has no end")
            try:
                out += stream.decompress(fed, limit + 1 - len(out))
            except zlib.error as error:
                raise Refusal(400, f"the body is not gzip: {error}") from None
            if len(out) > limit:
                raise Refusal(413, f"the body is larger than {limit} bytes when it is unzipped; send it in pieces")
            place += len(fed) - len(stream.unused_data)
    if place == len(view):
        return bytes(out)
    raise Refusal(413, f"the body is made of more than {MAX_MEMBERS} gzip files; pack it as one")
