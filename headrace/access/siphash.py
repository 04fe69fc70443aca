"""SipHash-2-4 (Aumasson and Bernstein, 2012), as ClickHouse's sipHash64Keyed: for what both must agree on."""

from __future__ import annotations

import hashlib
import struct

_MASK = (1 << 64) - 1
_WORD = struct.Struct("<Q")
_TWICE, _END = range(2), range(4)
"""Rounds for each word, and at the end."""


def key_of(purpose: str, secret: bytes) -> tuple[int, int]:
    """Derive a key for one purpose from a secret: two halves of 64 bits."""
    digest = hashlib.sha256(purpose.encode() + b"\x00" + secret).digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:16])


def siphash(key: tuple[int, int], data: bytes) -> int:
    """64 bits, about 10 µs for an id. key: two halves of 64 bits"""
    k0, k1 = key
    v0, v1, v2, v3 = 0x736F6D6570736575 ^ k0, 0x646F72616E646F6D ^ k1, 0x6C7967656E657261 ^ k0, 0x7465646279746573 ^ k1
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    mask = _MASK
    for word, rounds in [*((word, _TWICE) for (word,) in _WORD.iter_unpack(padded)), (0, _END)]:
        if rounds is _END:
            v2 ^= 255
        v3 ^= word
        for _ in rounds:
            v0 = (v0 + v1) & mask
            v1 = ((v1 << 13 | v1 >> 51) & mask) ^ v0
            v0 = (v0 << 32 | v0 >> 32) & mask
            v2 = (v2 + v3) & mask
            v3 = ((v3 << 16 | v3 >> 48) & mask) ^ v2
            v0 = (v0 + v3) & mask
            v3 = ((v3 << 21 | v3 >> 43) & mask) ^ v0
            v2 = (v2 + v1) & mask
            v1 = ((v1 << 17 | v1 >> 47) & mask) ^ v2
            v2 = (v2 << 32 | v2 >> 32) & mask
        v0 ^= word
    return v0 ^ v1 ^ v2 ^ v3
