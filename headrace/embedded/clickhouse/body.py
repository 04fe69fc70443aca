"""A request's body as bytes: chunked or of known length, compressed or not, bounded, never whole in memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from headrace.embedded.clickhouse.errors import refuse

PIECE = 1 << 20


class ByteSource(Protocol):
    """What gives bytes in order; b"" at the end."""

    def read(self, size: int, /) -> bytes: ...


class Wire(io.RawIOBase):
    """The body on the wire, by Content-Length or by chunks (RFC 9112, 7.1); stops at its end.

    length: bytes, None when the body is chunked
    """

    def __init__(self, connection: BinaryIO, length: int | None) -> None:
        self._connection = connection
        self._chunked = length is None
        self._left = length or 0
        self._ended = length == 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def read(self, size: int = -1) -> bytes:
        if self._ended:
            return b""
        if self._chunked and not self._left:
            self._next_chunk()
            if self._ended:
                return b""
        piece = self._connection.read(min(size if size >= 0 else PIECE, self._left))
        if not piece:
            raise ConnectionError("the client left before its body was complete")
        self._left -= len(piece)
        if not self._left:
            if self._chunked:
                self._connection.readline(64)
            else:
                self._ended = True
        return piece

    def _next_chunk(self) -> None:
        line = self._connection.readline(1024)
        try:
            self._left = int(line.split(b";")[0].strip(), 16)
            if self._left < 0:
                raise ValueError
        except ValueError:
            raise ConnectionError(f"a chunk starts with {line[:20]!r}, which is not a length") from None
        if self._left == 0:
            while self._connection.readline(65536) not in (b"\r\n", b"\n", b""):
                pass
            self._ended = True

    def drain(self, limit: int) -> bool:
        """Read on to the end so that the connection can be used again; False when more than `limit` bytes were left."""
        while limit > 0:
            piece = self.read(PIECE)
            if not piece:
                return True
            limit -= len(piece)
        return False


class Bounded:
    """Refuses with ClickHouse's 307 (TOO_MANY_BYTES) what grows beyond the limit."""

    def __init__(self, reader: ByteSource, limit: int) -> None:
        self._reader = reader
        self._limit = limit
        self._seen = 0

    def read(self, size: int, /) -> bytes:
        piece = self._reader.read(size)
        self._seen += len(piece)
        if self._seen > self._limit:
            raise refuse(307, "TOO_MANY_BYTES", f"The request's body is larger than {self._limit} bytes")
        return piece


class _Deflate:
    """zlib streams, and the raw deflate that some clients send under the same name."""

    def __init__(self, reader: ByteSource) -> None:
        self._reader = reader
        self._decoder: zlib._Decompress | None = None
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        while True:
            piece = self._rest or self._reader.read(1 << 16)
            if self._decoder is None:
                raw = bool(piece) and (piece[0] & 0x0F) != 8
                self._decoder = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS)
            out = self._decoder.decompress(piece, size)
            self._rest = self._decoder.unconsumed_tail
            if out or not piece:
                return out


class _Brotli:
    def __init__(self, reader: ByteSource) -> None:
        import brotli

        self._reader = reader
        self._decoder = brotli.Decompressor()

    def read(self, size: int, /) -> bytes:
        while not self._decoder.is_finished():
            piece = b"" if not self._decoder.can_accept_more_data() else self._reader.read(1 << 16)
            out: bytes = self._decoder.process(piece, output_buffer_limit=size)
            if out:
                return out
            if not piece and self._decoder.can_accept_more_data():
                raise EOFError("the brotli stream ends too early")
        return b""


def decoded(wire: Wire, encoding: str) -> ByteSource:
    """The body without its Content-Encoding. Raises Refused (48) for one that is not known."""
    buffered = io.BufferedReader(wire, 1 << 16)
    match encoding.strip().lower():
        case "" | "identity":
            return wire
        case "gzip" | "x-gzip":
            return gzip.GzipFile(fileobj=buffered, mode="rb")
        case "deflate":
            return _Deflate(buffered)
        case "br":
            return _Brotli(buffered)
        case "zstd":
            import zstandard

            reader: ByteSource = zstandard.ZstdDecompressor().stream_reader(buffered, read_across_frames=True)
            return reader
        case "lz4":
            import lz4.frame

            frames: ByteSource = lz4.frame.LZ4FrameFile(buffered, mode="rb")
            return frames
        case "xz":
            return lzma.LZMAFile(buffered)
        case "bz2":
            return bz2.BZ2File(buffered)
        case other:
            raise refuse(48, "NOT_IMPLEMENTED", f"Content-Encoding {other!r} is unknown; use gzip, br, zstd, lz4")


def pieces(reader: ByteSource, first: bytes = b"") -> Iterator[bytes]:
    """The bytes in large pieces: each one costs the engine a hand-over. Raises Refused (354) for a damaged body."""
    held = [first] if first else []
    size = len(first)
    while True:
        piece = read_piece(reader)
        if piece:
            held.append(piece)
            size += len(piece)
        if held and (not piece or size >= PIECE):
            yield b"".join(held)
            held, size = [], 0
        if not piece:
            return


def read_piece(reader: ByteSource) -> bytes:
    """Some bytes, b"" at the end. Raises Refused (354) for a damaged body, ConnectionError for a broken one."""
    try:
        return reader.read(PIECE)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, RuntimeError) as error:
        if isinstance(error, ConnectionError):
            raise
        raise refuse(354, "ZLIB_INFLATE_FAILED", f"The request's body cannot be decompressed: {error}") from None
    except Exception as error:  # zstandard and brotli have error classes of their own
        if type(error).__module__.split(".")[0] in ("zstandard", "brotli", "_brotli"):
            raise refuse(354, "ZLIB_INFLATE_FAILED", f"The request's body cannot be decompressed: {error}") from None
        raise
