"""A database of the version before becomes one of this version: `before/` holds its schema, and rows that it wrote."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headrace.errors import SettingsError
from headrace.settings import Settings
from headrace.warehouse import Warehouse, engines, migration, query_text
from headrace.warehouse.client import query_names

pytestmark = pytest.mark.stack

BEFORE = Path(__file__).parent / "before"
SCHEMA = """
SELECT table, name, position, type, default_expression AS more, comment
FROM system.columns WHERE database = currentDatabase()
UNION ALL
SELECT table, name, 0, type_full, expr, '' FROM system.data_skipping_indices WHERE database = currentDatabase()
UNION ALL
SELECT name, partition_key, 0, engine, sorting_key, comment FROM system.tables WHERE database = currentDatabase()
"""
VALUES = {
    "String": "2026-03-04 12:00:00",
    "UUID": str(uuid4()),
    "DateTime": "2026-03-04 12:00:00",
    "Float64": 0.5,
    "Array": [],
}


@pytest.fixture
def older(clickhouse_server: Settings) -> Iterator[Warehouse]:
    """A database that the version before wrote."""
    settings = clickhouse_server.replaced(database=f"older_{uuid4().hex[:12]}")
    warehouse = Warehouse.connect(settings)
    Warehouse.connect(settings.replaced(database="default")).command(f"CREATE DATABASE {settings.database}")
    for file in sorted(BEFORE.iterdir()):
        for statement in file.read_text("utf-8").split(";\n"):
            if re.search(r"^(?!--)\S", statement, re.MULTILINE):
                warehouse.command(statement.strip().removesuffix(";"))
    yield warehouse
    warehouse.command(f"DROP DATABASE {settings.database}")
    warehouse.close()


def schema(warehouse: Warehouse) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in warehouse.rows(SCHEMA)}


def count(warehouse: Warehouse, table: str) -> int:
    return int(warehouse.rows(f"SELECT count() AS n FROM {table}")[0]["n"])


def test_an_older_database_becomes_a_new_one(older: Warehouse, warehouse: Warehouse) -> None:
    """Its tables, columns, indexes, views and comments are those of a new database, and its rows are still there."""
    tables = [row["name"] for row in older.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")]
    # What arrived lately is copied once more where a table is written again, until the copies are merged.
    tables = [f"{table} FINAL" if table in migration.RENEWED else table for table in tables]
    before = {table: count(older, table) for table in tables}
    assert sum(before.values()) > 20
    older.prepare()
    assert schema(older) == schema(warehouse)
    assert {table: count(older, table) for table in tables} == before
    rows = older.rows("SELECT inference_id, error FROM audit_current ORDER BY inference_id")
    assert [row["error"] for row in rows] == [0, 1]
    assert count(older, "arrivals FINAL") == sum(count(older, f"{name} FINAL") for name in ("inferences", "feedback"))


def test_letters_of_before_that_were_sent_again_stay_so(older: Warehouse) -> None:
    """A letter and its replay, both of before, belong together, and also those that programs of before still write."""
    replays = (
        "INSERT INTO replays (topic, partition, offset, record_index) SELECT topic, partition, offset, record_index"
    )
    older.command(f"{replays} FROM dead_letters")
    older.prepare()
    older.command(
        "INSERT INTO dead_letters (topic, offset, at, original) VALUES ('headrace.feedback', 7, now(), 'e30=')"
    )
    older.command(f"{replays} FROM dead_letters WHERE offset = 7")
    for _ in range(2):
        listed = older.query("cli/deadletters_list", topic="", reason="", since="2000-01-01 00:00:00", rows=10)
        assert [row["replayed"] for row in listed] == [True, True]
        older.command("OPTIMIZE TABLE dead_letters FINAL")


def test_older_labels_are_told_from_what_users_say(older: Warehouse) -> None:
    """A label of before has its own place in the key: what a user says under its id does not replace it."""
    older.prepare()
    rows = older.rows("SELECT source, ground_truth FROM feedback FINAL ORDER BY source, feedback_id")
    assert [tuple(row.values()) for row in rows] == [("audit", True), ("audit", True), ("user", False)]
    older.command("INSERT INTO feedback SELECT * REPLACE ('user' AS source, false AS ground_truth) FROM feedback FINAL")
    older.command("OPTIMIZE TABLE feedback FINAL")
    assert older.rows("SELECT count() AS n FROM feedback FINAL WHERE source = 'audit'") == [{"n": 2}]


def test_a_later_look_replaces_no_older_one(older: Warehouse) -> None:
    """A look of before keeps its row when the task is looked at again at the same watermark, and so does a reading."""
    older.prepare()
    now = "now64(6) AS looked_at"
    older.command(f"INSERT INTO evaluations SELECT * REPLACE ({now}, 'held' AS reason) FROM evaluations")
    older.command(f"INSERT INTO accuracy SELECT * REPLACE ({now}, now64(6) AS known_at, 3 AS n) FROM accuracy")
    for table in ("evaluations", "accuracy"):
        older.command(f"OPTIMIZE TABLE {table} FINAL")
    rows = older.rows("SELECT reason FROM evaluations ORDER BY looked_at")
    assert [row["reason"] for row in rows] == ["no evidence yet", "held"]
    assert [row["n"] for row in older.rows("SELECT n FROM accuracy ORDER BY looked_at")] == [2, 3]


def test_older_labels_become_ids(older: Warehouse) -> None:
    """A label of before that was typed in capitals or between blanks is the task's label, and no error."""
    typed = "ALTER TABLE {} UPDATE label = ' IT ' WHERE label = 'it' SETTINGS mutations_sync = 2"
    for table in ("inferences", "feedback"):
        older.command(typed.format(table))
    older.command("ALTER TABLE feedback UPDATE label = 'HR' WHERE label = 'hr' SETTINGS mutations_sync = 2")
    older.prepare()
    rows = older.rows("SELECT answered, label, error FROM audit_current ORDER BY inference_id")
    assert [tuple(row.values()) for row in rows] == [("it", "it", 0), ("it", "hr", 1)]


