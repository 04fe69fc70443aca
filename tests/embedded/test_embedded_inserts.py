"""What goes wrong while an INSERT writes reaches the client: an insert that was answered with success is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

pytestmark = pytest.mark.stack

ROWS = b"".join(b'{"a": %d, "s": "x%d"}\n' % (number, number) for number in range(300))


@pytest.fixture
def place(http: httpx.Client) -> Iterator[str]:
    name = f"w_{uuid4().hex}"
    partitions = "PARTITION BY a % 200 ORDER BY a"
    made = f"CREATE TABLE {name} (a UInt64, s String, t String DEFAULT concat(s, '!'), m String MATERIALIZED s)"
    http.post("/", content=f"{made} ENGINE = MergeTree {partitions}").raise_for_status()
    yield name
    http.post("/", content=f"DROP TABLE {name}").raise_for_status()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ALTER TABLE {} ADD CONSTRAINT c CHECK s != 'x77'", "469"),
        ("ALTER TABLE {} MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000000", "243"),
        ("ALTER TABLE {} MODIFY SETTING table_readonly = 1", "774"),
        ("SELECT 1", "252"),
    ],
    ids=["constraint", "disk full", "read-only", "too many partitions"],
)
@pytest.mark.parametrize("columns", ["", " (a, s)"])
def test_a_failed_write_is_told(http: httpx.Client, place: str, change: str, code: str, columns: str) -> None:
    """ClickHouse's code, and no row: the engine's own streamed insert answers each of them with success."""
    http.post("/", content=change.format(place)).raise_for_status()
    url = {"query": f"INSERT INTO {place}{columns} FORMAT JSONEachRow"}
    rows = ROWS if code == "252" else b"".join(ROWS.splitlines(keepends=True)[:90])
    refused = http.post("/", params=url, content=rows)
    assert refused.headers.get("X-ClickHouse-Exception-Code") == code
    assert http.post("/", content=f"SELECT count() FROM {place}").text == "0\n"


@pytest.mark.parametrize("head", ["INSERT INTO {}", "INSERT INTO TABLE `{}`", "INSERT INTO default.{} (a, s)"])
def test_defaults_and_columns_are_the_tables(http: httpx.Client, place: str, head: str) -> None:
    """An omitted column takes its default, a materialized one its expression; the summary counts the rows."""
    url = {"query": f"{head.format(place)} FORMAT JSONEachRow"}
    found = http.post("/", params=url, content=b'{"a": 1, "s": "x"}\n{"s": "y", "a": 2}\n')
    assert found.status_code == 200, found.text
    assert json.loads(found.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert http.post("/", content=f"SELECT a, s, t, m FROM {place} ORDER BY a").text == "1\tx\tx!\tx\n2\ty\ty!\ty\n"


def test_an_insert_into_a_function_tells_its_errors_too(http: httpx.Client, place: str) -> None:
    """What is not a plain table goes the engine's ordinary way."""
    url = {"query": f"INSERT INTO FUNCTION remote('127.0.0.1:1', default.{place}) FORMAT JSONEachRow"}
    assert http.post("/", params=url, content=b'{"a": 1}').status_code >= 400
    null = {"query": "INSERT INTO FUNCTION null('a UInt64') FORMAT JSONEachRow"}
    assert http.post("/", params=null, content=b'{"a": 1}').status_code == 200
