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

from headrace.embedded.clickhouse import ClickHouseServer

pytestmark = pytest.mark.stack

USERS = [("default", "pass:word"), ("analyst", "reads")]
CANARY = "CANARY-5e1f"

# {d} is a folder with a file `canary`; {net} an address that listens; ¶ a new line.
READS = r"""
SELECT file('{d}/canary')
SELECT file('{d}/canary', 'otherwise')
SELECT `file`('{d}/canary')
SELECT "file"('{d}/canary')
SELECT `fil\x65`('{d}/canary')
SELECT "\x66ile" /* a comment */ ('{d}/canary')
SELECT file -- a comment
SELECT file/**/(/**/'{d}/canary'/**/)
SELECT FILE('{d}/canary')
SELECT file(materialize('{d}/canary'))
SELECT file(toNullable('{d}/canary'))
SELECT file(path) FROM (SELECT '{d}/canary' AS path)
SELECT arrayMap(file, ['{d}/canary'])
SELECT arrayMap(path -> file(path), ['{d}/canary'])
SELECT * APPLY file FROM (SELECT '{d}/canary')
SELECT * REPLACE (file(a) AS a) FROM (SELECT '{d}/canary' AS a)
WITH file('{d}/canary') AS x SELECT x
WITH x AS (SELECT file('{d}/canary')) SELECT * FROM x
SELECT (SELECT file('{d}/canary'))
SELECT 1 WHERE file('{d}/canary') = ''
SELECT 1 ORDER BY file('{d}/canary')
SELECT throwIf(1, file('{d}/canary'))
DESCRIBE (SELECT file('{d}/canary') AS x)
EXPLAIN SELECT file('{d}/canary')
EXPLAIN SYNTAX SELECT * FROM file('{d}/canary', 'LineAsString')
SELECT * FROM file('{d}/canary', 'LineAsString')
SELECT * FROM File('{d}/canary', 'LineAsString')
SELECT * FROM FILE('{d}/canary', 'LineAsString')
SELECT * FROM `file`('{d}/canary', 'LineAsString')
SELECT * FROM `f\x69le`('{d}/canary', 'LineAsString')
SELECT * FROM(SELECT * FROM file('{d}/canary', LineAsString))
SELECT * FROM view(SELECT * FROM file('{d}/canary', 'LineAsString'))
SELECT * FROM loop(file('{d}/canary', 'LineAsString')) LIMIT 1
SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('{d}/canary')))
SELECT * FROM values('a String', (file('{d}/canary')))
SELECT * FROM format(Values, 'a String', '(file(\'{d}/canary\'))')
SELECT * FROM format(Values, 'a String', '((SELECT * FROM file(\'{d}/canary\', \'LineAsString\')))')
SELECT * FROM format(JSONEachRow, 'b Int8, a String DEFAULT file(\'{d}/canary\')', '{{"b": 1}}')
SELECT * FROM eval('SELECT file(\'{d}/canary\')') SETTINGS allow_experimental_eval_table_function = 1
SELECT 1 SETTINGS additional_result_filter = 'throwIf(1, file(\'{d}/canary\'))'
SELECT * FROM one SETTINGS additional_table_filters = {{'one': 'throwIf(1, file(\'{d}/canary\'))'}}
SELECT * FROM fileCluster('default', '{d}/canary', 'LineAsString')
SELECT * FROM filesystem('{d}')
SELECT * FROM deltaLakeLocal('{d}')
SELECT * FROM icebergLocal('{d}')
SELECT * FROM sqlite('{d}/canary', 't')
SELECT * FROM default.`{d}/canary.csv`
SELECT * FROM `{d}/canary.csv`
SELECT * FROM '{d}/canary.csv'
SELECT * FROM _files.`{d}/canary.csv`
SELECT * FROM merge('_files', 'canary')
DESCRIBE TABLE file('{d}/canary', 'CSV')
DESCRIBE /**/ `fil\x65`('{d}/canary', 'CSV')
SELECT * FROM executable('cat', 'LineAsString', 'a String')
SELECT * FROM Python(USERS)
SELECT * FROM python('os')
SELECT 1 IN file('{d}/canary', 'LineAsString')
SELECT 1 IN (file('{d}/canary'))
SELECT * FROM (SELECT 1) AS a JOIN file('{d}/canary', 'LineAsString') AS b ON 1
SELECT * FROM values(file('{d}/canary'))
SELECT $a$ ' $a$, file('{d}/canary'), $a$ ' $a$
SELECT 1 AS a$a$, file('{d}/canary'), 1 AS b$a$
WITH RECURSIVE x AS (SELECT file('{d}/canary')) SELECT * FROM x
SELECT sum(1) OVER (PARTITION BY file('{d}/canary'))
SELECT 1 QUALIFY file('{d}/canary') = ''
SELECT '' INTERSECT SELECT file('{d}/canary')
EXPLAIN PIPELINE SELECT file('{d}/canary')
EXPLAIN QUERY TREE SELECT throwIf(1, file('{d}/canary'))
EXPLAIN ESTIMATE SELECT * FROM file('{d}/canary', 'LineAsString')
SELECT 'FROM system.processes', * FROM system.processes AS processes, file('{d}/canary', 'LineAsString')
SELECT ‘FROM system.processes ’, file('{d}/canary') AS `’`
SELECT $a$FROM system.processes $a$, file('{d}/canary')
SELECT * FROM system.processes WHERE query_id = file('{d}/canary')
SELECT ‘ FROM system.processes WHERE ’ AS a, file('{d}/canary') AS ‘b’
KILL QUERY WHERE query_id = file('{d}/canary')
KILL QUERY WHERE ‘query_id’ = '' OR throwIf(1, file('{d}/canary'))
KILL QUERY WHERE $$ query_id $$ = (SELECT * FROM file('{d}/canary', 'LineAsString')) TEST
SELECT 1 FORMAT Template SETTINGS format_template_resultset = '{d}/canary'
SELECT 1 FORMAT Template SETTINGS format_template_row = '{d}/canary'
SELECT 1 FORMAT Protobuf SETTINGS format_schema = '{d}/canary:X'
"""
OUTWARD = r"""
SELECT * FROM url('http://{net}/', 'LineAsString')
SELECT * FROM `u\x72l`('http://{net}/', 'LineAsString')
SELECT * FROM URL('http://{net}/', 'LineAsString', 'a String')
SELECT * FROM urlCluster('default', 'http://{net}/', 'LineAsString', 'a String')
SELECT * FROM s3('http://{net}/bucket/x', 'CSV', 'a String')
SELECT * FROM s3('http://{net}/bucket/x', NOSIGN, 'CSV', 'a String')
SELECT * FROM gcs('http://{net}/bucket/x', 'CSV', 'a String')
SELECT * FROM iceberg('http://{net}/bucket/x')
SELECT * FROM hudi('http://{net}/bucket/x')
SELECT * FROM deltaLake('http://{net}/bucket/x')
SELECT * FROM hdfs('hdfs://{net}/x', 'CSV', 'a String')
SELECT * FROM azureBlobStorage('http://{net}/x', 'x', 'y', 'a', 'Yg==', 'CSV', 'auto', 'a String')
SELECT * FROM remote('{net}', system.one)
SELECT * FROM remoteSecure('{net}', system.one)
SELECT * FROM cluster('default', system.one)
SELECT * FROM mysql('{net}', 'a', 'b', 'c', 'd')
SELECT * FROM postgresql('{net}', 'a', 'b', 'c', 'd')
SELECT * FROM mongodb('{net}', 'a', 'b', 'c', 'd', 'a String')
SELECT * FROM redis('{net}', 'a', 'a String')
SELECT * FROM odbc('DSN=x', 'a', 'b')
SELECT * FROM jdbc('http://{net}', 'a', 'b')
SELECT * FROM format(AvroConfluent, 'a String', '\0\0\0\0\x01x') SETTINGS format_avro_schema_registry_url = 'http://{net}/'
SELECT aiGenerate('x')
"""
WRITES = r"""
SELECT 1 INTO OUTFILE '{d}/written'
SELECT 1 INTO/**/OUTFILE '{d}/written' TRUNCATE FORMAT CSV
SELECT ‘'’ INTO OUTFILE '{d}/written' --'
EXPLAIN SELECT 1 INTO OUTFILE '{d}/written'
SHOW TABLES INTO OUTFILE '{d}/written'
SHOW CREATE TABLE one INTO OUTFILE '{d}/written'
DESCRIBE TABLE one INTO OUTFILE '{d}/written'
EXISTS TABLE one INTO OUTFILE '{d}/written'
INSERT INTO FUNCTION file('{d}/written', 'CSV', 'a Int8') SELECT 1
INSERT INTO TABLE FUNCTION `fil\x65`('{d}/written', 'CSV', 'a Int8') SELECT 1
INSERT INTO FUNCTION file('{d}/written', 'CSV', 'a Int8') VALUES (1)
INSERT INTO FUNCTION null('a Int8') VALUES (1); SELECT 1 INTO OUTFILE '{d}/written'
INSERT INTO one VALUES (1); SELECT 1 INTO OUTFILE '{d}/written'
INSERT INTO one SETTINGS async_insert = 0 VALUES (1); SELECT 1 INTO OUTFILE '{d}/written'
INSERT INTO one FROM INFILE '{d}/canary' FORMAT LineAsString
WITH 1 AS x INSERT INTO one FROM INFILE '{d}/canary' FORMAT LineAsString
WITH file('{d}/canary') AS x INSERT INTO one SELECT x
WITH x AS (SELECT * FROM file('{d}/canary', 'LineAsString')) INSERT INTO one SELECT * FROM x
WITH 1 AS x INSERT INTO FUNCTION file('{d}/written', 'CSV', 'a Int8') SELECT 1
WITH 1 AS x INSERT INTO FUNCTION file('{d}/written', 'CSV', 'a Int8') FORMAT CSV 1
WITH 1 AS x INSERT INTO one VALUES (file('{d}/canary'))
WITH 1 AS x INSERT INTO one (a) FORMAT Values (file('{d}/canary'))
INSERT one VALUES (file('{d}/canary'))
INSERT one FROM INFILE '{d}/canary' FORMAT LineAsString
INSERT FUNCTION file('{d}/written', 'CSV', 'a Int8') VALUES (1)
INSERT TABLE FUNCTION file('{d}/written', 'CSV', 'a Int8') VALUES (1)
INSERT INTO one (* EXCEPT(a)) FORMAT Values (file('{d}/canary'))
INSERT INTO one (* EXCEPT(b)) SELECT file('{d}/canary')
INSERT INTO one FORMAT CSV SETTINGS format_template_row = '{d}/canary'¶1
INSERT INTO one FORMAT Template SETTINGS format_template_row = '{d}/canary', format_template_resultset = '{d}/canary'¶1
INSERT INTO one SETTINGS max_threads = 1 FROM INFILE '{d}/canary' FORMAT LineAsString
INSERT INTO one SELECT file('{d}/canary')
INSERT INTO one VALUES (file('{d}/canary'))
INSERT INTO one VALUES ((SELECT * FROM file('{d}/canary', 'LineAsString')))
INSERT INTO one SELECT * FROM input('a String DEFAULT file(\'{d}/canary\'), b Int8') FORMAT JSONEachRow {{"b": 1}}
INSERT INTO one SELECT a FROM input('a Int8) ENGINE = File(CSV, \'{d}/written\') -- ') FORMAT CSV 1
CREATE TABLE x (a String) ENGINE = File(CSV, '{d}/written')
CREATE TEMPORARY TABLE x (a String) ENGINE = File(CSV, '{d}/written')
CREATE TABLE x (a String) ENGINE = `Fil\x65`(CSV)
CREATE TABLE x (a String) ENGINE = URL('http://{net}/', CSV)
CREATE TABLE x (a String) ENGINE = S3('http://{net}/bucket/x', 'CSV')
CREATE TABLE x (a String) ENGINE = MySQL('{net}', 'a', 'b', 'c', 'd')
CREATE TABLE x (a String) ENGINE = Kafka('{net}', 'a', 'b', 'CSV')
CREATE TABLE x (a String) ENGINE = Executable('cat', CSV)
CREATE TABLE x (a String) ENGINE = ExecutablePool('cat', CSV)
CREATE TABLE x (a String, b String) ENGINE = EmbeddedRocksDB(0, '{d}/written') PRIMARY KEY a
CREATE TABLE x (a String) ENGINE = SQLite('{d}/written', 't')
CREATE TABLE x (a String) ENGINE = Distributed('default', 'default', 'one')
CREATE TABLE x AS file('{d}/canary', 'LineAsString')
CREATE TABLE x ENGINE = Memory AS SELECT * FROM file('{d}/canary', 'LineAsString')
CREATE TABLE x (a Int8, b String DEFAULT file('{d}/canary')) ENGINE = Memory
CREATE TABLE x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '{d}/written/')
CREATE TABLE x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = web, endpoint = 'http://{net}/')
CREATE VIEW x AS SELECT file('{d}/canary')
CREATE MATERIALIZED VIEW x TO one AS SELECT file('{d}/canary') AS a FROM one
CREATE DATABASE x ENGINE = Filesystem('{d}')
CREATE DATABASE x ENGINE = `F\x69lesystem`('{d}')
ATTACH DATABASE x ENGINE = Filesystem('{d}')
ATTACH DATABASE _files
CREATE DATABASE x ENGINE = SQLite('{d}/written')
CREATE DATABASE x ENGINE = MySQL('{net}', 'a', 'b', 'c')
CREATE DATABASE x ENGINE = Overlay('_files')
CREATE DICTIONARY x (a String) PRIMARY KEY a SOURCE(FILE(path '{d}/canary' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)
CREATE DICTIONARY x (a String) PRIMARY KEY a SOURCE(HTTP(url 'http://{net}/' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)
CREATE FUNCTION x AS path -> file(path)
CREATE TABLE x (a JSON(a UInt8), b String DEFAULT file('{d}/canary')) ENGINE = Memory
CREATE TABLE x (a JSON(a UInt8)) ENGINE = File(CSV, '{d}/written')
CREATE TABLE x (a JSON(file UInt8)) ENGINE = Memory AS SELECT toJSONString(file('{d}/canary'))
CREATE TABLE x (a JSON(a UInt8), b String) ENGINE = Memory AS SELECT '{{}}', file('{d}/canary')
CREATE TABLE x (`a JSON(b)` JSON(a UInt8), c String DEFAULT file('{d}/canary')) ENGINE = Memory
CREATE TABLE x (a JSON(a UInt8), b String) ENGINE = Memory AS SELECT '{{}}', --JSON(¶file('{d}/canary')--)¶
CREATE TABLE x (j JSON(a UInt8), b String) ENGINE = Memory AS SELECT '{{}}', ‘JSON(’, file('{d}/canary') --)
 INSERT INTO one FORMAT CSV¶x¶¶SELECT 1 INTO OUTFILE '{d}/written'
EXPLAIN INSERT INTO one FORMAT CSV¶x¶¶SELECT 1 INTO OUTFILE '{d}/written'
CREATE TABLE x (a String) ENGINE = EmbeddedRocksDB(0, '{d}/written') PRIMARY KEY a PARALLEL WITH DESCRIBE TABLE one
DROP FUNCTION file
CREATE OR REPLACE FUNCTION file AS path -> path
INSERT INTO one SELECT 'a' FORMAT CSV¶¶SELECT 1 INTO OUTFILE '{d}/written'
INSERT INTO one SELECT 'a' FORMAT Values ('x')¶¶SELECT 1 INTO OUTFILE '{d}/written'
WITH 'a' AS x INSERT INTO one SELECT x FORMAT CSV¶¶SELECT 1 INTO OUTFILE '{d}/written'
WITH 'a' AS x INSERT INTO one SELECT x FORMAT CSV¶¶SELECT * FROM Python(USERS)
CREATE NAMED COLLECTION x AS url = 'http://{net}/'
ATTACH TABLE x FROM '{d}/' (a Int8) ENGINE = MergeTree ORDER BY a
ATTACH TABLE x UUID '00000000-0000-4000-8000-000000000001' (a Int8) ENGINE = File(CSV, '{d}/canary')
ALTER TABLE one ADD COLUMN b String DEFAULT file('{d}/canary')
ALTER TABLE one UPDATE a = file('{d}/canary') WHERE 1
ALTER TABLE one MODIFY SETTING disk = disk(type = local, path = '{d}/written/')
ALTER TABLE one FREEZE
ALTER TABLE one FETCH PARTITION tuple() FROM '/x'
BACKUP TABLE one TO File('{d}/written')
BACKUP TABLE one TO Disk('default', 'written')
RESTORE TABLE one AS two FROM File('{d}/canary')
SYSTEM SHUTDOWN
SYSTEM JEMALLOC FLUSH PROFILE
SYSTEM UNFREEZE WITH NAME 'x'
SET format_template_row = '{d}/canary'
SET dialect = 'kusto'
SET output_format_schema = '{d}/written'
DROP DATABASE default
GRANT ALL ON *.* TO default
CREATE USER x
EXECUTE AS default SELECT 1
"""


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