def test_stored_queries_run_on_an_older_database(older: Warehouse) -> None:
    """Every query that the parts and people run is one that a migrated database answers; its balance still holds."""
    older.prepare()
    asked = 0
    for name in query_names():
        text = query_text(name)
        if re.search(r"^(INSERT|DELETE|ALTER)", text, re.MULTILINE):
            continue
        kinds = re.findall(r"\{(\w+):(\w+)", text)
        asked_for = {key: VALUES.get(kind.removesuffix("64"), VALUES.get(kind, 1)) for key, kind in kinds}
        list(older.stream(text, **asked_for) if "\nFORMAT " in text else older.query(name, **asked_for))
        asked += 1
    assert asked > 30
    balance = {row["kind"]: row for row in older.query("cli/reconcile")}
    assert balance["feedback"] | {"stored": 2, "parked": 1, "dead_lettered": 1, "missing": 0} == balance["feedback"]
    assert balance["inferences"] | {"stored": 2, "erased": 3, "missing": 0} == balance["inferences"]


def test_a_migration_runs_once(older: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second preparation applies nothing, and leaves the record of the first as it was."""
    older.prepare()
    applied = older.rows("SELECT name, applied_at FROM schema_migrations ORDER BY name")
    assert [row["name"] for row in applied] == [found.name for found in migration.migrations()]
    ran: list[str] = []
    command = older.command
    monkeypatch.setattr(older, "command", lambda sql, **given: (ran.append(sql), command(sql, **given)))
    older.prepare()
    assert [sql for sql in ran if not sql.startswith("CREATE")] == []
    assert older.rows("SELECT name, applied_at FROM schema_migrations ORDER BY name") == applied


def test_a_killed_preparation_is_finished_by_the_next(
    older: Warehouse, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it ends, the next one starts over and comes to the same."""

    command = older.command
    for survived in (3, 20, 31, 35, 60, 70, 80):
        ran: list[str] = []

        def dying(sql: str, *, survived: int = survived, ran: list[str] = ran) -> None:
            if len(ran) == survived:
                raise InterruptedError
            ran.append(sql)
            command(sql)

        with monkeypatch.context() as patched:
            patched.setattr(older, "command", dying)
            with pytest.raises(InterruptedError):
                older.prepare()
    older.prepare()
    assert schema(older) == schema(warehouse)


def test_preparations_at_once_come_to_the_same(
    older: Warehouse, warehouse: Warehouse, clickhouse_server: Settings
) -> None:
    """Several processes may prepare one database at the same time."""
    settings = clickhouse_server.replaced(database=older.database)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(Warehouse.connect(settings).prepare) for _ in range(3)]:
            done.result()
    assert schema(older) == schema(warehouse)


