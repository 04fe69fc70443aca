"""ClickHouse's compressed blocks, as JDBC, DBeaver and clickhouse-go ask for them at their defaults."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator

import httpx
import lz4.block
import pytest
import zstandard

from headrace.embedded.clickhouse.blocks import WRITTEN, Blocks, blocks_encoder, checksum
from headrace.embedded.clickhouse.body import ByteSource
from headrace.embedded.clickhouse.errors import Refused

pytestmark = pytest.mark.stack

# As the engine wrote it into a table's file: a text of 600 bytes with its length before it, by ZSTD.
OF_THE_ENGINE = bytes.fromhex(
    "096d186fc4ee38789abd3c525993abca90220000005a02000028b52ffd605a017d000040d80468656c6c6f2001004f52152e"
)


def packed(raw: bytes, method: int = 0x82, **wrong: int) -> bytes:
    body: bytes = raw
    if method == 0x82:
        body = lz4.block.compress(raw, store_size=False)
    elif method == 0x90:
        body = zstandard.compress(raw)
    header = struct.pack("<BII", method, wrong.get("size", len(body) + 9), wrong.get("raw_size", len(raw)))
    return checksum(header + body) + header + body


def unpacked(body: bytes) -> list[bytes]:
    """The raw bytes of each block, with their checksums compared."""
    out = []
    while body:
        method, size, raw = struct.unpack_from("<BII", body, 16)
        assert method == 0x82 and checksum(body[16 : 16 + size]) == body[:16]
        out.append(lz4.block.decompress(body[25 : 16 + size], uncompressed_size=raw))
        body = body[16 + size :]
    return out


class Dripping:
    """Gives a byte at a time: a block may be cut anywhere."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def read(self, size: int, /) -> bytes:
        return bytes([byte]) if size and (byte := next(self._data, None)) is not None else b""


def read(source: ByteSource, size: int = 1 << 20) -> Iterator[bytes]:
    while piece := source.read(size):
        yield piece


def test_a_block_of_the_engine_is_read() -> None:
    """The checksum is CityHash128 of version 1.0.2, which no later CityHash gives; of nothing, its published value."""
    assert list(read(Blocks(Dripping(OF_THE_ENGINE)))) == [b"\xd8\x04" + b"hello " * 100]
    assert checksum(b"") == bytes.fromhex("2b9ac064fc9df03d291ee592c340b53c")


@pytest.mark.parametrize("method", [0x02, 0x82, 0x90])
def test_blocks_are_read_wherever_they_are_cut(method: int) -> None:
    """Blocks of every method give their bytes, byte by byte and at once; none at all is an empty body."""
    body = b"".join(packed(part, method) for part in (b"hello " * 100, b"x", b"", bytes(1000)))
    wanted = b"hello " * 100 + b"x" + bytes(1000)
    assert b"".join(read(Blocks(Dripping(body)), 7)) == wanted
    assert b"".join(read(Blocks(Dripping(b"")))) == b""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\0" * 16 + packed(b"x")[16:], 40),
        (packed(b"hello")[:-1], 33),
        (packed(b"hello")[:20], 33),
        (packed(b"hello")[:3], 33),
        (packed(b"x", 0x93), 432),
        (packed(b"x", raw_size=(64 << 20) + 1), 307),
        (packed(b"x", size=(64 << 20) + 1), 307),
        (packed(b"x", size=3), 307),
        (packed(b"xx", 0x02, raw_size=1), 271),
        (packed(bytes(1 << 20), raw_size=100), 271),
        (packed(bytes(1 << 20), 0x90, raw_size=100), 271),
        (packed(b"x" * 100, 0x90, raw_size=200), 271),
    ],
    ids=str,
)
def test_a_damaged_block_is_refused(body: bytes, code: int) -> None:
    """A wrong checksum, method or size, and an early end each have ClickHouse's code; sizes are checked first."""
    with pytest.raises(Refused) as refused:
        list(read(Blocks(Dripping(body))))
    assert refused.value.code == code


def test_checksums_may_be_waived() -> None:
    """http_native_compression_disable_checksumming_on_decompress: the block is read without a look at them."""
    assert list(read(Blocks(Dripping(bytes(16) + packed(b"hello")[16:]), verified=False))) == [b"hello"]


def test_a_large_piece_is_cut_into_blocks() -> None:
    """A block holds a mebibyte of raw bytes at most, as the server's do."""
    encode, _ = blocks_encoder()
    assert [len(raw) for raw in unpacked(encode(bytes(2 * WRITTEN + 1)))] == [WRITTEN, WRITTEN, 1]


