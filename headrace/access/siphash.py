"""SipHash-2-4 (Aumasson and Bernstein, 2012), as ClickHouse's sipHash64Keyed: for what both must agree on."""

from __future__ import annotations

import hashlib

_MASK = (1 << 64) - 1


def key_of(purpose: str, secret: bytes) -> tuple[int, int]:
    """Derive a key for one purpose from a secret: two halves of 64 bits."""
    digest = hashlib.sha256(purpose.encode() + b"\x00" + secret).digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:16])


def siphash(key: tuple[int, int], data: bytes) -> int:
    """64 bits, about 10 µs for an id. key: two halves of 64 bits."""
    k0, k1 = key
    v0, v1, v2, v3 = 0x736F6D6570736575 ^ k0, 0x646F72616E646F6D ^ k1, 0x6C7967656E657261 ^ k0, 0x7465646279746573 ^ k1
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v0, v1, v2, v3 = _rounds(2, v0, v1, v2, v3 ^ word)
        v0 ^= word
    v0, v1, v2, v3 = _rounds(4, v0, v1, v2 ^ 255, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _rounds(count: int, v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    for _ in range(count):
        v0 = (v0 + v1) & _MASK
        v1 = ((v1 << 13 | v1 >> 51) & _MASK) ^ v0
        v0 = (v0 << 32 | v0 >> 32) & _MASK
        v2 = (v2 + v3) & _MASK
        v3 = ((v3 << 16 | v3 >> 48) & _MASK) ^ v2
        v0 = (v0 + v3) & _MASK
        v3 = ((v3 << 21 | v3 >> 43) & _MASK) ^ v0
        v2 = (v2 + v1) & _MASK
        v1 = ((v1 << 17 | v1 >> 47) & _MASK) ^ v2
        v2 = (v2 << 32 | v2 >> 32) & _MASK
    return v0, v1, v2, v3