def test_a_newer_database_is_refused(older: Warehouse) -> None:
    """What a newer version wrote is told in one sentence, and nothing of it is changed."""
    older.prepare()
    older.insert("schema_migrations", [b'{"name": "999_of_tomorrow", "digest": "f00"}'])
    older.command("DROP VIEW audit_current")
    before = schema(older)
    with pytest.raises(SettingsError, match=r"written by a newer headrace: it has the migration 999_of_tomorrow"):
        older.prepare()
    assert schema(older) == before


def test_an_edited_migration_is_refused(older: Warehouse) -> None:
    """A migration whose statements are not those that ran is named; another comment in it is none of that."""
    older.prepare()
    first = migration.migrations()[0]
    commented = migration.Migration(
        first.name, tuple(f"-- new words\n{text}  -- and more" for text in first.statements)
    )
    assert commented.digest == first.digest
    older.insert("schema_migrations", [f'{{"name": "{first.name}", "digest": "f00"}}'.encode()])
    with pytest.raises(SettingsError, match=f"has another {first.name}"):
        older.prepare()


def test_copied_labels_of_before_stand_in_months(older: Warehouse) -> None:
    """A table of copied labels without partitions gets those of the answers' months; its rows are still there."""
    (labels,) = [table for table in migration.schema()[0] if table.name == "audit_labels"]
    older.command(re.sub(r"\nPARTITION BY .*", "", labels.statement))
    for day in ("2026-01-03", "2026-02-03"):
        older.command(
            "INSERT INTO audit_labels (task, inference_id, label)"
            f" SELECT 'router', dateTimeToUUIDv7(toDateTime('{day} 04:05:06', 'UTC')), 'it'"
        )
    older.prepare()
    rows = older.rows("SELECT _partition_id AS id, count() AS n FROM audit_labels FINAL WHERE label = 'it' GROUP BY id")
    assert sorted((row["id"], row["n"]) for row in rows) == [("202601", 1), ("202602", 1)]


MANY = """
INSERT INTO inferences (inference_id, occurred_at, tenant, task, label, revision)
SELECT toUUID(hex(bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(at)), 80), toUInt128('{fixed}') + number))),
       at, 'default', 'many', '{label}', {revision}
FROM (SELECT number, toDateTime64('2026-01-01', 3, 'UTC') + INTERVAL (number % 240) DAY AS at FROM numbers({rows}))
"""
FIXED = (7 << 76) | (2 << 62)


def store_many(older: Warehouse, label: str, revision: int, rows: int) -> None:
    older.command(MANY.format(fixed=FIXED, label=label, revision=revision, rows=rows))


def test_revisions_stored_before_are_ordered(older: Warehouse) -> None:
    """In a table that did not know the order of revisions the greatest one counts, though another one came after it."""
    store_many(older, "corrected", 1, 1000)
    store_many(older, "late", 0, 1000)
    older.prepare()
    store_many(older, "later", 0, 1000)
    counted = "SELECT label, count() AS n FROM inferences_current WHERE task = 'many' GROUP BY label"
    assert older.rows(counted) == [{"label": "corrected", "n": 1000}]
    older.command("OPTIMIZE TABLE inferences FINAL")
    assert older.rows(counted) == [{"label": "corrected", "n": 1000}]


