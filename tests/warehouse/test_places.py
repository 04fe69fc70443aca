"""Ids of any time are stored in few parts, found, joined, counted, and they leave: on the real ClickHouse."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from headrace.contract import ids
from headrace.contract.events import EARLIEST, LATEST, Event, Inference, new_feedback, new_inference
from headrace.places import AHEAD, BEFORE, LEEWAY, SPAN, place_of
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack
NOW = datetime.now(UTC)
# Those of the span, one more where it begins and ends within a month, and two.
MAX_PARTS = SPAN.days // 30 + 3
CENTURY = [EARLIEST + (LATEST - EARLIEST) / 1200 * n for n in range(1200)]


@pytest.fixture(autouse=True)
def _empty(warehouse: Warehouse) -> None:
    for table in ("inferences", "feedback"):
        warehouse.command(f"TRUNCATE TABLE {table}")


def answers(times: Sequence[datetime]) -> list[Inference]:
    return [
        new_inference("router", "router@1", emitter="desk.1", inference_id=ids.uuid7(at), occurred_at=at)
        for at in times
    ]


def thumbs(about: Sequence[Inference]) -> list[Event]:
    return [
        new_feedback(
            one.inference_id, "user", "thumb", value=1, emitter="desk.1",
            feedback_id=ids.derived(one.occurred_at, one.inference_id), occurred_at=one.occurred_at,
        )
        for one in about
    ]  # fmt: skip


def store(warehouse: Warehouse, table: str, events: Sequence[Event], **more: Any) -> None:
    rows = [json.dumps(json.loads(event.to_json()) | {"extra": "{}"} | more).encode() for event in events]
    warehouse.insert(table, rows)


def parts(warehouse: Warehouse, table: str) -> dict[str, int]:
    """The rows of each partition: a block makes one part in each that it has rows of."""
    rows = warehouse.rows(f"SELECT _partition_id AS place, count() AS n FROM {table} GROUP BY place")
    return {row["place"]: row["n"] for row in rows}


def one(warehouse: Warehouse, sql: str, **parameters: Any) -> Any:
    return next(iter(warehouse.rows(sql, **parameters)[0].values()))


def test_a_block_of_a_century_makes_few_parts(warehouse: Warehouse) -> None:
    """1,200 events a month apart: a part a month of the last 1,000 days, and one each for what is before and ahead."""
    given = answers(CENTURY)
    random.Random(1).shuffle(given)
    store(warehouse, "inferences", given)
    store(warehouse, "feedback", thumbs(given))
    for table in ("inferences", "feedback"):
        made = parts(warehouse, table)
        assert {BEFORE, AHEAD} < set(made) and len(made) <= MAX_PARTS
        assert sum(made.values()) == len(given)


def test_what_came_when_it_was_made_lies_in_its_month(warehouse: Warehouse) -> None:
    """A block of today's events is one part, or two where a month begins."""
    store(warehouse, "inferences", answers([NOW - timedelta(seconds=n) for n in range(100)]))
    made = parts(warehouse, "inferences")
    assert set(made) <= {f"{NOW:%Y%m}", f"{NOW - timedelta(seconds=100):%Y%m}"}


def test_events_of_any_time_are_found_joined_and_counted(warehouse: Warehouse) -> None:
    """Each answer is found by its id and has its feedback, and the balance holds all of them once, repeats left out."""
    given = answers(CENTURY[::10])
    for _ in range(2):
        store(warehouse, "inferences", given)
        store(warehouse, "feedback", thumbs(given))
    by_id = "SELECT count() FROM inferences FINAL WHERE toUInt128(inference_id) = toUInt128({id:UUID})"
    assert [one(warehouse, by_id, id=str(event.inference_id)) for event in given[::12]] == [1] * 10
    joined = """SELECT count() FROM inferences_current AS i
        INNER JOIN feedback_current AS f ON f.tenant = i.tenant AND f.inference_id = i.inference_id"""
    assert one(warehouse, joined) == len(given)
    for query in ("cli/reconcile", "cli/reconcile_full"):
        for row in warehouse.query(query):
            assert (row["stored"], row["parked"], row["duplicated"]) == (len(given), 0, 0)


@pytest.mark.parametrize(("age", "came"), [(timedelta(days=200), timedelta(minutes=-20)), (1.2 * SPAN, timedelta(0))])
def test_a_repeat_at_another_time_is_the_same_event(warehouse: Warehouse, age: timedelta, came: timedelta) -> None:
    """The same event lies in another partition where it comes again much later, and is one row: the one that counts."""
    (given,) = answers([NOW - age])
    corrected = given.model_copy(update={"revision": 1, "label": "hr"})
    for event, inserted in ((corrected, given.occurred_at + came), (given, NOW)):
        store(warehouse, "inferences", [event], ingested_at=f"{inserted:%F %T.%f}"[:-3])
        store(warehouse, "feedback", thumbs([given]), ingested_at=f"{inserted:%F %T.%f}"[:-3])
    assert len(parts(warehouse, "inferences")) == len(parts(warehouse, "feedback")) == 2
    found = warehouse.rows("SELECT label, revision FROM inferences_current")
    assert found == [{"label": "hr", "revision": 1}]
    assert (
        one(warehouse, "SELECT count() FROM feedback FINAL")
        == one(warehouse, "SELECT count() FROM feedback_current")
        == 1
    )
    assert one(warehouse, "SELECT count() FROM inferences WHERE toUInt128(inference_id) > 0") == 2
    assert [row["duplicated"] for row in warehouse.query("cli/reconcile")] == [0, 0]


def test_partitions_are_those_that_python_says(warehouse: Warehouse) -> None:
    """The schema's partition key and place_of agree, on both sides of each bound."""
    second = timedelta(seconds=1)
    moments = [NOW - SPAN - second, NOW - SPAN + second, NOW, NOW + LEEWAY - second, NOW + LEEWAY + second]
    given = answers([*moments, EARLIEST, LATEST - second])
    store(warehouse, "inferences", given, ingested_at=f"{NOW:%F %T.%f}"[:-3])
    rows = warehouse.rows("SELECT inference_id, _partition_id AS place FROM inferences")
    assert {UUID(str(row["inference_id"])): row["place"] for row in rows} == {
        event.inference_id: place_of(event.inference_id, NOW) for event in given
    }


def test_a_day_is_read_without_what_lies_apart(warehouse: Warehouse) -> None:
    """A query for a day reads one granule more for each partition of ids of any time, whatever is in it."""
    day = (NOW - timedelta(days=40)).replace(hour=0, minute=0, second=0, microsecond=0)
    store(warehouse, "inferences", answers([day + timedelta(seconds=60 * n) for n in range(1440)]))
    bounds = {"from": day, "to": day + timedelta(days=1)}
    sql = """EXPLAIN indexes = 1 SELECT sum(latency_ms) FROM inferences
        WHERE toUInt128(inference_id) >= bitShiftLeft(toUInt128({first}), 80)
          AND toUInt128(inference_id) < bitShiftLeft(toUInt128({last}), 80)"""
    asked = sql.format(first=ids.millis(bounds["from"]), last=ids.millis(bounds["to"]))
    before = granules(warehouse, asked)
    store(warehouse, "inferences", answers(CENTURY))
    assert granules(warehouse, asked) - before <= 2 + len({f"{day:%Y%m}"})


def granules(warehouse: Warehouse, explained: str) -> int:
    lines = [str(next(iter(row.values()))) for row in warehouse.rows(explained)]
    last = [line for line in lines if "Granules:" in line][-1]
    return int(last.split(":")[1].split("/")[0])
