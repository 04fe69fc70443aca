"""Native with a version of the protocol, as clickhouse-go, Grafana and clickhouse-connect ask for it."""

from __future__ import annotations

import httpx
import pytest
from clickhouse_connect.driver.client import Client

from headrace.embedded.clickhouse.varints import varint

pytestmark = pytest.mark.stack

INFO = bytes.fromhex("01 00 02 ff ff ff ff 00")
LATER = INFO[:-1] + b"\x03\0\0"
# What stands before a block, and behind each type.
VERSIONS = {54058: (INFO, b""), 54405: (INFO, b""), 54453: (INFO, b""), 54454: (INFO, b"\0"), 54460: (INFO, b"\0"),
            54479: (INFO, b"\0"), 54480: (LATER, b"\0"), 54515: (LATER, b"\0")}  # fmt: skip
FLAT = {"output_format_native_use_flattened_dynamic_and_json_serialization": "1"}

# x is 0, 1, 2, …; every column is followed by others, so that its end has to be found.
COLUMNS = """
x | toInt128(x) | toUInt256(x) | x % 2 = 0 | toFloat32(x) | toBFloat16(x) | toDecimal32(x, 2) | toDecimal64(x, 3)
toDecimal128(x, 4) | toDecimal256(x, 5) | toDate(x) | toDate32(x) | toDateTime(x) | toDateTime64(x, 6)
toDateTime64(x, 3, 'Asia/Tokyo') | toTime64(x, 3) | toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')
toIPv4('1.2.3.4') | toIPv6('::1') | CAST(x % 2 + 1 AS Enum8('a\\'b' = 1, 'c,(' = 2)) | CAST(1 AS Enum16('a' = 1))
toString(x) | repeat('long', toUInt16(x)) | toFixedString('ab', 3) | NULL | toIntervalDay(x) | toNullable(toString(x))
if(x % 3 = 0, NULL, x) | if(x % 3 = 0, NULL, 's') | range(x) | arrayMap(i -> toString(i), range(x)) | []
[[1, 2], [x]] | arrayMap(i -> range(i), range(x)) | emptyArrayString() | tuple() | (x, 'a') | tuple(x, [x], (NULL, 'b'))
CAST((x, 'a') AS Tuple(`n 1` UInt64, `(b` LowCardinality(String))) | [(x, 'a')] | map('k', x) | map(toString(x), [x])
map() | toLowCardinality(toString(x)) | toLowCardinality(if(x % 2 = 0, NULL, toString(x))) | [toLowCardinality('a')]
arrayMap(i -> toLowCardinality(toString(i)), range(x)) | CAST(x AS LowCardinality(UInt64))
CAST(map('a', 'b') AS Map(LowCardinality(String), LowCardinality(Nullable(String)))) | CAST(x AS Variant(UInt64, Int8))
if(x % 2 = 0, CAST(x AS Variant(UInt64, String)), CAST('s' AS Variant(UInt64, String))) | CAST(NULL AS Variant(UInt8))
[CAST(x AS Variant(UInt64, Array(String)))] | CAST(x AS Dynamic) | CAST(NULL AS Dynamic)
if(x % 2 = 0, CAST(x AS Dynamic), CAST(['s'] AS Dynamic)) | [CAST(x AS Dynamic)] | CAST('x' AS Dynamic(max_types=1))
CAST(format('{{"a":{0},"b":["x",{{"c":1}}],"d":{{"e":null}}}}', toString(x)) AS JSON) | CAST('{}' AS JSON)
CAST(format('{{"k{0}":1}}', toString(x)) AS JSON(max_dynamic_paths=1)) | [CAST('{"a":1}' AS JSON)]
CAST('{"z":1,"a.b":{"c":"t"},"q":[1]}' AS JSON(z UInt32, a LowCardinality(String), SKIP q, SKIP REGEXP ' x, [(]y'))
(1., 2.)::Point | [(1., 2.)]::Ring | [[(1., 2.)], []]::Polygon | [[[(1., 2.)]]]::MultiPolygon | [(1., 2.)]::LineString
[[(1., 2.)]]::MultiLineString | CAST((x, 's') AS Tuple(SimpleAggregateFunction(sum, UInt64), String))
CAST([(x, 's')] AS Nested(a UInt64, b String)) | CAST([1, 2, 3, 4, 5, 6, 7, 8, 9] AS QBit(Float32, 9)) | toTypeName(x)
arrayReduce('countState', range(x * x % 700)) | arrayReduce('sumState', range(x))
arrayReduce('sumState', [toFloat32(x)]) | arrayReduce('sumState', [toDecimal64(x, 2)])
arrayReduce('avgState', range(x * x % 700)) | arrayReduce('avgState', [1.5])
arrayReduce('avgState', [toDecimal32(x, 2)]) | arrayReduce('minState', range(x))
arrayReduce('maxState', [toDate(x)]) | arrayReduce('anyState', arrayMap(i -> repeat('a', i), range(x)))
arrayReduce('anyLastState', [toDecimal64(x, 3)]) | arrayReduce('maxState', [toFixedString('ab', 3)])
arrayReduce('uniqState', range(x)) | arrayReduce('minState', [toDateTime64(1, 3)])
arrayReduce('uniqState', range(x * x % 700), range(x * x % 700)) | arrayReduce('sumIfState', [x, 2], [1, 0])
arrayReduce('maxIfState', ['a', toString(x)], [x % 2, 0]) | arrayReduce('argMaxState', range(x), range(x))
arrayReduce('argMinIfState', [toString(x)], [toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')], [x % 2])
[arrayReduce('sumState', range(x))] | (arrayReduce('uniqState', range(x)), arrayReduce('countState', range(x)))
"""
EXPRESSIONS = [column.strip() for line in COLUMNS.splitlines() for column in line.split(" | ") if column.strip()]