def test_a_large_table_is_written_again_though_killed_anywhere(
    older: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 rows of eight months, ended before each step in turn, while rows come: each of them is there once."""
    monkeypatch.setattr(engines, "SLICE_ROWS", 30_000)
    store_many(older, "first", 0, 100_000)
    command, rows = older.command, count(older, "inferences FINAL")
    for survived in (0, 1, 2, 3, 4, 5, 6, 3):
        left = [survived]

        def dying(sql: str, *, left: list[int] = left, **given: Any) -> None:
            if "inferences_copy" in sql:
                left[0] -= 1
                if left[0] < 0:
                    raise InterruptedError
            if sql.startswith("EXCHANGE"):
                command(MANY.format(fixed=FIXED, label="meanwhile", revision=2, rows=5))
            command(sql, **given)

        with monkeypatch.context() as patched:
            patched.setattr(older, "command", dying)
            with contextlib.suppress(InterruptedError):
                older.prepare()
        store_many(older, "second", 1, 10_000 + survived)
        assert count(older, "inferences FINAL") == rows
    older.prepare()
    counted = "SELECT label, count() AS n FROM inferences_current WHERE task = 'many' GROUP BY label ORDER BY n"
    found = {row["label"]: row["n"] for row in older.rows(counted)}
    assert found == {"meanwhile": 5, "second": 10_001, "first": 89_994}
    assert left_over(older) == []


def left_over(warehouse: Warehouse) -> list[str]:
    sql = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%\\_copy'"
    return [row["name"] for row in warehouse.rows(sql)]


def test_a_slice_that_was_copied_is_not_copied_again(older: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preparation that was ended goes on with the slice that it ended in."""
    monkeypatch.setattr(engines, "SLICE_ROWS", 1000)
    store_many(older, "first", 0, 10_000)
    command, copied = older.command, []

    def dying(sql: str, **given: Any) -> None:
        if sql.startswith("INSERT INTO inferences_copy"):
            copied.append(sql)
            if len(copied) == 5:
                raise InterruptedError
        command(sql, **given)

    monkeypatch.setattr(older, "command", dying)
    with pytest.raises(InterruptedError):
        older.prepare()
    older.prepare()
    assert copied[4] == copied[5] and len(set(copied)) == len(copied) - 1 == 10
    assert count(older, "inferences FINAL WHERE task = 'many'") == 10_000


CENTURY = """
INSERT INTO {table} ({columns})
SELECT toUUID(leftPad(hex(bitOr(bitShiftLeft(toUInt128(at), 80), toUInt128('{fixed}'))), 32, '0')), {values}
FROM (SELECT number, 946684800000 + number * 78894000000 AS at FROM numbers(40))
SETTINGS max_partitions_per_insert_block = 0
"""
FAR = {
    "inferences": ("inference_id, tenant, occurred_at, task", "'far', now64(6), 'router'"),
    "feedback": ("feedback_id, tenant, occurred_at, source", "'far', now64(6), 'user'"),
    "expired": ("feedback_id, tenant, expired_at", "'far', now64(3)"),
    "expired_inferences": ("inference_id, tenant, expired_at", "'far', now64(3)"),
    "parked": ("feedback_id, tenant, known_at, gone", "'far', now64(6), number % 3 = 0"),
}


def test_rows_of_any_time_get_few_partitions(older: Warehouse) -> None:
    """Forty months of a century become few partitions of each table, and every row is there."""
    older.prepare()
    tables = {table.name: table.statement for table in migration.schema()[0]}
    asked = {}
    for table, (columns, values) in FAR.items():
        event_id = columns.split(",")[0]
        monthly = f"PARTITION BY toYYYYMM(UUIDv7ToDateTime({event_id}, 'UTC'))\n"
        older.command(f"DROP TABLE {table}")
        older.command(re.sub(r"PARTITION BY .*\n", monthly, tables[table]))
        older.command(CENTURY.format(table=table, columns=columns, values=values, fixed=FIXED))
        asked[table] = f"SELECT count() AS n, sum(cityHash64({event_id})) AS ids FROM {table} FINAL"
    partitions = "SELECT uniqExact(_partition_id) AS n FROM {}"
    assert {table: older.rows(partitions.format(table))[0]["n"] for table in FAR} == dict.fromkeys(FAR, 40)
    before = {table: older.rows(sql) for table, sql in asked.items()}
    older.prepare()
    assert {table: older.rows(sql) for table, sql in asked.items()} == before
    for table in FAR:
        assert older.rows(partitions.format(table))[0]["n"] <= 5, table
    assert left_over(older) == []
