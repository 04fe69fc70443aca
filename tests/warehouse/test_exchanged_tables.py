"""A table gets another engine or partition key while something inserts into it."""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from headrace.errors import Transient
from headrace.settings import Settings
from headrace.warehouse import Warehouse, engines, migration

pytestmark = pytest.mark.stack
INSERT = "INSERT INTO expired (feedback_id, tenant, expired_at) SELECT generateUUIDv7(), 'slow', now64(3) FROM"
SLOW = f"{INSERT} numbers(15) WHERE sleepEachRow(0.1) = 0"
IN_FLIGHT = "SELECT 1 FROM system.processes WHERE position(query, 'sleepEachRow(') > 0 AND query_kind = 'Insert'"
COUNT = "SELECT count() AS n FROM expired FINAL"


@pytest.fixture
def older(warehouse: Warehouse) -> Warehouse:
    """Its table `expired` has another partition key than the present one, and ten rows."""
    statement = next(table.statement for table in migration.schema()[0] if table.name == "expired")
    for name in ("expired", "expired_copy"):
        warehouse.command(f"DROP TABLE IF EXISTS {name}")
    monthly = "PARTITION BY toYYYYMM(UUIDv7ToDateTime(feedback_id, 'UTC'))\n"
    warehouse.command(re.sub(r"PARTITION BY .*\n", monthly, statement))
    warehouse.command(f"{INSERT} numbers(10)")
    return warehouse


class Inserting:
    """Begins a slow insert just before the tables are exchanged."""

    def __init__(self, warehouse: Warehouse, database: Settings, pool: ThreadPoolExecutor) -> None:
        self._warehouse, self._command, self._pool = warehouse, warehouse.command, pool
        self._other = Warehouse.connect(database)
        self.begun: list[Future[None]] = []

    def command(self, sql: str, **given: Any) -> None:
        if sql.startswith("EXCHANGE") and not self.begun:
            self.begun.append(self._pool.submit(self._other.command, SLOW))
            while not self._warehouse.rows(IN_FLIGHT):
                assert not self.begun[0].done()
        self._command(sql, **given)


def test_what_is_inserted_during_the_exchange_is_kept(
    older: Warehouse, database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An insert that began before the table was exchanged and ends after it loses no row."""
    with ThreadPoolExecutor(1) as pool:
        inserting = Inserting(older, database, pool)
        monkeypatch.setattr(older, "command", inserting.command)
        older.prepare()
        inserting.begun[0].result()
    assert older.rows(COUNT) == [{"n": 25}]


def test_an_insert_without_end_loses_nothing(
    older: Warehouse, database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preparation that waited long enough ends with a sentence; the next one has every row."""
    monkeypatch.setattr(engines, "INSERTS_END_WITHIN_S", 0.2)
    with ThreadPoolExecutor(1) as pool:
        inserting = Inserting(older, database, pool)
        monkeypatch.setattr(older, "command", inserting.command)
        with pytest.raises(Transient, match="the former table expired have not ended"):
            older.prepare()
        inserting.begun[0].result()
    older.prepare()
    assert older.rows(COUNT) == [{"n": 25}]
    assert older.rows("EXISTS TABLE expired_copy") == [{"result": 0}]
