"""The embedded ClickHouse, asked by clickhouse-connect, httpx and curl."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import subprocess
import sys
import zlib
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import brotli
import httpx
import lz4.frame
import pytest
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import StreamFailureError
from clickhouse_connect.driver.external import ExternalData

pytestmark = pytest.mark.stack


# clickhouse-connect


def test_clickhouse_connect_s_client_works_unmodified(client: Client) -> None:
    """Version, zone, commands, inserts of many types, bound parameters and settings behave as on a server."""
    assert str(client.server_version).startswith("2") and str(client.server_tz) == "UTC"
    client.command("CREATE TEMPORARY TABLE x (id UUID, at DateTime64(3), tags Array(String), n Nullable(Float64))")
    row = [UUID(int=7), datetime(2026, 1, 2, 3, 4, 5, 678000), ["ä", "b'"], None]
    assert client.insert("x", [row], column_names=["id", "at", "tags", "n"]).written_rows == 1
    found = client.query("SELECT * FROM x WHERE id = {id:UUID}", parameters={"id": UUID(int=7)})
    assert found.result_rows == [(row[0], datetime(2026, 1, 2, 3, 4, 5, 678000), ["ä", "b'"], None)]
    assert client.query("SELECT getSetting('max_threads')", settings={"max_threads": 1}).first_row == (1,)
    assert client.query("SELECT getSetting('max_threads') > 0").first_row == (True,)
    assert client.query("SELECT {text:String}", parameters={"text": "a\tb\n'\\"}).first_row == ("a\tb\n'\\",)


def test_a_large_parameter_travels_as_a_form(client: Client) -> None:
    """clickhouse-connect sends long parameters in a multipart body; they arrive whole."""
    text = "long " * 20_000
    assert client.query("SELECT length({text:String})", parameters={"text": text}).first_row == (len(text),)


def test_an_external_table_is_read_by_name(client: Client) -> None:
    """Data sent along with a query is a table in it, and is gone afterwards."""
    data = ExternalData(file_name="ids", data=b"1,x\n2,y\n", fmt="CSV", structure=["id UInt8", "name String"])
    for _ in range(2):
        assert client.query("SELECT sum(id), max(name) FROM ids", external_data=data).first_row == (3, "y")


def test_columns_come_without_rows(client: Client, table: str) -> None:
    """LIMIT 0 gives names and types; an empty result has no rows."""
    assert client.query(f"SELECT * FROM {table} LIMIT 0").column_names == ("a", "b")
    assert client.query(f"SELECT * FROM {table}").result_rows == []


def test_numpy_and_row_streams(client: Client) -> None:
    """query_np and row streams read Native blocks."""
    assert client.query_np("SELECT number FROM numbers(4)").sum() == 6
    with client.query_rows_stream("SELECT number FROM numbers(200000)") as rows:
        assert sum(row[0] for row in rows) == sum(range(200000))


def test_a_session_keeps_settings_and_temporary_tables(http: httpx.Client) -> None:
    """What a session sets stays in it, what a URL sets does not."""
    mine = {"session_id": uuid4().hex}
    http.post("/", params=mine, content="SET max_block_size = 77").raise_for_status()
    http.post("/", params=mine, content="CREATE TEMPORARY TABLE kept (a UInt8)").raise_for_status()
    asked = "SELECT getSetting('max_block_size'), getSetting('max_threads') FROM (SELECT count() FROM kept)"
    assert http.post("/", params={**mine, "max_threads": 3}, content=asked).text == "77\t3\n"
    assert http.post("/", params=mine, content=asked).text.startswith("77\t")
    assert http.post("/", params=mine, content=asked).text != "77\t3\n"
    assert http.get("/", params={**mine, "query": "SELECT count() FROM kept"}).text == "0\n"
    assert http.get("/", params={**mine, "query": "DROP TABLE kept"}).headers["X-ClickHouse-Exception-Code"] == "164"
    assert http.post("/", content="SELECT count() FROM kept").headers["X-ClickHouse-Exception-Code"] == "60"
    unknown = http.post("/", params={"session_id": "nobody", "session_check": "1"}, content="SELECT 1")
    assert unknown.headers["X-ClickHouse-Exception-Code"] == "372"


# The protocol


def test_get_and_post_put_the_statement_together(http: httpx.Client, table: str) -> None:
    """The query of the URL goes on in the body, whichever way it is cut."""
    assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"
    assert http.post("/", content="SELECT 2").text == "2\n"
    assert http.post("/", params={"query": "SELECT"}, content="3").text == "3\n"
    insert = f"INSERT INTO {table} FORMAT CSV"
    for url, body in (
        (insert, "1,x\n"), (f"{insert}\n2,x", "3,x"), ("", f"{insert}\n4,x\n"),
        (f"INSERT INTO {table} VALUES", "(5,'x')"), ("", f"INSERT INTO {table} VALUES (6, 'x')"),
        (f"INSERT INTO {table} (a, b)", "(7,'x')"),
    ):  # fmt: skip
        done = http.post("/", params={"query": url} if url else {}, content=body)
        assert done.status_code == 200, done.text
        assert "X-ClickHouse-Format" not in done.headers
    assert http.post("/", content=f"SELECT arraySort(groupArray(a)) FROM {table}").text == "[1,2,3,4,5,6,7]\n"
    assert http.get("/").text == http.get("/ping").text == "Ok.\n"
    assert http.get("/nowhere").status_code == 404


def test_the_format_is_chosen_by_statement_header_or_url(http: httpx.Client) -> None:
    """FORMAT in the statement goes before X-ClickHouse-Format, and that before default_format."""
    url = {"default_format": "JSONEachRow"}
    assert http.post("/", params=url, content="SELECT 1 AS a").text == '{"a":1}\n'
    header = {"X-ClickHouse-Format": "CSVWithNames"}
    named = http.post("/", params=url, headers=header, content="SELECT 1 AS a")
    assert (named.text, named.headers["X-ClickHouse-Format"]) == ('"a"\n1\n', "CSVWithNames")
    framed = http.post("/", params=url, headers=header, content="SELECT 1 AS a FORMAT JSON")
    assert framed.json()["data"] == [{"a": 1}] and framed.headers["Content-Type"].startswith("application/json")


CUT = ["TSV", "TSVWithNames", "CSVWithNames", "CSVWithNamesAndTypes", "TabSeparatedWithNamesAndTypes", "JSONEachRow",
       "JSONCompactEachRowWithNamesAndTypes", "RowBinaryWithNamesAndTypes", "RowBinary", "Native",
       "JSONStringsEachRow", "MsgPack", "TSKV", "Values"]  # fmt: skip
MANY_ROWS = 'SELECT number AS "a\n""b", toString(number) AS b FROM numbers(300000) ORDER BY number'


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file a format, as the engine itself writes the rows at once."""
    folder = tmp_path_factory.mktemp("documents")
    program = """if True:
        import pathlib, sys, chdb
        folder, select, *names = sys.argv[1:]
        connection = chdb.connect(":memory:")
        connection.query("SET max_threads = 1, max_block_size = 65409")
        for name in names:
            pathlib.Path(folder, name).write_bytes(connection.query(select, name).bytes())
    """
    subprocess.run([sys.executable, "-c", program, str(folder), MANY_ROWS, *CUT], check=True, timeout=60)
    return folder


