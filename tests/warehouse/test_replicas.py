"""A warehouse of several replicas, as far as one engine can show: codes, settings, and what a new database runs."""

from __future__ import annotations

import pytest

from headrace.errors import Permanent, SettingsError, Transient
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from headrace.warehouse.codes import TRANSIENT_CODES

pytestmark = pytest.mark.stack
THROWN = "SELECT throwIf(1, 'no', toInt32({code:Int32})) SETTINGS allow_custom_error_code_in_throwif = 1"


@pytest.mark.parametrize("code", [201, 232, 285, 286, 289, 369, 416, 571, 733, 999])
def test_a_replica_or_a_quorum_that_is_away_is_waited_for(warehouse: Warehouse, code: int) -> None:
    """What another replica lacks, or a quota that is spent for now, is no fault of the rows."""
    with pytest.raises(Transient) as raised:
        warehouse.rows(THROWN, code=code)
    assert raised.value.code == code


def test_a_fault_of_the_rows_is_not_waited_for(warehouse: Warehouse) -> None:
    """A value that does not fit fails again wherever it is sent."""
    with pytest.raises(Permanent):
        warehouse.rows(THROWN, code=27)


def test_the_codes_are_those_of_the_engine(warehouse: Warehouse) -> None:
    """Each code bears the name that ClickHouse gives it."""
    sql = "SELECT arrayMap(code -> errorCodeToName(code), {codes:Array(UInt32)}) AS names"
    assert warehouse.rows(sql, codes=list(TRANSIENT_CODES))[0]["names"] == list(TRANSIENT_CODES.values())


ASKED = """
SELECT toString(getSetting('insert_quorum')) AS quorum, toUInt8(getSetting('insert_quorum_parallel')) AS parallel,
       toUInt8(getSetting('select_sequential_consistency')) AS sequential
"""


def asked(settings: Settings, **how: bool) -> dict[str, object]:
    warehouse = Warehouse.connect(settings, **how)
    try:
        return warehouse.rows(ASKED)[0]
    finally:
        warehouse.close()


def test_quorum_and_consistency_are_asked_for_by_setting(database: Settings) -> None:
    """Off by default; each statement of the parts asks for them, an analyst's does not."""
    off = {"quorum": "0", "parallel": 1, "sequential": 0}
    assert asked(database) == off
    both = database.replaced(clickhouse_quorum="2", clickhouse_sequential=True)
    assert asked(both) == {"quorum": "2", "parallel": 0, "sequential": 1}
    assert asked(both, as_analyst=True) == off
    most = asked(database.replaced(clickhouse_quorum="auto"))
    assert most["quorum"] != "0" and most["parallel"] == 1
    with pytest.raises(SettingsError, match="HEADRACE_CLICKHOUSE_QUORUM"):
        database.replaced(clickhouse_quorum="most")


def test_a_new_database_runs_no_migration(warehouse: Warehouse) -> None:
    """The present tables need none; an old one that deletes by a subquery would fail on replicas."""
    assert warehouse.rows("SELECT count() AS n FROM system.mutations WHERE database = currentDatabase()") == [{"n": 0}]
    assert warehouse.rows("SELECT count() > 5 AS known FROM schema_migrations") == [{"known": 1}]
