"""How an answer is dressed: its content type and its compression."""

from __future__ import annotations

import zlib
from collections.abc import Callable

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


def encoder(encoding: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    """Compress a piece, and end the stream; levels are the fast ones."""
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
