"""`headrace sql` beside a real ClickHouse: who it logs in as, where it writes, what it says of a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from headrace.cli.clickhouse import sentence
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def sql(headrace_with: Any, database: Settings) -> Any:
    """`headrace sql …`."""
    headrace = headrace_with(database)
    return lambda *arguments, stdin="": headrace("sql", *arguments, stdin=stdin)


@pytest.fixture(scope="module")
def guarded(headrace_with: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The command line beside a ClickHouse whose users have passwords; it knows that of the parts alone."""
    env = {"HEADRACE_CLICKHOUSE_PASSWORD": "parts", "HEADRACE_ANALYST_PASSWORD": "reads"}
    with ClickHouseServer(tmp_path_factory.mktemp("guarded"), env=env) as server:
        settings = Settings(clickhouse=server.url, clickhouse_password="parts", database="default", embedded=())
        yield headrace_with(settings)


def test_schema_warehouse_is_what_the_database_says(headrace_with: Any, database: Settings) -> None:
    """`headrace schema warehouse` prints every table and view with its columns and their meaning."""
    said = headrace_with(database)("schema", "warehouse")
    assert said.code == 0 and said.out.startswith("## Views\n")
    assert "### audit_current\n" in said.out and "| `cost` | `Float64` | US dollars for this answer |" in said.out


def test_it_reads_as_the_analyst(sql: Any) -> None:
    """Without a word about it a query has the analyst's limits and writes nothing; --as-owner lifts both."""
    limit = "SELECT getSetting('max_execution_time') FORMAT TSV"
    assert (sql(limit).out, sql(limit, "--as-owner").out) == ("60\n", "0\n")
    refused = sql("CREATE TABLE mine (a UInt8) ENGINE = MergeTree ORDER BY a")
    assert refused.code == 2 and "`headrace sql` only reads: --as-owner logs in as the parts do" in refused.err
    assert sql("CREATE TABLE mine (a UInt8) ENGINE = MergeTree ORDER BY a", "--as-owner").code == 0
    assert sql("SELECT count() FROM mine FORMAT TSV").out == "0\n"


def test_it_never_reads_as_the_owner_unasked(guarded: Any) -> None:
    """With the analyst's password unknown it says which variable to set, and --as-owner is the only other way."""
    refused = guarded("sql", "SELECT 1 FORMAT TSV")
    assert refused.code == 2 and refused.out == ""
    assert "refused the login of analyst; set HEADRACE_ANALYST_PASSWORD" in refused.err
    assert guarded("sql", "SELECT 1 FORMAT TSV", "--as-owner").out == "1\n"


def test_output_is_whole_or_not_there(sql: Any, tmp_path: Path) -> None:
    """A file's name says its format; a query that fails leaves neither the file nor a part of it."""
    table, parquet, other = (tmp_path / name for name in ("rows.csv", "rows.parquet", "rows.xlsx"))
    query = "SELECT number AS n, number * 2 AS twice FROM numbers(3)"
    assert sql(query, "--output", str(table)).out == ""
    assert table.read_text() == '"n","twice"\n0,0\n1,2\n2,4\n'
    assert sql(query, "-o", str(parquet)).code == 0
    assert pyarrow.parquet.read_table(parquet).to_pydict() == {"n": [0, 1, 2], "twice": [0, 2, 4]}
    assert "rows.xlsx does not say what it holds: name it .csv, .tsv" in sql(query, "-o", str(other)).err
    assert sql(query, "-o", str(other), "--format", "TSV").code == 0
    table.unlink()
    late = sql("SELECT throwIf(number = 900000) FROM numbers(1000000)", "-o", str(table), "--format", "CSV")
    assert late.code == 2 and "throwIf" in late.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "rows.xlsx"]


def test_standard_input_is_a_file(sql: Any) -> None:
    """`-f -` reads the SQL from standard input, and a mistake in it is told with its line."""
    assert sql("-f", "-", "--format", "TSV", stdin="SELECT 1\n+ 1").out == "2\n"
    said = sql("-f", "-", stdin="SELECT 1,\n       2 AS AS two\nFROM system.one")
    assert said.code == 2
    assert said.err.startswith("headrace: standard input, line 2, column ")
    assert "Syntax error" in said.err and "Expected" not in said.err


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        (
            "Code: 47. DB::Exception: Unknown expression identifier `nothing`. In scope SELECT nothing FROM t. "
            "(UNKNOWN_IDENTIFIER) (version 26.9.2.1)",
            47,
            "q.sql: Unknown expression identifier `nothing` (UNKNOWN_IDENTIFIER)",
        ),
        (
            "Code: 158. DB::Exception: Limit for rows exceeded. (TOO_MANY_ROWS) (version 26.9.2.1)",
            158,
            "q.sql: Limit for rows exceeded. (TOO_MANY_ROWS); ask for less (a shorter time, fewer columns), or log in "
            "without the analyst's limits: --as-owner",
        ),
    ],
)
def test_a_complaint_is_short(said: str, code: int, expected: str) -> None:
    """ClickHouse's words without what repeats the query, and what to do about a limit."""
    assert sentence(said, "q.sql", code) == expected