Settings = dict[str, str]


def native(
    http: httpx.Client, columns: list[str], rows: int, version: int = 0, settings: Settings | None = None
) -> bytes:
    url = {"client_protocol_version": str(version)} if version else {}
    url |= {"allow_suspicious_low_cardinality_types": "1", "allow_suspicious_variant_types": "1", **(settings or {})}
    named = ", ".join(f"{column} AS c{number}" for number, column in enumerate(columns))
    asked = f"SELECT {named} FROM (SELECT number AS x FROM numbers({rows})) FORMAT Native"
    answer = http.post("/", params=url, headers={"Accept-Encoding": "identity"}, content=asked)
    assert answer.status_code == 200, answer.text
    return answer.content


def column(http: httpx.Client, number: int, expression: str, rows: int, settings: Settings) -> tuple[bytes, bytes]:
    """The column's name and type, and its data, as the engine writes it alone."""
    block = native(http, [expression], rows, 0, settings)
    _, at = varint(block, 0)
    _, at = varint(block, at)
    start = at
    length, at = varint(block, at)
    at += length
    length, at = varint(block, at)
    name = b"\x02c0" + block[start + 3 : at + length]
    own = f"c{number}".encode()
    return bytes([len(own)]) + own + name[3:], block[at + length :]


@pytest.mark.parametrize(("rows", "settings"), [(7, {}), (7, FLAT), (300, {})], ids=["", "flattened", "many"])
def test_every_type_keeps_its_bytes(http: httpx.Client, rows: int, settings: Settings) -> None:
    """A block of all types has before it and behind each type what the version adds, and the engine's bytes."""
    columns = [column(http, number, one, rows, settings) for number, one in enumerate(EXPRESSIONS)]
    head = bytes([len(columns)]) + (bytes([rows]) if rows < 128 else bytes([rows & 0x7F | 0x80, rows >> 7]))
    for version in (54405, 54454, 54515):
        info, custom = VERSIONS[version]
        wanted = info + head + b"".join(named + custom + data for named, data in columns)
        assert native(http, EXPRESSIONS, rows, version, settings) == wanted


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_has_its_own_frame(http: httpx.Client, version: int) -> None:
    """Information before a block, from 54480 on with a third field; from 54454 on a byte behind each type."""
    info, custom = VERSIONS[version]
    assert native(http, ["x", "'a'"], 1, version) == (
        info + b"\x02\x01\x02c0\x06UInt64" + custom + bytes(8) + b"\x02c1\x06String" + custom + b"\x01a"
    )


