"""ClickHouse over HTTP: who may do what, and many or large queries at once."""

from __future__ import annotations

import concurrent.futures
import subprocess
from datetime import UTC, datetime

import clickhouse_connect
import httpx
import psutil
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from headrace.embedded.clickhouse import ClickHouseServer
from headrace.embedded.clickhouse.configuration import ANALYST_LIMITS

pytestmark = pytest.mark.stack


# Users


def test_users_log_in_by_any_of_the_protocol_s_ways(server: ClickHouseServer) -> None:
    """Basic, the X-ClickHouse headers and the URL name a user; a wrong password is 516 and says nothing more."""
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        ways = [
            {"auth": ("analyst", "reads")},
            {"headers": {"X-ClickHouse-User": "analyst", "X-ClickHouse-Key": "reads"}},
            {"params": {"user": "analyst", "password": "reads"}},
        ]
        for way in ways:
            assert http.post("/", content="SELECT 1", **way).text == "1\n"  # type: ignore[arg-type]
        for auth in (("analyst", "no"), ("nobody", "reads"), ("default", "")):
            refused = http.post("/", content="SELECT 1", auth=auth)
            assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "516")


def test_an_analyst_reads_and_changes_nothing(server: ClickHouseServer, client: Client, table: str) -> None:
    """Writes, the network, settings beyond the limits and a change of the session are refused."""
    client.insert(table, [[1, "x"]], column_names=["a", "b"])
    analyst = clickhouse_connect.get_client(host="127.0.0.1", port=server.port, username="analyst", password="reads")
    assert analyst.query(f"SELECT a, b FROM {table}").result_rows == [(1, "x")]
    for refused in (
        f"INSERT INTO {table} VALUES (2, 'y')", f"DROP TABLE {table}", f"ALTER TABLE {table} DELETE WHERE 1",
        "CREATE TABLE z (a UInt8) ENGINE = Memory", f"INSERT INTO {table} SELECT 3, 'z'", f"TRUNCATE TABLE {table}",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')", "SELECT * FROM url('http://127.0.0.1:9/', 'CSV')",
        "SELECT 1 SETTINGS readonly = 0", "SET readonly = 0",
        f"SELECT * FROM {table} SETTINGS max_execution_time = 600", "SYSTEM FLUSH LOGS", "KILL QUERY WHERE 1",
        "SELECT 1 SETTINGS max_rows_to_read = 0", "SET max_rows_to_read = 0", "USE system", "CREATE USER x",
        "SELECT * FROM remote('127.0.0.1', system.one)", "SELECT * FROM executable('id', 'TSV', 'a String')",
        "SELECT * FROM s3('http://127.0.0.1:9/bucket/x', 'CSV', 'a String')",
    ):  # fmt: skip
        with pytest.raises(DatabaseError) as error:
            analyst.command(refused)
        assert error.value.code in (164, 392), refused
    assert client.query(f"SELECT count() FROM {table}").first_row == (1,)


def test_an_analyst_finds_no_secrets(server: ClickHouseServer) -> None:
    """Passwords are in no table, no setting and no statement that a reader can ask for."""
    with httpx.Client(base_url=server.url, auth=("analyst", "reads"), trust_env=False, timeout=60) as http:
        tables = http.post("/", content="SELECT name FROM system.tables WHERE database = 'system'").text.split()
        assert len(tables) > 50
        asked = [f"SELECT * FROM system.`{name}` LIMIT 1000" for name in tables if "numbers" not in name]
        asked += ["SHOW CREATE USER default", "SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a String')"]
        said = {query: http.post("/", content=query).text for query in asked if "zeros" not in query}
    assert any("max_execution_time" in text for text in said.values())
    leaks = {query: text.split("pass:word")[0][-200:] for query, text in said.items() if "pass:word" in text}
    assert leaks == {}


def test_an_analyst_s_mistake_is_told(server: ClickHouseServer) -> None:
    """What is no statement is a syntax error with its place, not a refusal."""
    with httpx.Client(base_url=server.url, auth=("analyst", "reads"), trust_env=False) as http:
        refused = http.post("/", content="SELECT 1,\n       2 AS AS two\nFROM system.one")
    assert refused.headers["X-ClickHouse-Exception-Code"] == "62" and "(line 2, col" in refused.text