@pytest.mark.parametrize("name", CUT)
def test_a_cut_result_is_one_document(http: httpx.Client, documents: Path, name: str) -> None:
    """Rows that the engine gives in many pieces read as the same rows written at once, with one header."""
    one_block = {"max_threads": "1", "max_block_size": "65409"}
    streamed = http.post("/", params=one_block, content=f"{MANY_ROWS} FORMAT {name}").content
    assert len(streamed) > 1_000_000 and streamed == (documents / name).read_bytes()


def test_totals_come_last(http: httpx.Client) -> None:
    """WITH TOTALS survives streaming."""
    asked = "SELECT number % 2 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k"
    assert http.post("/", content=asked).text == "0\t5\n1\t5\n\n0\t10\n"


def test_parameters_settings_and_database_come_from_the_url(http: httpx.Client) -> None:
    """param_x is bound, not pasted; an unknown setting or database has ClickHouse's code and 404."""
    http.post("/", content="CREATE DATABASE IF NOT EXISTS other").raise_for_status()
    url = {"database": "other", "param_x": "'); DROP", "max_threads": "1"}
    asked = "SELECT currentDatabase(), {x:String}, getSetting('max_threads')"
    assert http.post("/", params=url, content=asked).text == "other\t\\'); DROP\t1\n"
    for bad, code in (({"no_such_setting": "1"}, "115"), ({"database": "nowhere"}, "81")):
        refused = http.post("/", params=bad, content="SELECT 1")
        assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (404, code)


