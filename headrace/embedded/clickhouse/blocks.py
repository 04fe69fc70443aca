"""ClickHouse's compressed blocks: `compress=1` asks for them, `decompress=1` announces them.

A block is 16 bytes of checksum (CityHash128 of version 1.0.2 over what follows, high half first), 1 byte of method,
4 bytes of the compressed size with these 9 bytes of header, 4 bytes of the raw size, the data; little-endian.
Source: ClickHouse, src/Compression/CompressedReadBufferBase.cpp.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from headrace.embedded.clickhouse.body import ByteSource
from headrace.embedded.clickhouse.errors import Refused, refuse

# Raw bytes of a block that is written: the server's own size.
WRITTEN = 1 << 20
# Raw and compressed bytes of a block that is read; clients write one of 1 to 10 MiB.
LARGEST_BLOCK = 64 << 20

_LZ4 = 0x82
_CHECKSUM = struct.Struct("<QQ")
_HEADER = struct.Struct("<BII")


def blocks_encoder() -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    """Turn pieces into LZ4 blocks, and end the stream, which has no mark of its end."""

    def encode(data: bytes) -> bytes:
        return b"".join(_block(data[at : at + WRITTEN]) for at in range(0, len(data), WRITTEN))

    return encode, bytes


def _block(raw: bytes) -> bytes:
    import lz4.block

    packed: bytes = lz4.block.compress(raw, store_size=False)
    checked = _HEADER.pack(_LZ4, _HEADER.size + len(packed), len(raw)) + packed
    return checksum(checked) + checked


def checksum(checked: bytes) -> bytes:
    """The 16 bytes before a block's header and data."""
    from clickhouse_cityhash.cityhash import CityHash128

    number: int = CityHash128(checked)
    return _CHECKSUM.pack(number >> 64, number & 0xFFFFFFFFFFFFFFFF)


class Blocks:
    """The raw bytes of a body in blocks; one block is held at a time.

    Raises Refused: a damaged checksum (40), a method that is not LZ4, ZSTD or NONE (432), a block that is too large
    (307), that ends early (33) or cannot be decompressed (271).
    """

    def __init__(self, reader: ByteSource, verified: bool = True) -> None:
        self._reader = reader
        self._verified = verified
        self._raw = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        while not self._raw:
            head = self._exactly(_CHECKSUM.size, at_start=True)
            if not head:
                return b""
            self._raw = memoryview(self._next(head))
        piece, self._raw = self._raw[:size], self._raw[size:]
        return bytes(piece)

    def _next(self, wanted: bytes) -> bytes:
        header = self._exactly(_HEADER.size)
        method, packed_size, raw_size = _HEADER.unpack(header)
        if not _HEADER.size <= packed_size <= LARGEST_BLOCK or raw_size > LARGEST_BLOCK:
            raise refuse(307, "TOO_MANY_BYTES", f"A compressed block of the body is larger than {LARGEST_BLOCK} bytes")
        data = self._exactly(packed_size - _HEADER.size)
        if self._verified and checksum(header + data) != wanted:
            raise refuse(40, "CHECKSUM_DOESNT_MATCH", "Checksum doesn't match: corrupted data in the request's body")
        raw = _unpacked(method, data, raw_size)
        if len(raw) != raw_size:
            raise _damaged(f"a block has {len(raw)} bytes where its header says {raw_size}")
        return raw

    def _exactly(self, size: int, at_start: bool = False) -> bytes:
        """`size` bytes; none at all only where a block may start."""
        parts: list[bytes] = []
        left = size
        while left:
            piece = self._reader.read(left)
            if not piece:
                if at_start and left == size:
                    return b""
                raise refuse(33, "CANNOT_READ_ALL_DATA", "The request's body ends within a compressed block")
            parts.append(piece)
            left -= len(piece)
        return b"".join(parts)


def _unpacked(method: int, data: bytes, raw_size: int) -> bytes:
    import lz4.block
    import zstandard

    try:
        match method:
            case 0x02:
                return data
            case 0x82:
                found: bytes = lz4.block.decompress(data, uncompressed_size=raw_size)
                return found
            case 0x90:
                # The frame may name another size than the block: it is not believed.
                with zstandard.ZstdDecompressor(max_window_size=LARGEST_BLOCK).stream_reader(data) as frame:
                    read: bytes = frame.read(raw_size + 1)
                    return read
    except (lz4.block.LZ4BlockError, zstandard.ZstdError, MemoryError) as error:
        raise _damaged(str(error)) from None
    raise refuse(432, "UNKNOWN_CODEC", f"Unknown codec family code {method:#04x}; use LZ4, ZSTD or NONE")


def _damaged(why: str) -> Refused:
    return refuse(271, "CANNOT_DECOMPRESS", f"Cannot decompress the request's body: {why}")
