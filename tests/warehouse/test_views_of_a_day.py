"""Views that show a day's answers read that day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from benchmarks.generated import FEEDBACK_FIXED, FIXED, ID
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

DAYS = 120
BEGAN = 1_767_225_600_000
"""The first of January 2026, in milliseconds."""
DAY = "2026-02-03"


@pytest.fixture(scope="module")
def told(warehouse: Warehouse) -> Warehouse:
    """Four months with an audited answer a minute; of each day half are labelled, and a judge blames every tenth."""
    n, minute = DAYS * 1440, timedelta(minutes=1) // timedelta(milliseconds=1)
    millis = f"toUInt64({BEGAN} + number * {minute})"
    answer = ID.format(millis=millis, fixed=FIXED, n="number")
    at = f"fromUnixTimestamp64Milli({millis}, 'UTC')"
    warehouse.command(
        f"INSERT INTO inferences (inference_id, occurred_at, tenant, task, arm, label, audited, audit_probability)"
        f" SELECT {answer}, {at}, 'default', 'router', 'live', 'hr', true, 1 FROM numbers({n})"
        " SETTINGS max_partitions_per_insert_block = 0"
    )
    for source, signal, every in (("audit", "label", 2), ("judge", "verdict", 10)):
        said = ID.format(millis=millis, fixed=FEEDBACK_FIXED, n=f"(number, '{source}')")
        warehouse.command(
            f"INSERT INTO feedback (feedback_id, inference_id, occurred_at, tenant, task, source, signal, label, blame,"
            f" rater, ground_truth) SELECT {said}, {answer}, {at}, 'default', 'router', '{source}', '{signal}', 'it',"
            f" '{'routing' if source == 'judge' else ''}', 'expert', true FROM numbers({n}) WHERE number % {every} = 0"
            " SETTINGS max_partitions_per_insert_block = 0"
        )
    return warehouse


def read(warehouse: Warehouse, sql: str) -> tuple[list[dict[str, Any]], int]:
    """The rows of a query, and how many rows ClickHouse read for it."""

    def so_far() -> int:
        return int(warehouse.rows("SELECT value FROM system.events WHERE event = 'SelectedRows'")[0]["value"])

    before = so_far()
    rows = warehouse.rows(sql)
    return rows, so_far() - before


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        ("feedback_latest", 720 + 144),
        ("feedback_current", 720 + 144),
        ("ground_truth_current", 720),
        ("review_queue", 720 + 144),
    ],
)
def test_a_day_of_a_view_reads_that_day(told: Warehouse, view: str, shown: int) -> None:
    """Its rows are those that all of history has of the day, and at most a third of what that reads is read."""
    (day,), read_of_day = read(told, f"SELECT count() AS n FROM {view} WHERE answered_on = '{DAY}'")
    (same,), read_of_all = read(told, f"SELECT countIf(identity(answered_on) = '{DAY}') AS n FROM {view}")
    assert day["n"] == same["n"] == shown
    assert read_of_day < read_of_all / 3, (read_of_day, read_of_all)
