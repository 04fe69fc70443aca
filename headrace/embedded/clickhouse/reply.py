"""How an answer is dressed: its content type and its compression."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from headrace.embedded.clickhouse.blocks import blocks_encoder

# Smaller answers are sent as they are: compressing them costs more than it saves.
LEAST_COMPRESSED = 4096

Encode = Callable[[bytes], bytes]
Finish = Callable[[], bytes]

_CONTENT_TYPES = {
    "json": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "native": "application/octet-stream",
    "rowbinary": "application/octet-stream",
    "parquet": "application/octet-stream",
    "arrow": "application/octet-stream",
    "arrowstream": "application/octet-stream",
}


def content_type(format: str | None) -> str:
    """As ClickHouse's output formats name themselves."""
    return _CONTENT_TYPES.get((format or "").lower(), "text/plain; charset=UTF-8")


@dataclass(frozen=True, slots=True)
class Dress:
    """How an answer is compressed, an error too.

    blocks: in ClickHouse's own blocks (`compress=1`)
    encoding: its Content-Encoding, around the blocks where there are any
    """

    blocks: bool = False
    encoding: str | None = None

    def whole(self, body: bytes) -> tuple[bytes, str | None]:
        """The body and the encoding that it got: a small one gets none."""
        packed = blocks_encoder()[0](body) if self.blocks else body
        if self.encoding is None or len(packed) < LEAST_COMPRESSED:
            return packed, None
        encode, finish = _encoder(self.encoding)
        return encode(packed) + finish(), self.encoding

    def stream(self) -> tuple[Encode, Finish]:
        """Compress a piece, and end the stream."""
        encode, finish = _encoder(self.encoding) if self.encoding else (bytes, bytes)
        if not self.blocks:
            return encode, finish
        pack, _ = blocks_encoder()
        return (lambda data: encode(pack(data))), finish


def _encoder(encoding: str) -> tuple[Encode, Finish]:
    """Levels are the fast ones."""
    match encoding:
        case "gzip" | "deflate":
            deflate = zlib.compressobj(1, wbits=31 if encoding == "gzip" else 15)
            return deflate.compress, deflate.flush
        case "zstd":
            import zstandard

            zstd = zstandard.ZstdCompressor(level=1).compressobj()
            return zstd.compress, zstd.flush
        case "br":
            import brotli

            br = brotli.Compressor(quality=1)
            return br.process, br.finish
        case _:
            import lz4.frame

            frame = lz4.frame.LZ4FrameCompressor()
            head = [frame.begin()]
            return (lambda data: (head.pop() if head else b"") + frame.compress(data)), frame.flush
