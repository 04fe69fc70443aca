"""The body of a request: read within bounds, unzipped within bounds."""

from __future__ import annotations

import asyncio
import zlib

from starlette.requests import Request

from serving.refusal import Refusal

MAX_BODY_BYTES = 4 * 1024 * 1024
"""As sent."""
MAX_UNZIPPED_BYTES = 8 * 1024 * 1024
IN_THREAD_BYTES = 64 * 1024
"""Larger ones are unzipped on a thread: questions must not wait behind them."""
_GZIP = 16 + zlib.MAX_WBITS


async def body_of(request: Request) -> bytes:
    """The body, unzipped. Raises Refusal: 413 without reading what is too much, 415 for another encoding, 400."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity", ""):
        raise Refusal(415, f"the body's encoding is {encoding[:40]!r}; send gzip, or none")
    body = await _read(request)
    if encoding != "gzip":
        return body
    return unzipped(body) if len(body) <= IN_THREAD_BYTES else await asyncio.to_thread(unzipped, body)


def unzipped(body: bytes, limit: int = MAX_UNZIPPED_BYTES) -> bytes:
    """What gzip packed. Raises Refusal 413 as soon as it is more than `limit`, 400 where it is not gzip or cut off."""
    out = bytearray()
    while body:
        stream = zlib.decompressobj(_GZIP)
        try:
            out += stream.decompress(body, limit + 1 - len(out))
        except zlib.error as error:
            raise Refusal(400, f"the body is not gzip: {error}") from None
        if len(out) > limit:
            raise Refusal(413, f"the body is larger than {limit} bytes when it is unzipped; send it in pieces")
        if not stream.eof:
            raise Refusal(400, "the body is cut off: its gzip stream has no end")
        # A file made of several gzip files is one.
        body = stream.unused_data
    return bytes(out)


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    body = bytearray()
    if declared.isdigit() and int(declared) <= MAX_BODY_BYTES:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                break
        else:
            return bytes(body)
    raise Refusal(413, f"the body is larger than {MAX_BODY_BYTES} bytes; send it in pieces")