def test_a_bound_parameter_is_read_in_an_insert_s_values(http: httpx.Client, table: str) -> None:
    """VALUES may name parameters, as clickhouse-connect's command sends them."""
    url = {"param_a": "5", "param_b": "it's"}
    http.post("/", params=url, content=f"INSERT INTO {table} VALUES ({{a:UInt64}}, {{b:String}})").raise_for_status()
    assert http.post("/", content=f"SELECT * FROM {table}").text == "5\tit\\'s\n"


@pytest.mark.parametrize(
    ("statement", "code", "status"),
    [
        ("SELECT nope", 47, 404),
        ("SELECT * FROM nope", 60, 404),
        ("SELEC 1", 62, 400),
        ("SELECT 1; SELECT 2", 62, 400),
        ("SELECT 1 FORMAT Nope", 73, 404),
        ("SELECT toUInt8('x')", 6, 400),
        ("SELECT throwIf(1)", 395, 500),
        ("INSERT INTO nope VALUES (1)", 60, 404),
        ("SELECT sleepEachRow(1) FROM numbers(100) SETTINGS max_execution_time = 0.2, max_block_size = 1", 159, 408),
    ],
)
def test_an_error_has_clickhouse_s_code_and_status(http: httpx.Client, statement: str, code: int, status: int) -> None:
    """The header names the code, the text names the reason and the version."""
    refused = http.post("/", content=statement)
    assert (refused.headers["X-ClickHouse-Exception-Code"], refused.status_code) == (str(code), status)
    assert refused.text.startswith(f"Code: {code}. DB::Exception: ") and "(version 2" in refused.text


def test_an_error_in_the_middle_of_a_stream_reaches_the_client(client: Client) -> None:
    """When rows are out already, the error follows them between the marks that clients know."""
    asked = "SELECT throwIf(number = 3000000) FROM numbers(4000000) SETTINGS max_threads = 1"
    with pytest.raises(StreamFailureError, match="FUNCTION_THROW_IF"), client.query_rows_stream(asked) as rows:
        for _ in rows:
            pass


# Bodies


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress), ("zstd", zstandard.compress),
        ("lz4", lz4.frame.compress), ("xz", lzma.compress), ("bz2", bz2.compress), ("identity", bytes),
        ("gzip", lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:])),
        ("zstd", lambda data: zstandard.compress(data[:1000]) + zstandard.compress(data[1000:])),
        ("deflate", lambda data: zlib.compress(data, wbits=-zlib.MAX_WBITS)),
    ],
)  # fmt: skip
def test_a_compressed_body_is_inserted(http: httpx.Client, table: str, encoding: str, compress: object) -> None:
    """Every encoding, of known length and chunked, in one frame or several, is the same rows."""
    rows = "".join(f'{{"a":{number},"b":"x"}}\n' for number in range(50_000)).encode()
    body = compress(rows)  # type: ignore[operator]
    url = {"query": f"INSERT INTO {table} FORMAT JSONEachRow"}
    header = {"Content-Encoding": encoding}
    whole = http.post("/", params=url, headers=header, content=body)
    assert json.loads(whole.headers["X-ClickHouse-Summary"])["written_rows"] == "50000"
    chunks = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    http.post("/", params=url, headers=header, content=chunks).raise_for_status()
    assert http.post("/", content=f"SELECT count(), sum(a) FROM {table}").text == f"100000\t{2 * sum(range(50_000))}\n"


