"""The Native format as a client's version of the protocol has it (`client_protocol_version`).

The engine writes it for version 0. A later one has information about the block before it, the time zone in the type of
a DateTime, and a byte behind each type that says whether the column is written in a way of its own (never, here).
Source: ClickHouse, src/Formats/NativeWriter.cpp and src/Core/BlockInfo.cpp. Data that a client sends is in version 0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from headrace.embedded.clickhouse.columns import end
from headrace.embedded.clickhouse.errors import refuse
from headrace.embedded.clickhouse.varints import text, varint

WITH_TIME_ZONES = 54337
WITH_CUSTOM_SERIALIZATION = 54454
WITH_OUT_OF_ORDER_BUCKETS = 54480

# Fields by number: no overflow row, no bucket, and in later versions no list of buckets; 0 ends them.
_INFO = b"\x01\x00\x02\xff\xff\xff\xff"
_DATE_TIME = b"\x08DateTime"


def may_lack_a_zone(block: bytes) -> bool:
    """Whether a column may be a DateTime whose zone the engine left out."""
    return _DATE_TIME in block


def versioned(blocks: bytes, revision: int, types: Sequence[str] = ()) -> bytes:
    """Blocks of the engine as this version of the protocol has them.

    types: of the columns, with their zones; empty where the blocks' own are right
    Raises Refused (48) for a column whose end cannot be told.
    """
    if revision <= 0:
        return blocks
    info = _INFO + (b"\x03\x00" if revision >= WITH_OUT_OF_ORDER_BUCKETS else b"") + b"\x00"
    custom = b"\x00" if revision >= WITH_CUSTOM_SERIALIZATION else b""
    out: list[bytes] = []
    at = 0
    try:
        while at < len(blocks):
            out.append(info)
            at = _block(blocks, at, custom, types, out.append)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise refuse(48, "NOT_IMPLEMENTED", f"A Native block could not be read: {error}") from None
    return b"".join(out)


def single(block: bytes, revision: int) -> bytes | None:
    """As `versioned`, of one block, where nothing has to be looked for in it; else None."""
    if revision >= WITH_CUSTOM_SERIALIZATION or may_lack_a_zone(block) or not block:
        return None
    return _INFO + b"\x00" + block


def _block(blocks: bytes, at: int, custom: bytes, types: Sequence[str], write: Callable[[bytes], None]) -> int:
    start = at
    columns, at = varint(blocks, at)
    rows, at = varint(blocks, at)
    write(blocks[start:at])
    for number in range(columns):
        start = at
        _, at = text(blocks, at)
        write(blocks[start:at])
        start = at
        type, at = text(blocks, at)
        write(_text(types[number]) if type == "DateTime" and len(types) == columns else blocks[start:at])
        write(custom)
        start = at
        at = end(blocks, at, rows, type)
        if at > len(blocks):
            raise IndexError(f"column {number} of type {type} goes beyond it")
        write(blocks[start:at])
    return at


def _text(name: str) -> bytes:
    data = name.encode("utf-8", "surrogateescape")
    length, out = len(data), b""
    while length >= 0x80:
        out += bytes([length & 0x7F | 0x80])
        length >>= 7
    return out + bytes([length]) + data
