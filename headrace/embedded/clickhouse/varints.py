"""Whole numbers in LEB128, and texts with their length before them, as ClickHouse writes them."""

from __future__ import annotations


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in LEB128, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at


def text(data: bytes, at: int) -> tuple[str, int]:
    """A text with its length before it, and where it ends."""
    length, at = varint(data, at)
    return data[at : at + length].decode("utf-8", "surrogateescape"), at + length
