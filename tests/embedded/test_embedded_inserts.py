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


@pytest.mark.parametrize(
    "head",
    ["INSERT INTO FUNCTION null('a UInt64')", "INSERT INTO {} (COLUMNS('a'))", "INSERT INTO {} (a) PARTITION BY a"],
)
def test_data_goes_to_columns_of_a_table(http: httpx.Client, place: str, head: str) -> None:
    """Data for anything else is refused: the engine would run what follows VALUES (…); as further statements."""
    url = {"query": f"{head.format(place)} FORMAT JSONEachRow"}
    refused = http.post("/", params=url, content=b'{"a": 1}')
    assert refused.headers["X-ClickHouse-Exception-Code"] == "48", refused.text
    assert "input(" in refused.text
    assert http.post("/", content="INSERT INTO FUNCTION null('a UInt64') SELECT 1").status_code == 200


@pytest.mark.parametrize("left_out", ["s", "(s)", "(`s`, t)", '"s"'])
def test_data_goes_to_all_columns_but_some(http: httpx.Client, place: str, left_out: str) -> None:
    """(* EXCEPT …), as the client for Node writes it: the others in their order, defaults for those left out."""
    insert = f"INSERT INTO {place} (* EXCEPT {left_out}) FORMAT JSONCompactEachRow"
    row = "[1]" if "," in left_out else '[1, "!"]'
    http.post("/", content=f"{insert} {row}").raise_for_status()
    assert http.post("/", content=f"SELECT a, s, t FROM {place}").text == "1\t\t!\n"


def test_settings_of_an_insert_with_data_hold(http: httpx.Client, place: str) -> None:
    """SETTINGS between the columns and the data reach the statement that writes."""
    insert = f"INSERT INTO {place} (a, s) SETTINGS max_partitions_per_insert_block = 1, async_insert = 0 FORMAT CSV"
    refused = http.post("/", params={"query": insert}, content=b"1,x\n2,y\n")
    assert refused.headers["X-ClickHouse-Exception-Code"] == "252"
    assert http.post("/", params={"query": insert}, content=b"1,x\n").status_code == 200


def test_an_ephemeral_column_takes_data_when_named(http: httpx.Client) -> None:
    """Defaults are computed from it; without its name the data has no such column."""
    name = f"e_{uuid4().hex}"
    made = f"CREATE TABLE {name} (a UInt64, e String EPHEMERAL 'none', `n.x` Array(Int8), d String DEFAULT upper(e))"
    http.post("/", content=f"{made} ENGINE = MergeTree ORDER BY a").raise_for_status()
    for columns, row in (("(a, e)", b"1\tx\n"), ("", b"2\t[7]\td\n"), ("(a, n.x)", b"3\t[8]\n")):
        answer = http.post("/", params={"query": f"INSERT INTO {name} {columns} FORMAT TSV"}, content=row)
        assert answer.status_code == 200, answer.text
    found = http.post("/", content=f"SELECT a, n.x, d FROM {name} ORDER BY a").text
    assert found == "1\t[]\tX\n2\t[7]\td\n3\t[8]\tNONE\n"
    http.post("/", content=f"DROP TABLE {name}").raise_for_status()
