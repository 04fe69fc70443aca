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

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return _HEADER.size + len(self.body)


def encode(frames: Iterable[Frame]) -> bytes:
    """Frames as what is appended at once."""
    parts: list[bytes] = []
    for kind, bucket, events, counted, body in frames:
        header = _HEADER.pack(0, len(body), kind, bucket, events, counted)[_CHECKED:]
        parts += zlib.crc32(body, zlib.crc32(header)).to_bytes(_CHECKED, "little"), header, body
    return b"".join(parts)


def decode(data: bytes) -> Iterator[tuple[Frame, bool]]:
    """Frames in order, each with whether it is whole; one that is damaged is passed by its length.

    Ends at a damaged one whose length leads neither to a whole one nor to the end: it is cut off, or its length is
    damaged. A wrong length may lead into an event, and no frame is found there: JSON has no byte that could be a kind.
    """
    at = 0
    damaged: list[Frame] = []
    while at + _HEADER.size <= len(data):
        checksum, size, kind, bucket, events, counted = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + size
        if end > len(data):
            return
        frame = Frame(kind, bucket, events, counted, data[at + _HEADER.size : end])
        whole = zlib.crc32(frame.body, zlib.crc32(data[at + _CHECKED : at + _HEADER.size])) == checksum
        if whole and kind < len(KINDS):
            yield from ((one, False) for one in damaged)
            damaged = []
            yield frame, True
        elif size:
            damaged.append(frame)
        else:
            # What a power cut leaves: zeros.
            return
        at = end
    if at == len(data):
        yield from ((one, False) for one in damaged)