def test_a_damaged_body_is_refused_and_the_connection_lives(http: httpx.Client, table: str) -> None:
    """A body that is not what its header says stores nothing and has a code."""
    url = {"query": f"INSERT INTO {table} FORMAT JSONEachRow"}
    for encoding in ("gzip", "zstd", "br", "lz4", "deflate"):
        refused = http.post("/", params=url, headers={"Content-Encoding": encoding}, content=b"not compressed at all")
        assert refused.headers["X-ClickHouse-Exception-Code"] == "354", encoding
    unknown = http.post("/", params=url, headers={"Content-Encoding": "rot13"}, content=b"x")
    assert unknown.headers["X-ClickHouse-Exception-Code"] == "48"
    assert http.post("/", content=f"SELECT count() FROM {table}").text == "0\n"


def test_a_bad_row_rejects_its_insert(http: httpx.Client, table: str) -> None:
    """A value that does not fit has its code; the connection serves the next request."""
    rows = '{"a":1,"b":"x"}\n{"a":"no number","b":"x"}\n' * 1000
    refused = http.post("/", params={"query": f"INSERT INTO {table} FORMAT JSONEachRow"}, content=rows)
    assert refused.headers["X-ClickHouse-Exception-Code"] == "27" and refused.status_code == 400
    assert http.post("/", content=f"SELECT count() FROM {table}").text == "0\n"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("rows", [1, 300_000])
def test_an_answer_is_compressed_when_asked_for(http: httpx.Client, encoding: str, rows: int) -> None:
    """Accept-Encoding chooses; enable_http_compression=0 turns it off; a tiny answer stays plain."""
    asked = f"SELECT number FROM numbers({rows}) ORDER BY number"
    header = {"Accept-Encoding": encoding}
    found = http.post("/", params={"enable_http_compression": "1"}, headers=header, content=asked)
    assert found.headers.get("Content-Encoding") == (encoding if rows > 1 else None)
    assert found.text == "".join(f"{number}\n" for number in range(rows))
    plain = http.post("/", params={"enable_http_compression": "0"}, headers=header, content=asked)
    assert "Content-Encoding" not in plain.headers


def test_an_insert_s_token_deduplicates(http: httpx.Client) -> None:
    """Settings of the URL reach a streamed INSERT: the same token inserts once."""
    name = f"d_{uuid4().hex}"
    made = f"CREATE TABLE {name} (a UInt64) ENGINE = MergeTree ORDER BY a"
    kept = "non_replicated_deduplication_window = 100"
    http.post("/", content=f"{made} SETTINGS {kept}").raise_for_status()
    for token in ("x", "x", "y"):
        url = {"query": f"INSERT INTO {name} FORMAT TSV", "insert_deduplication_token": token}
        http.post("/", params=url, content="1\n").raise_for_status()
    assert http.post("/", content=f"SELECT count() FROM {name}").text == "2\n"


def test_rows_are_reshaped_on_their_way_in(http: httpx.Client, client: Client, table: str) -> None:
    """INSERT … SELECT … FROM input(…): data in the body, statement in the URL or before it; refused as a whole."""
    select = "SELECT x.1, concat(x.2, b) FROM input('n Array(Tuple(UInt64, String)), b String') ARRAY JOIN n AS x"
    insert = f"INSERT INTO {table} {select} WHERE NOT throwIf(x.1 = 9) FORMAT JSONEachRow"
    data = '{"n": [[1, "a"], [2, "b"]], "b": "!"}\n' * 2
    http.post("/", params={"query": insert}, content=data).raise_for_status()
    http.post("/", content=f"{insert}\n{data}").raise_for_status()
    assert client.query(f"SELECT a, b, count() FROM {table} GROUP BY a, b ORDER BY a").result_rows == [
        (1, "a!", 4), (2, "b!", 4),
    ]  # fmt: skip
    refused = http.post("/", params={"query": insert}, content=data + '{"n": [[9, ""]], "b": ""}')
    assert refused.headers["X-ClickHouse-Exception-Code"] == "395"
    assert client.query(f"SELECT count() FROM {table}").result_rows == [(8,)]
