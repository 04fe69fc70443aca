"""No statement reaches files, programs or the network, whoever sends it and however it is written."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from reaching_statements import OUTWARD, READS, WRITES

from headrace.embedded.clickhouse import ClickHouseServer

pytestmark = pytest.mark.stack

USERS = [("default", "pass:word"), ("analyst", "reads")]
CANARY = "CANARY-5e1f"


@dataclass
class Outside:
    """A folder with a file that nobody may read, and a port to which nothing may connect."""

    folder: Path
    listener: socket.socket
    visits: list[object] = field(default_factory=list)

    def filled(self, statement: str) -> str:
        host, port = self.listener.getsockname()
        return (
            statement.replace("¶", "\n")
            .replace("{{", "{")
            .replace("}}", "}")
            .replace("{d}", str(self.folder))
            .replace("{net}", f"{host}:{port}")
        )

    def accept(self) -> None:
        while True:
            try:
                taken, visitor = self.listener.accept()
            except OSError:
                return
            self.visits.append(visitor)
            taken.close()


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    folder = tmp_path_factory.mktemp("outside")
    for name in ("canary", "canary.csv"):
        (folder / name).write_text(f"{CANARY}\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Outside(folder, listener)
        threading.Thread(target=made.accept, daemon=True).start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module", params=USERS, ids=lambda user: user[0])
def someone(server: ClickHouseServer, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, auth=USERS[0], timeout=60, trust_env=False) as owner:
        made = "CREATE OR REPLACE TABLE one (a String) ENGINE = MergeTree ORDER BY a"
        owner.post("/", content=made).raise_for_status()
    with httpx.Client(base_url=server.url, auth=request.param, timeout=60, trust_env=False) as made_client:
        yield made_client


def listed(statements: str) -> list[str]:
    return [line for line in statements.splitlines() if line]


@pytest.mark.parametrize("group", [READS, OUTWARD, WRITES], ids=["reads", "outward", "writes"])
def test_nothing_outside_is_reached(someone: httpx.Client, outside: Outside, group: str) -> None:
    """Each statement fails for the owner and for the analyst; no file is read or written, nothing is connected to."""
    before = sorted(outside.folder.rglob("*"))
    done = []
    for statement in map(outside.filled, listed(group)):
        answer = someone.post("/", content=statement)
        assert CANARY not in answer.text, statement
        assert "headrace/embedded" not in answer.text, statement
        # The engine reads VALUES up to a semicolon and never what follows.
        if answer.status_code == 200 and not re.match(r"INSERT INTO one.* VALUES \(1\);", statement):
            done.append(statement)
    assert done == []
    assert sorted(outside.folder.rglob("*")) == before and outside.visits == []
    assert CANARY not in someone.post("/", content="SELECT groupArray(a) FROM one").text


def test_no_setting_of_the_url_opens_a_way(someone: httpx.Client, outside: Outside) -> None:
    """What a statement may not set, the URL, a session and a header may not either."""
    canary = f"{outside.folder}/canary"
    for url in (
        {"format_template_row": canary}, {"format_template_resultset": canary}, {"format_schema": f"{canary}:X"},
        {"dialect": "prql"}, {"dialect": "kusto", "allow_experimental_kusto_dialect": "1"},
        {"additional_result_filter": f"throwIf(1, file('{canary}'))"}, {"output_format_schema": f"{canary}.x"},
        {"input_format_record_errors_file_path": f"{canary}.x"}, {"database": "_files"},
        {"format_avro_schema_registry_url": "http://127.0.0.1:9"}, {"allow_experimental_eval_table_function": "1"},
        {"default_format": f"CSV INTO OUTFILE '{canary}.x'"}, {"default_format": "CSV\n1; SELECT 1"},
    ):  # fmt: skip
        refused = someone.post("/", params=url, content="SELECT 1")
        assert refused.status_code != 200 and CANARY not in refused.text, url
    header = {"X-ClickHouse-Format": f"CSV INTO OUTFILE '{canary}.x'"}
    assert someone.post("/", headers=header, content="SELECT 1").headers["X-ClickHouse-Exception-Code"] == "73"
    assert not Path(f"{canary}.x").exists()


def test_a_client_s_table_reaches_nothing(server: ClickHouseServer, outside: Outside) -> None:
    """The structure of an external table is SQL: engines, defaults and further statements in it are refused."""
    with httpx.Client(base_url=server.url, auth=USERS[0], trust_env=False) as http:
        for structure in (
            f"a String DEFAULT file('{outside.folder}/canary'), b Int8",
            f"a Int8) ENGINE = EmbeddedRocksDB(0, '{outside.folder}/written') PRIMARY KEY a -- ",
            f"a Int8) ENGINE = Memory; SELECT 1 INTO OUTFILE '{outside.folder}/written' -- ",
        ):
            url = {"query": "SELECT * FROM x", "x_structure": structure, "x_format": "JSONEachRow"}
            refused = http.post("/", params=url, files={"x": ("x", b'{"b": 1}\n')})
            assert refused.status_code != 200 and CANARY not in refused.text
    assert not (outside.folder / "written").exists()


def test_files_of_the_machine_are_no_tables(http: httpx.Client, outside: Outside) -> None:
    """No database shows the file system, and nobody learns whether a file exists."""
    databases = http.post("/", content="SELECT name, engine FROM system.databases FORMAT TSV").text
    assert "Filesystem" not in databases and "Overlay" not in databases and "default\tAtomic" in databases
    for name in ("default", "_files"):
        assert http.post("/", content=f"EXISTS {name}.`{outside.folder}/canary.csv`").text == "0\n"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count() FROM one WHERE a ILIKE '%file(s)%'",
        "SELECT count() FROM one WHERE a LIKE '%open(file(x))%' OR a = 'it''s url(1) INTO OUTFILE ''x'''",
        r"SELECT countIf(position(a, 'profile(\'') > 0) AS with_code FROM one",
        "SELECT 'file(s)' AS file, a AS url, 1 AS `s3` FROM one -- file('x')",
        "WITH file AS (SELECT 1 AS remote) SELECT remote FROM file /* INTO OUTFILE 'x' */",
        "SELECT disk.1 FROM (SELECT (1, 2) AS disk)",
        "SELECT url.a AS python FROM one AS url",
        "SELECT * FROM values('a String', 'file(s)')",
        "SELECT * FROM generateRandom('a Int8', 1) LIMIT 1",
        "DESCRIBE TABLE one",
        "SHOW CREATE TABLE one",
        "SELECT formatQuery('SELECT file(1)')",
        "EXPLAIN AST SELECT 'file(1)'",
    ],
)
def test_words_are_no_calls(someone: httpx.Client, query: str) -> None:
    """A name in a literal, a comment or another role, and functions that reach nothing, are fine for everyone."""
    answer = someone.post("/", content=query)
    assert answer.status_code == 200, answer.text


def test_a_table_may_be_called_as_a_function_is(http: httpx.Client) -> None:
    """Names of functions and engines are free for tables and columns, also in an INSERT with a list of columns."""
    for statement in (
        "CREATE TABLE file (url String, remote String) ENGINE = MergeTree ORDER BY url",
        "ALTER TABLE file ADD COLUMN s3 JSON(max_dynamic_paths = 4, a.b UInt8, c Array(String), SKIP d) DEFAULT '{}'",
        "INSERT INTO file (url, remote) SELECT 'a', 'file(1)'",
        "INSERT INTO file (url, remote) VALUES ('b', 'url(1); SELECT 1 INTO OUTFILE x')",
        "INSERT INTO file (url, remote) SETTINGS async_insert = 0 VALUES ('c', '')",
        "ALTER TABLE file ADD COLUMN disk String",
        "DROP TABLE file",
    ):
        answer = http.post("/", content=statement)
        assert answer.status_code == 200, answer.text
        if "DROP" not in statement:
            count = http.post("/", content="SELECT count() FROM file").text
    assert count == "3\n"
