"""Statements as drivers and tools write them: inserts of every shape, parameters with $, bytes that are no text."""

from __future__ import annotations

import json
import socket
import subprocess
from uuid import uuid4

import httpx
import pytest

from headrace.embedded.clickhouse import ClickHouseServer

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    "statement",
    [
        "WITH 5 AS q INSERT INTO {} SELECT q, 'x'",
        "WITH x AS (SELECT 5 AS a) INSERT INTO {} SELECT a, 'x' FROM x",
        "INSERT INTO {} WITH 5 AS q SELECT q, 'x'",
        "INSERT INTO {} (b, a) WITH z AS (SELECT 5 AS a) SELECT 'x', a FROM z",
        "INSERT INTO {} (SELECT 5, 'x')",
        "WITH 1 AS y INSERT INTO {} (a, b) FORMAT CSV\n5,x",
        "WITH 1 AS y INSERT INTO {} VALUES (5, 'x');",
        "INSERT {} VALUES (4 + 1, concat('', 'x'))",
        "INSERT INTO TABLE {} FORMAT CSV SETTINGS format_csv_delimiter = ';', max_threads = 1\n5;x",
        "INSERT INTO {} SETTINGS format_csv_delimiter = ';' FORMAT CSV\n5;x",
        '-- INSERT INTO u\nINSERT INTO {} FORMAT JSONEachRow [{{"a": 5, "b": "x"}}]',
        "INSERT INTO {} SELECT a, b FROM input('b String, a UInt8') FORMAT TSV\nx\t5",
        "WITH 'x' AS y INSERT INTO {} SELECT a, y FROM input('a UInt8') FORMAT TSV\n5",
    ],
)
def test_an_insert_is_taken_in_any_shape(http: httpx.Client, table: str, statement: str) -> None:
    """With a WITH before or behind it, without INTO, with settings where clients put them; it names its rows."""
    done = http.post("/", content=statement.format(table))
    assert done.status_code == 200, done.text
    assert done.text == "" and "X-ClickHouse-Format" not in done.headers
    assert '"written_rows": "1"' in done.headers["X-ClickHouse-Summary"]
    assert http.post("/", content=f"SELECT * FROM {table}").text == "5\tx\n"


def test_data_keeps_its_semicolons(http: httpx.Client, table: str) -> None:
    """What ends a statement is data where there is data."""
    for head in ("", "WITH 1 AS y "):
        http.post("/", content=f"{head}INSERT INTO {table} FORMAT TSV\n1\tx;\n").raise_for_status()
    assert http.post("/", content=f"SELECT * FROM {table}").text == "1\tx;\n" * 2


@pytest.mark.parametrize("place", ["{t:Identifier}", "{d:Identifier}.{t:Identifier}", "default.{t:Identifier}"])
def test_a_parameter_names_the_table(http: httpx.Client, place: str) -> None:
    """Also one with blanks and quotes in its name, for data, for a SELECT and to read; it is bound and not pasted."""
    name = f"it's `a` $1 {uuid4()}"
    url = {"param_t": name, "param_d": "default"}
    for statement in (
        f"CREATE TABLE {place} (a UInt8) ENGINE = MergeTree ORDER BY a",
        f"INSERT INTO {place} FORMAT TSV\n1\n",
        f"INSERT INTO {place} (a) VALUES (2)",
        f"INSERT INTO {place} SELECT 3",
    ):
        done = http.post("/", params=url, content=statement)
        assert done.status_code == 200, done.text
    assert http.post("/", params=url, content=f"SELECT sum(a) FROM {place}").text == "6\n"
    http.post("/", params=url, content=f"DROP TABLE {place}").raise_for_status()