def test_a_date_keeps_its_zone(http: httpx.Client) -> None:
    """From 54337 on the type of a DateTime names its zone, as clients need it to show the time."""
    zoned = "toDateTime(x, 'Asia/Tokyo')"
    for version, name in ((54336, "DateTime"), (54337, "DateTime('Asia/Tokyo')"), (54460, "DateTime('Asia/Tokyo')")):
        _, custom = VERSIONS[54460 if version == 54460 else 54405]
        typed = bytes([len(name)]) + name.encode() + custom
        utc = b"\x02c1\x08DateTime" + custom
        wanted = INFO + b"\x02\x01\x02c0" + typed + bytes(4) + utc + bytes(4)
        assert native(http, [zoned, "toDateTime(x)"], 1, version) == wanted


def test_a_date_keeps_its_zone_in_a_session(client: Client, http: httpx.Client) -> None:
    """Also with a parameter, in another database and over many blocks, and as clickhouse-connect reads it."""
    http.post("/", content="CREATE DATABASE IF NOT EXISTS zones").raise_for_status()
    http.post("/", content="CREATE OR REPLACE TABLE zones.t (a DateTime('Asia/Tokyo')) ENGINE = Memory")
    http.post("/", content="INSERT INTO zones.t SELECT number FROM numbers(200000)").raise_for_status()
    client.command("USE zones")
    found = client.query("SELECT a FROM t WHERE a < {most:UInt32} ORDER BY a", parameters={"most": 2})
    assert str(found.column_types[0].name) == "DateTime('Asia/Tokyo')"
    assert found.result_rows[1][0].isoformat() == "1970-01-01T09:00:01+09:00"
    assert len(client.query("SELECT a FROM t").result_rows) == 200_000
    client.command("USE default")


def test_a_long_result_is_framed_block_by_block(http: httpx.Client) -> None:
    """Each of a streamed result's blocks, and the many blocks of a statement that is answered whole."""
    one = {"max_threads": "1", "max_block_size": "65409"}
    blocks = native(http, ["x", "toString(x)"], 200_000, 54460, one).split(INFO)
    assert [len(block) > 100_000 for block in blocks[1:]] == [True, True, True, False]
    shown = {"client_protocol_version": "54460", "default_format": "Native"}
    for asked in ("SHOW DATABASES", "DESCRIBE TABLE system.one", "EXPLAIN SELECT 1", "EXISTS system.one"):
        answer = http.post("/", params=shown, content=asked)
        assert answer.content.startswith(INFO + b"\x01" if "DESC" not in asked else INFO), asked
    assert http.post("/", params=shown, content="SELECT 1 WHERE 0").content == b""


def test_what_has_no_end_is_refused(http: httpx.Client) -> None:
    """A state that does not say its length: 48 and what to do, before any row; earlier versions get it."""
    asked = "SELECT quantileState(number) AS s, 1 AS one FROM numbers(10) FORMAT Native"
    refused = http.post("/", params={"client_protocol_version": "54460"}, content=asked)
    assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (501, "48")
    assert "AggregateFunction(quantile, UInt64)" in refused.text and "finalizeAggregation" in refused.text
    assert http.post("/", params={"client_protocol_version": "54405"}, content=asked).status_code == 200
    for wrong in ("-1", "x", "54460.5", "٣", "9" * 30):
        refused = http.post("/", params={"client_protocol_version": wrong}, content="SELECT 1")
        assert refused.headers["X-ClickHouse-Exception-Code"] == "36"


def test_data_is_sent_without_a_version(http: httpx.Client, table: str) -> None:
    """As on a server, client_protocol_version is of the answer: clickhouse-go inserts blocks of version 0."""
    block = native(http, ["x", "toString(x)"], 3).replace(b"\x02c0", b"\x01a").replace(b"\x02c1", b"\x01b")
    url = {"query": f"INSERT INTO {table} FORMAT Native", "client_protocol_version": "54460"}
    http.post("/", params=url, content=block).raise_for_status()
    assert http.post("/", content=f"SELECT sum(a), max(b) FROM {table}").text == "3\t2\n"