def test_an_analyst_s_limits_hold(server: ClickHouseServer) -> None:
    """Without any settings the limits of rows, time and memory are on, and a query that crosses one ends."""
    with httpx.Client(base_url=server.url, auth=("analyst", "reads"), trust_env=False, timeout=60) as http:
        for name, limit in ANALYST_LIMITS.items():
            assert http.post("/", content=f"SELECT getSetting('{name}')").text == f"{limit}\n"
            none = http.post("/", params={name: "0"}, content="SELECT 1")
            assert none.headers["X-ClickHouse-Exception-Code"] == "452"
        for query, url, code in (
            ("SELECT number FROM numbers(3000000000) WHERE number % 7 = 8", {}, "158"),
            ("SELECT groupArray(number) FROM numbers(900000000) FORMAT Null", {}, "241"),
            ("SELECT sleepEachRow(0.5) FROM numbers(9)", {"max_execution_time": "1", "max_block_size": "1"}, "159"),
            ("SELECT number FROM numbers(100000) FORMAT JSON", {"max_result_bytes": "1000"}, "396"),
        ):
            assert http.post("/", params=url, content=query).headers["X-ClickHouse-Exception-Code"] == code, query


def test_an_analyst_s_url_cannot_lift_the_limits(server: ClickHouseServer) -> None:
    """Settings in the URL may tighten a limit, not loosen it, and never touch readonly."""
    with httpx.Client(base_url=server.url, auth=("analyst", "reads"), trust_env=False) as http:
        tighter = http.post("/", params={"max_execution_time": "5"}, content="SELECT getSetting('max_execution_time')")
        assert tighter.text == "5\n"
        assert http.post("/", params={"readonly": "1"}, content="SELECT getSetting('readonly')").text == "1\n"
        for url, code in (
            ({"max_execution_time": "600"}, "452"),
            ({"readonly": "0"}, "164"),
            ({"readonly": "2"}, "164"),
            ({"profile": "default"}, "164"),
            ({"dialect": "prql", "allow_experimental_prql_dialect": "1"}, "164"),
        ):
            assert http.post("/", params=url, content="SELECT 1").headers["X-ClickHouse-Exception-Code"] == code
        written = http.post("/", content="SELECT 1 INTO OUTFILE 'stolen'")
        assert written.headers["X-ClickHouse-Exception-Code"] == "48"


def test_a_get_changes_nothing(http: httpx.Client, table: str) -> None:
    """As in ClickHouse, GET is read-only for every user."""
    for query in (f"DROP TABLE {table}", f"INSERT INTO {table} VALUES (1, 'x')", "SET readonly = 0"):
        assert http.get("/", params={"query": query}).headers["X-ClickHouse-Exception-Code"] == "164"
    assert http.get("/", params={"query": f"SELECT count() FROM {table}"}).text == "0\n"


# Load


def test_a_large_result_streams_in_bounded_memory(server: ClickHouseServer, http: httpx.Client) -> None:
    """Five million rows pass through while the server grows by less than a third of them."""
    process = psutil.Process(server.pid)
    http.post("/", content="SELECT number FROM numbers(100000) FORMAT Null")
    before = peak = process.memory_info().rss
    size = lines = 0
    asked = "SELECT number, repeat('x', 200) AS text FROM numbers(5000000) FORMAT TSV"
    with http.stream("POST", "/", content=asked, headers={"Accept-Encoding": "identity"}) as answer:
        for piece in answer.iter_raw():
            size += len(piece)
            lines += piece.count(b"\n")
            peak = max(peak, process.memory_info().rss)
    assert lines == 5_000_000 and size > 1_000_000_000
    assert peak - before < 300 << 20, f"the server grew by {(peak - before) >> 20} MiB"


def test_a_client_that_leaves_ends_its_query(server: ClickHouseServer, http: httpx.Client) -> None:
    """Closing the connection in the middle of a result frees the engine; the next request is served."""
    for _ in range(20):
        with http.stream("POST", "/", content="SELECT number FROM numbers(1000000000)") as answer:
            next(answer.iter_raw())
    assert http.post("/", content="SELECT 1").text == "1\n"