@pytest.mark.parametrize(
    "value", ["a$b", "$$", "$1", "$x$ $x$", "{p:String}", "'$'", "it's", "--", "/*", ";", "ä€", "\\"]
)
def test_a_parameter_holds_any_text(http: httpx.Client, value: str) -> None:
    """As a text, in an array, under a name with $ and beside heredocs; a backslash is sent escaped, by the protocol."""
    asked = "SELECT {p:String}, {p$q:String}, {many:Array(String)}[1], $$ {p:String} $$, $t$'$$$t$ FORMAT JSONCompact"
    sent = value.replace("\\", "\\\\")
    many = sent.replace("'", "\\'")
    url = {"param_p": sent, "param_p$q": sent, "param_many": f"['{many}']"}
    answer = http.post("/", params=url, content=asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == [[value, value, value, " {p:String} ", "'$$"]]


def test_a_name_with_dollars_is_one_word(http: httpx.Client) -> None:
    """a$b$c$b$ is a column, as it is for a server, and hides no FORMAT."""
    assert http.post("/", content="SELECT 1 AS a$b$c, 2 AS `$`, '$b$' AS x FORMAT CSV").text == '1,2,"$b$"\n'
    asked = "SELECT a$b, c FROM (SELECT 1 AS a$b, '$b FORMAT TSV $b$' AS c) FORMAT CSV"
    assert http.post("/", content=asked).text == '1,"$b FORMAT TSV $b$"\n'


def test_a_statement_may_hold_bytes_that_are_no_text(http: httpx.Client, server: ClickHouseServer) -> None:
    """clickhouse-connect binds binary values so: they reach the engine as they are, for every user and kind."""
    binary = bytes(range(1, 256)).replace(b"'", b"").replace(b"\\", b"")
    for auth in (("default", "pass:word"), ("analyst", "reads")):
        for format in (b"TSV", b"JSON"):
            asked = b"SELECT hex('%b') AS file FORMAT %b" % (binary, format)
            assert binary.hex().upper() in http.post("/", auth=auth, content=asked).text
    refused = http.post("/", content=b"SELECT file('\xff\x92')")
    assert refused.headers["X-ClickHouse-Exception-Code"] == "392"


@pytest.mark.parametrize(
    ("type", "row"),
    [
        ("n Nested(a UInt8, b Array(Nested(c String)))", '{"n": [{"a": 1, "b": [[{"c": "x"}]]}]}'),
        ("v Variant(Int32, Int64)", '{"v": 1}'),
        ("f FixedString(300)", '{"f": "x"}'),
        ("l LowCardinality(UInt8)", '{"l": 1}'),
        ("l LowCardinality(Nullable(Date))", '{"l": null}'),
        ("j JSON(max_dynamic_paths = 4, a.b UInt8, SKIP c)", '{"j": {"a": {"b": 1}}}'),
    ],
)
def test_data_goes_into_a_type_that_needed_settings(http: httpx.Client, type: str, row: str) -> None:
    """A table that was created with settings for its types takes data from a client that sends none."""
    name = f"t_{uuid4().hex}"
    careful = {f"allow_suspicious_{what}_types": "1" for what in ("low_cardinality", "variant", "fixed_string")}
    made = f"CREATE TABLE {name} ({type}) ENGINE = MergeTree ORDER BY tuple()"
    created = http.post("/", params={**careful, "flatten_nested": "0"}, content=made)
    assert created.status_code == 200, created.text
    done = http.post("/", params={"query": f"INSERT INTO {name} FORMAT JSONEachRow"}, content=row)
    assert done.status_code == 200, done.text
    assert http.post("/", content=f"SELECT count() FROM {name}").text == "1\n"
    http.post("/", content=f"DROP TABLE {name}")


# The connection


def said(server: ClickHouseServer, *pieces: bytes) -> bytes:
    """Everything that the server says; each piece is sent when something came back for the one before."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        answer = b""
        for piece in pieces:
            connection.sendall(piece)
            if piece is not pieces[-1]:
                answer += connection.recv(65536)
        connection.shutdown(socket.SHUT_WR)
        while more := connection.recv(65536):
            answer += more
    return answer


def head(server: ClickHouseServer, *lines: str, login: str = "pass:word") -> bytes:
    own = (f"Host: 127.0.0.1:{server.port}", "X-ClickHouse-User: default", f"X-ClickHouse-Key: {login}")
    return "\r\n".join(("POST / HTTP/1.1", *own, *lines, "", "")).encode()


@pytest.mark.parametrize("expect", ["100-continue", "100-Continue"])
def test_a_body_is_asked_for(server: ClickHouseServer, expect: str) -> None:
    """Expect: 100-continue gets 100 before the body, of known length and chunked; a guest gets 403 and no 100."""
    answer = said(server, head(server, f"Expect: {expect}", "Content-Length: 8"), b"SELECT 1")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\n") and answer.endswith(b"\r\n\r\n1\n")
    chunked = head(server, f"Expect: {expect}", "Transfer-Encoding: chunked")
    answer = said(server, chunked, b"4\r\nSELE\r\n4;x=y\r\nCT 2\r\n0\r\nTrailer: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\n") and answer.endswith(b"\r\n\r\n2\n")
    guest = said(server, head(server, f"Expect: {expect}", "Content-Length: 8", login="no"))
    assert guest.startswith(b"HTTP/1.1 403") and b"Connection: close" in guest and b"100 Continue" not in guest


def test_requests_may_be_sent_ahead(server: ClickHouseServer) -> None:
    """Pipelined requests are answered in order on one connection; the last one may end it."""
    one = head(server, "Content-Length: 8") + b"SELECT 1"
    three = head(server, "Transfer-Encoding: chunked") + b"8\r\nSELECT 3\r\n0\r\n\r\n"
    last = head(server, "Connection: close", "Content-Length: 8") + b"SELECT 4"
    answer = said(server, one + three + last)
    assert [piece[-2:] for piece in answer.split(b"HTTP/1.1 200")[1:]] == [b"1\n", b"3\n", b"4\n"]


def test_a_broken_answer_is_seen_to_be_broken(server: ClickHouseServer) -> None:
    """An error behind rows ends the answer without its last chunk: curl exits with 18, and the error stands there."""
    curl = ["curl", "-sS", "--noproxy", "*", "-u", "default:pass:word", "-w", "%{http_code}"]
    asked = "SELECT throwIf(number = 3000000) FROM numbers(4000000) SETTINGS max_threads = 1"
    for more in ([], ["--compressed"]):
        broken = subprocess.run([*curl, *more, server.url, "-d", asked], capture_output=True)
        assert broken.returncode == 18 and b"FUNCTION_THROW_IF" in broken.stdout[-1000:]
    small = asked.replace("3000000", "300000").replace("4000000", "400000")
    waited = subprocess.run([*curl, f"{server.url}/?wait_end_of_query=1", "-d", small], capture_output=True)
    assert waited.returncode == 0 and waited.stdout.startswith(b"Code: 395") and waited.stdout.endswith(b"500")


def test_the_summary_counts(http: httpx.Client) -> None:
    """Rows and bytes of the result and rows that were read; JDBC reads no rows where it says that there are none."""
    for asked, rows in (("SELECT 1", 1), ("SELECT number FROM numbers(3)", 3), ("SELECT 1 WHERE 0", 0)):
        summary = json.loads(http.post("/", content=asked).headers["X-ClickHouse-Summary"])
        assert summary["result_rows"] == str(rows) and (summary["result_bytes"] != "0") == (rows > 0)
    url = {"wait_end_of_query": "1", "max_block_size": "65409"}
    many = http.post("/", params=url, content="SELECT number FROM numbers(300000)")
    assert json.loads(many.headers["X-ClickHouse-Summary"])["result_rows"] == "300000"


def test_a_head_has_no_body(http: httpx.Client) -> None:
    """Of a small result and of one that would be streamed; the connection serves the next request."""
    for rows in (1, 1_000_000):
        answer = http.head("/", params={"query": f"SELECT number FROM numbers({rows})"})
        assert (answer.status_code, answer.content) == (200, b"")
    assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"


def test_a_session_has_its_own_database(http: httpx.Client) -> None:
    """`database` in the URL is of one request, as on a server; USE is of the session, also beside it."""
    session = {"session_id": uuid4().hex}
    asked = "SELECT currentDatabase()"
    assert http.post("/", params={**session, "database": "system"}, content=asked).text == "system\n"
    assert http.post("/", params=session, content=asked).text == "default\n"
    http.post("/", params={**session, "database": "default"}, content="USE system").raise_for_status()
    assert http.post("/", params={**session, "database": "default"}, content=asked).text == "default\n"
    assert http.post("/", params=session, content=asked).text == "system\n"
