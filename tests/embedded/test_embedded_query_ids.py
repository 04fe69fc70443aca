"""Query ids: what runs is seen, ended and refused by the id that the client gave."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest

from headrace.embedded.clickhouse import ClickHouseServer

pytestmark = pytest.mark.stack

LONG = (
    "SELECT sleepEachRow(0.1) FROM numbers(3000) "
    "SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0"
)
COUNTING = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"


class Ended(NamedTuple):
    headers: httpx.Headers
    content: bytes
    complete: bool


Start = Callable[..., "Future[Ended]"]


def ended(http: httpx.Client, statement: str, url: dict[str, str]) -> Ended:
    """Read an answer up to its end, or to where it breaks off."""
    content = b""
    with http.stream("POST", "/", params=url, content=statement) as answer:
        try:
            for piece in answer.iter_bytes():
                content += piece
        except httpx.RemoteProtocolError:
            return Ended(answer.headers, content, False)
    return Ended(answer.headers, content, True)


@pytest.fixture
def start(server: ClickHouseServer) -> Iterator[Start]:
    """Send a statement and go on."""
    with (
        ThreadPoolExecutor(8) as pool,
        httpx.Client(base_url=server.url, auth=("default", "pass:word"), timeout=60, trust_env=False) as other,
    ):

        def sent(statement: str, **url: str) -> Future[Ended]:
            return pool.submit(ended, other, statement, url)

        yield sent


def running(http: httpx.Client, query_id: str) -> bool:
    asked = "SELECT count() FROM system.processes WHERE query_id = {id:String}"
    return http.post("/", params={"param_id": query_id}, content=asked).text == "1\n"


def until(wanted: bool, http: httpx.Client, query_id: str) -> None:
    deadline = time.monotonic() + 20
    while running(http, query_id) is not wanted:
        assert time.monotonic() < deadline


def kill(http: httpx.Client, query_id: str, how: str = "SYNC") -> httpx.Response:
    return http.post("/", content=f"KILL QUERY WHERE query_id = '{query_id}' {how} FORMAT JSON")


@pytest.mark.parametrize(
    "statement", [LONG, COUNTING, "INSERT INTO FUNCTION null('a UInt8') " + LONG, f"{LONG} FORMAT JSON"]
)
def test_a_running_statement_is_killed_by_its_id(http: httpx.Client, start: Start, statement: str) -> None:
    """It is seen in system.processes with its user, KILL … TEST leaves it, KILL … SYNC ends it with 394."""
    query_id = f"it's {uuid4()}\\ $1"
    quoted = query_id.replace("\\", "\\\\").replace("'", "\\'")
    asked = start(statement.replace("0.1", "0.2"), query_id=query_id)
    until(True, http, query_id)
    seen = http.post(
        "/", content="SELECT query_id, initial_query_id, user FROM system.processes AS p FORMAT JSONCompact"
    )
    assert [query_id, query_id, "default"] in seen.json()["data"]
    assert len(kill(http, quoted, "TEST").json()["data"]) == 1 and running(http, query_id)
    assert kill(http, "another").text == ""
    assert [row["kill_status"] for row in kill(http, quoted).json()["data"]] == ["finished"]
    answer = asked.result(20)
    assert b"QUERY_WAS_CANCELLED" in answer.content
    assert answer.complete == (answer.headers.get("X-ClickHouse-Exception-Code") == "394")
    assert answer.headers["X-ClickHouse-Query-Id"] == query_id
    assert not running(http, query_id)


def test_a_kill_goes_by_user_too(http: httpx.Client, server: ClickHouseServer, start: Start) -> None:
    """The users that logged in are told apart, and an analyst kills by no other condition than an id."""
    query_id = str(uuid4())
    slowly = {"max_block_size": "1", "function_sleep_max_microseconds_per_block": "0"}
    url = {"query_id": query_id, "user": "analyst", "password": "reads", **slowly}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as guest, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ended, guest, "SELECT sleepEachRow(0.1) FROM numbers(3000)", url)
        until(True, http, query_id)
        named = f"KILL QUERY WHERE query_id = '{query_id}'"
        for wider in (f"{named} OR 1", "KILL QUERY WHERE 1", f"KILL QUERY WHERE 1) OR (query_id = '{query_id}'",
                      f"{named} -- ", "KILL QUERY WHERE query_id = 'x\\' OR 1 --'", f"{named} SYNC; SELECT 1",
                      "KILL QUERY WHERE query_id = 'x' OR '1'", "KILL MUTATION WHERE database = 'x'"):  # fmt: skip
            refused = http.post("/", auth=("analyst", "reads"), content=wider)
            assert refused.headers["X-ClickHouse-Exception-Code"] in ("164", "62"), wider
        http.post("/", content="KILL QUERY WHERE user = 'nobody' ASYNC").raise_for_status()
        assert running(http, query_id)
        http.post("/", content="KILL QUERY WHERE user = 'analyst' AND `query_id` != 'x' SYNC").raise_for_status()
        assert b"QUERY_WAS_CANCELLED" in asked.result(20).content


def test_an_analyst_ends_its_own_statements_alone(http: httpx.Client, server: ClickHouseServer, start: Start) -> None:
    """As a driver's cancel does, by the id; the owner's statement runs on."""
    own, owners = str(uuid4()), str(uuid4())
    slowly = {"max_block_size": "1", "function_sleep_max_microseconds_per_block": "0"}
    url = {"user": "analyst", "password": "reads", **slowly}
    counting = start(COUNTING, query_id=owners)
    until(True, http, owners)
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as guest, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ended, guest, "SELECT sleepEachRow(0.1) FROM numbers(3000)", url | {"query_id": own})
        until(True, http, own)
        said = http.post("/", auth=("analyst", "reads"), content=f"KILL QUERY WHERE query_id = '{owners}' SYNC")
        assert (said.status_code, said.text) == (200, "") and running(http, owners)
        killed = http.post(
            "/", auth=("analyst", "reads"), content=f"kill query where `query_id`='{own}' sync format JSON;"
        )
        assert [row["kill_status"] for row in killed.json()["data"]] == ["finished"]
        assert b"QUERY_WAS_CANCELLED" in asked.result(20).content
    kill(http, owners)
    assert b"QUERY_WAS_CANCELLED" in counting.result(20).content


def test_a_running_id_is_refused(http: httpx.Client, start: Start) -> None:
    """A second statement with it is 216, unless it replaces the first one; afterwards the id is free."""
    query_id = str(uuid4())
    first = start(COUNTING, query_id=query_id)
    until(True, http, query_id)
    refused = http.post("/", params={"query_id": query_id}, content="SELECT 1")
    assert refused.headers["X-ClickHouse-Exception-Code"] == "216" and query_id in refused.text
    replaced = http.post("/", params={"query_id": query_id, "replace_running_query": "1"}, content="SELECT 2")
    assert replaced.text == "2\n" and replaced.headers["X-ClickHouse-Query-Id"] == query_id
    assert first.result(20).headers["X-ClickHouse-Exception-Code"] == "394"
    assert http.post("/", params={"query_id": query_id}, content="SELECT 3").text == "3\n"


@pytest.mark.parametrize("statement", [LONG, COUNTING, f"{LONG} FORMAT JSON"])
def test_a_client_that_leaves_cancels(http: httpx.Client, server: ClickHouseServer, statement: str) -> None:
    """With cancel_http_readonly_queries_on_client_close a statement that reads ends with its client, else it stays."""
    url = "cancel_http_readonly_queries_on_client_close=1&user=default&password=pass%3Aword"
    for head, ends in ((url, True), (url.replace("=1", "=0"), False)):
        query_id = str(uuid4())
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            host = f"Host: 127.0.0.1:{server.port}\r\nContent-Length: {len(statement)}"
            client.sendall(f"POST /?{head}&query_id={query_id} HTTP/1.1\r\n{host}\r\n\r\n{statement}".encode())
            until(True, http, query_id)
        if ends:
            until(False, http, query_id)
        else:
            assert running(http, query_id)
            kill(http, query_id)


def test_a_write_outlives_its_client(http: httpx.Client, server: ClickHouseServer, table: str) -> None:
    """Only what changes nothing is cancelled: an INSERT whose client has left is whole."""
    statement = f"INSERT INTO {table} SELECT number, toString(sleepEachRow(0.1)) FROM numbers(5)"
    url = "cancel_http_readonly_queries_on_client_close=1&user=default&password=pass%3Aword&max_block_size=1"
    query_id = str(uuid4())
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        host = f"Host: 127.0.0.1:{server.port}\r\nContent-Length: {len(statement)}"
        client.sendall(f"POST /?{url}&query_id={query_id} HTTP/1.1\r\n{host}\r\n\r\n{statement}".encode())
        until(True, http, query_id)
    until(False, http, query_id)
    assert http.post("/", content=f"SELECT count() FROM {table}").text == "5\n"


def test_every_answer_names_its_id(http: httpx.Client) -> None:
    """The client's id or a new one, of errors too; an id with a line's end in it makes no header of its own."""
    assert http.post("/", params={"query_id": "x"}, content="SELECT nope").headers["X-ClickHouse-Query-Id"] == "x"
    made = [http.post("/", content="SELECT 1").headers["X-ClickHouse-Query-Id"] for _ in range(2)]
    assert made[0] != made[1] and len(made[0]) == 36
    split = http.post("/", params={"query_id": "ä\r\nX-Forged: 1"}, content="SELECT 1")
    assert split.text == "1\n" and "X-Forged" not in split.headers
    assert split.headers["X-ClickHouse-Query-Id"] == "ä??X-Forged: 1"


def test_the_client_s_comment_stays_beside_the_id(http: httpx.Client) -> None:
    """log_comment carries the id: the client's own is a part of it."""
    asked = "SELECT getSetting('log_comment')"
    said = http.post("/", params={"log_comment": "mine", "query_id": "x"}, content=f"{asked} FORMAT TSVRaw").text
    assert json.loads(said) == {"query_id": "x", "user": "default", "log_comment": "mine"}


