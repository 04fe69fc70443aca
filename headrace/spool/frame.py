"""One append as bytes: a length, a checksum, events."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from headrace.spool.tally import KINDS

MAGIC = b"headrace.spool.1"
"""How a segment begins."""

# Checksum of everything after it, bytes of the body; kind, bucket, events, how many of them are counted.
_HEADER = struct.Struct("<IIBxHHH")
_CHECKED = 4


class Frame(NamedTuple):
    """Events of one kind and bucket.

    kind: index into KINDS
    bucket: frames of one kind and bucket keep their order
    events: how many; counted: how many of them their emitter had not counted before
    body: JSON objects, joined by commas
    """

    kind: int
    bucket: int
    events: int
    counted: int
    body: bytes


def encode(frames: Iterable[Frame]) -> bytes:
    """Frames as what is appended at once."""
    parts: list[bytes] = []
    for kind, bucket, events, counted, body in frames:
        header = _HEADER.pack(0, len(body), kind, bucket, events, counted)[_CHECKED:]
        parts += zlib.crc32(body, zlib.crc32(header)).to_bytes(_CHECKED, "little"), header, body
    return b"".join(parts)


def decode(data: bytes) -> Iterator[tuple[Frame, int]]:
    """Whole frames, each with the place where it ends; stops at the first that is cut off or damaged."""
    at = 0
    while at + _HEADER.size <= len(data):
        checksum, size, kind, bucket, events, counted = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + size
        if end > len(data):
            return
        if kind >= len(KINDS):
            return
        body = data[at + _HEADER.size : end]
        if zlib.crc32(body, zlib.crc32(data[at + _CHECKED : at + _HEADER.size])) != checksum:
            return
        yield Frame(kind, bucket, events, counted, body), end
        at = end