def test_queries_run_side_by_side(server: ClickHouseServer, table: str) -> None:
    """Many clients insert and read at once, and every row counts once."""

    def work(number: int) -> int:
        with httpx.Client(base_url=server.url, auth=("default", "pass:word"), timeout=60, trust_env=False) as http:
            for turn in range(10):
                url = {"query": f"INSERT INTO {table} FORMAT TSV"}
                http.post("/", params=url, content=f"{number * 100 + turn}\tx\n").raise_for_status()
                http.post("/", content=f"SELECT count() FROM {table}").raise_for_status()
            return 10

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        done = sum(pool.map(work, range(16)))
    with httpx.Client(base_url=server.url, auth=("default", "pass:word"), trust_env=False) as http:
        assert http.post("/", content=f"SELECT count(), uniqExact(a) FROM {table}").text == f"{done}\t{done}\n"


def test_a_small_query_is_not_behind_a_long_one(server: ClickHouseServer, http: httpx.Client) -> None:
    """While a slow query runs, others answer."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        other = httpx.Client(base_url=server.url, auth=("default", "pass:word"), timeout=60, trust_env=False)
        slow = pool.submit(
            other.post, "/", content="SELECT sleepEachRow(0.5) FROM numbers(4) SETTINGS max_block_size = 1"
        )
        answered = 0
        while not slow.done():
            assert http.post("/", content="SELECT 1").text == "1\n"
            answered += 1
        assert slow.result().status_code == 200 and answered > 20
        other.close()


def test_curl_needs_no_more_than_the_address(server: ClickHouseServer, table: str) -> None:
    """A query, an insert from standard input and an error, as the README shows them."""
    curl = ["curl", "-sS", "--noproxy", "*", "-u", "default:pass:word"]
    insert = [*curl, f"{server.url}/?query=INSERT%20INTO%20{table}%20FORMAT%20CSV", "--data-binary", "@-"]
    subprocess.run(insert, input=b"1,one\n" * 200_000, check=True)
    found = subprocess.run([*curl, server.url, "-d", f"SELECT count() FROM {table}"], capture_output=True, check=True)
    assert found.stdout == b"200000\n"
    failed = subprocess.run([*curl, "-f", server.url, "-d", "SELECT nope"], capture_output=True)
    assert failed.returncode == 22


def test_timestamps_are_utc(client: Client) -> None:
    """now() is UTC wherever the server runs."""
    now = client.query("SELECT now('UTC'), toString(now()) = toString(now('UTC'))").result_rows[0]
    assert now[1] == 1 and abs((datetime.now(UTC) - now[0].replace(tzinfo=UTC)).total_seconds()) < 60


def test_a_result_that_cannot_be_cut_is_bounded(http: httpx.Client) -> None:
    """JSON has a frame around all rows and is built whole: beyond half a gibibyte it is refused, whoever asks."""
    asked = "SELECT number, repeat(char(65 + number % 2), 1000) FROM numbers(700000) FORMAT JSON"
    assert http.post("/", content=asked).headers["X-ClickHouse-Exception-Code"] == "396"
    more = http.post("/", params={"max_result_bytes": "4000000000"}, content=asked, auth=("analyst", "reads"))
    assert more.headers["X-ClickHouse-Exception-Code"] == "396"
    own = http.post("/", params={"max_result_bytes": "1000"}, content=asked.replace("700000", "100"))
    assert own.headers["X-ClickHouse-Exception-Code"] == "396"
    assert len(http.post("/", content=asked.replace("700000", "100")).json()["data"]) == 100


def test_an_analyst_sends_no_tables(server: ClickHouseServer) -> None:
    """An external table's structure is SQL that would run before readonly does."""
    structure = "a UInt8) ENGINE = Memory; CREATE TABLE smuggled (a UInt8"
    with httpx.Client(base_url=server.url, auth=("analyst", "reads"), trust_env=False) as http:
        url = {"query": "SELECT 1", "x_structure": structure, "x_format": "CSV"}
        refused = http.post("/", params=url, files={"x": ("x", b"1\n")})
        assert refused.headers["X-ClickHouse-Exception-Code"] == "164"