@pytest.mark.parametrize("rows", [1, 300_000])
@pytest.mark.parametrize("name", ["TSV", "RowBinary", "Native", "JSON"])
def test_an_answer_comes_in_blocks(http: httpx.Client, rows: int, name: str) -> None:
    """compress=1: small and streamed answers of every kind of format are the same bytes in blocks."""
    asked = f"SELECT number, toString(number) FROM numbers({rows}) ORDER BY number FORMAT {name}"
    one_thread = {"max_threads": "1", "output_format_write_statistics": "0"}
    plain = {"Accept-Encoding": "identity"}
    found = http.post("/", params={**one_thread, "compress": "1"}, headers=plain, content=asked)
    wanted = http.post("/", params=one_thread, headers=plain, content=asked)
    assert found.headers["X-ClickHouse-Format"] == name and "Content-Encoding" not in found.headers
    assert b"".join(unpacked(found.content)) == wanted.content


def test_blocks_travel_in_an_encoding(http: httpx.Client) -> None:
    """With Accept-Encoding too, as on a server, the encoding is around the blocks."""
    asked = "SELECT number FROM numbers(300000) ORDER BY number"
    found = http.post("/", params={"compress": "1"}, headers={"Accept-Encoding": "gzip"}, content=asked)
    assert found.headers["Content-Encoding"] == "gzip"
    assert b"".join(unpacked(found.content)).startswith(b"0\n1\n2\n")
    off = {"compress": "1", "enable_http_compression": "0"}
    bare = http.post("/", params=off, headers={"Accept-Encoding": "gzip"}, content=asked)
    assert "Content-Encoding" not in bare.headers and unpacked(bare.content)


def test_an_error_comes_in_blocks(http: httpx.Client) -> None:
    """Before the rows and behind them; a wrong password is told plainly, as on a server."""
    failed = http.post("/", params={"compress": "1"}, content="SELECT nope")
    assert (failed.status_code, failed.headers["X-ClickHouse-Exception-Code"]) == (404, "47")
    assert unpacked(failed.content)[0].startswith(b"Code: 47. DB::Exception: ")
    asked = "SELECT throwIf(number = 3000000) FROM numbers(4000000) SETTINGS max_threads = 1"
    late = b""
    plain = {"Accept-Encoding": "identity"}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        http.stream("POST", "/", params={"compress": "1"}, headers=plain, content=asked) as answer,
    ):
        for piece in answer.iter_raw():
            late += piece
    assert b"FUNCTION_THROW_IF" in unpacked(late)[-1] and b"__exception__" in unpacked(late)[-1]
    guest = http.post("/", params={"compress": "1"}, auth=("default", "no"), content="SELECT 1")
    assert guest.text.startswith("Code: 516.")


@pytest.mark.parametrize("method", [0x02, 0x82, 0x90])
def test_data_comes_in_blocks(http: httpx.Client, table: str, method: int) -> None:
    """decompress=1: an INSERT's data, or the whole statement as JDBC sends it, also within a Content-Encoding."""
    rows = b"".join(b"%d\tx\n" % number for number in range(50_000))
    insert = f"INSERT INTO {table} FORMAT TSV"
    body = b"".join(packed(rows[at : at + 100_000], method) for at in range(0, len(rows), 100_000))
    url = {"query": insert, "decompress": "1"}
    http.post("/", params=url, content=body).raise_for_status()
    http.post("/", params=url, headers={"Content-Encoding": "gzip"}, content=gzip.compress(body)).raise_for_status()
    whole = packed(insert.encode() + b"\n" + rows, method)
    http.post("/", params={"decompress": "1"}, content=whole).raise_for_status()
    count = packed(f"SELECT count(), sum(a) FROM {table}".encode(), method)
    assert http.post("/", params={"decompress": "1"}, content=count).text == f"150000\t{3 * sum(range(50_000))}\n"


def test_damaged_data_stores_nothing(http: httpx.Client, table: str) -> None:
    """A wrong checksum in the last block refuses the whole INSERT, and the server goes on."""
    url = {"query": f"INSERT INTO {table} FORMAT TSV", "decompress": "1"}
    refused = http.post("/", params=url, content=packed(b"1\tx\n") + bytes(16) + packed(b"2\ty\n")[16:])
    assert refused.headers["X-ClickHouse-Exception-Code"] == "40"
    assert http.post("/", content=f"SELECT count() FROM {table}").text == "0\n"