@pytest.mark.parametrize(
    "asked",
    [
        "SELECT count() FROM system.processes WHERE processes.query_id = 'here'",
        "SELECT count() FROM \"system\".`processes` p WHERE p.query_id = 'here'",
        "SELECT count() FROM system . processes /* system.processes */ AS x WHERE x.initial_query_id = 'here'",
        "SELECT count() FROM system.one JOIN system.processes ON 1 WHERE query_id = 'here'",
        "WITH 'FROM system.processes' AS t SELECT 1 FROM (SELECT * FROM system.processes) WHERE query_id = 'here'",
        "SELECT 1 IN (SELECT 1 FROM system.processes WHERE query_id = 'here')",
        "SELECT countIf(query_id = 'here') FROM system.processes FORMAT TSV",
        "SELECT countIf(system.processes.query_id = 'here') FROM system.processes",
        "SELECT count() FROM system.processes WHERE `system`.processes.user = 'default' AND query_id = 'here'",
    ],
)
def test_processes_are_asked_in_any_way(http: httpx.Client, asked: str) -> None:
    """The table has the clients' ids wherever a SELECT names it, with an alias and without."""
    assert http.post("/", params={"query_id": "here"}, content=asked).text == "1\n"


def test_a_row_shows_the_client_s_text(http: httpx.Client) -> None:
    """What runs in its place is nobody's to see."""
    asked = "SELECT query FROM system.processes WHERE query_id = 'here' FORMAT TSVRaw"
    assert http.post("/", params={"query_id": "here"}, content=asked).text == f"{asked}\n"


@pytest.mark.parametrize("asked", ["SHOW PROCESSLIST", "show processlist FORMAT TSV", "SHOW PROCESSLIST;"])
def test_the_process_list_has_the_clients_ids_and_texts(http: httpx.Client, asked: str) -> None:
    """SHOW PROCESSLIST shows what system.processes does."""
    shown = http.post("/", params={"query_id": "here"}, content=asked).text
    assert "\there\t" in shown and f"\t{asked}\t" in shown and "log_comment']" not in shown


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ("system.processes FINAL", "181"),
        ("system.processes p FINAL", "181"),
        ("system.processes AS p FINAL WHERE 1", "181"),
        ("system.processes SAMPLE 1", "141"),
    ],
)
def test_what_processes_do_not_have_is_said_of_the_table(http: httpx.Client, table: str, code: str) -> None:
    """As ClickHouse says it; nothing of what the front puts in the table's place is shown."""
    refused = http.post("/", content=f"SELECT count() FROM {table}")
    assert refused.headers["X-ClickHouse-Exception-Code"] == code and "log_comment" not in refused.text
