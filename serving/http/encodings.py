"""Content encodings undone within bounds: gzip, deflate (zlib, and raw as some send it) and zstd."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

import zstandard

from serving.http.refusal import Refusal

MAX_MEMBERS = 1024
"""Gzip files or zstd frames in one body; each costs a decoder, empty ones too."""
MAX_WINDOW_BYTES = 64 * 1024 * 1024
"""Of a zstd frame: what a decoder may be made to allocate. An encoder that knows the length makes it one window."""
_FED_BYTES = {"gzip": 16 * 1024, "deflate": 16 * 1024, "zstd": 256}
"""A block of zstd takes 4 bytes and becomes 128 KiB (RFC 8878, 3.1.1.2): 256 bytes overshoot the limit by 8 MiB."""
_PADDING = re.compile(rb"\x00*")
_MEMBERS = {"gzip": "gzip files", "deflate": "deflate streams", "zstd": "zstd frames"}
_NAMES = {"x-gzip": "gzip", "zlib": "deflate", "": "identity"}
ENCODINGS = ("gzip", "zstd", "deflate", "identity")


def encoding_of(headers: Mapping[str, str]) -> str:
    """One of ENCODINGS. Raises Refusal 415."""
    said = headers.get("content-encoding", "").strip().lower()
    encoding = _NAMES.get(said, said)
    if encoding not in ENCODINGS:
        raise Refusal(415, f"the body's encoding is {said[:40]!r}; send gzip, zstd, deflate, or none")
    return encoding


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its encoding.

    Raises Refusal 413 as soon as it is more than `limit`, 400 where it is not what the encoding says or is cut off.
    A body made of several gzip files or zstd frames is one, up to MAX_MEMBERS of them; zeros behind a gzip file are
    padding. Fed in small pieces, because
    what follows the end of one is copied (the whole rest, for each of a hundred thousand empty files), and because
    zstd has no bound of its own on what a piece becomes.
    """
    if encoding == "identity":
        return body
    out, view, place = bytearray(), memoryview(body), 0
    for _ in range(MAX_MEMBERS):
        if encoding == "gzip" and place:
            padded = _PADDING.match(body, place)
            assert padded is not None
            place = padded.end()
        if place == len(view):
            return bytes(out)
        stream = _decoder(encoding, body)
        while not stream.eof:
            fed = view[place : place + _FED_BYTES[encoding]]
            if not fed:
                raise Refusal(400, f"the body is cut off: its {encoding} stream has no end")
            try:
                # Of zlib's the second argument is a bound, of zstd's there is none.
                out += stream.decompress(fed) if encoding == "zstd" else stream.decompress(fed, limit + 1 - len(out))
            except (zlib.error, zstandard.ZstdError) as error:
                raise Refusal(400, f"the body is not {encoding}: {error}") from None
            if len(out) > limit:
                raise Refusal(413, f"the body is larger than {limit} bytes when it is unzipped; send it in pieces")
            place += len(fed) - len(stream.unused_data)
    if not body[place:].strip(b"\x00"):
        return bytes(out)
    raise Refusal(413, f"the body is made of more than {MAX_MEMBERS} {_MEMBERS[encoding]}; pack it as one")


def _decoder(encoding: str, body: bytes) -> Any:
    """zlib's and zstandard's decompression objects have the same face."""
    if encoding == "zstd":
        return zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
    if encoding == "gzip":
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    # RFC 1950, 2.2: the method is 8, and the first two bytes are a multiple of 31.
    wrapped = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
