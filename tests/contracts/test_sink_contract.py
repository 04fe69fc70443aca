"""What every sink must do, run on the one in memory and on the real ClickHouse."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from headrace.contract.events import Inference, new_inference, pack
from headrace.contract.ids import uuid7
from headrace.errors import Permanent, Transient
from headrace.settings import Settings
from headrace.warehouse import MemorySink, Sink, Warehouse


class Kept:
    """A sink and the ids of the inferences that it stored, each as often as the rows that analysts see."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def ids(self) -> list[UUID]:
        if isinstance(self.sink, MemorySink):
            return list({UUID(json.loads(row)["inference_id"]) for row in self.sink.tables.get("inferences", [])})
        assert isinstance(self.sink, Warehouse)
        return [row["inference_id"] for row in self.sink.rows("SELECT inference_id FROM inferences FINAL")]


@pytest.fixture(params=["memory", "clickhouse"])
def kept(request: pytest.FixtureRequest) -> Kept:
    """The sink in memory, then the real one."""
    return Kept(MemorySink() if request.param == "memory" else request.getfixturevalue("warehouse"))


def row(**changes: Any) -> tuple[UUID, bytes]:
    """An inference as a row, and its id."""
    fields = json.loads(new_inference("router", "router@1").to_json()) | changes
    fields["extra"] = "{}"
    fields.pop("parent_id", None)
    return UUID(fields["inference_id"]), json.dumps(fields).encode()


def test_rows_are_stored(kept: Kept) -> None:
    """Every row of a block is there afterwards."""
    rows = [row() for _ in range(3)]
    kept.sink.insert("inferences", [body for _, body in rows])
    assert {one for one, _ in rows} <= set(kept.ids())


def test_an_empty_block_is_nothing(kept: Kept) -> None:
    """Inserting no rows does nothing and does not fail."""
    before = len(kept.ids())
    kept.sink.insert("inferences", [])
    assert len(kept.ids()) == before


def test_a_block_that_is_stored_again_is_one_row_an_event(kept: Kept) -> None:
    """A retried block changes nothing, whatever else it is stored with."""
    first, body = row()
    second, other = row()
    for rows in ([body], [body], [other, body]):
        kept.sink.insert("inferences", rows)
    assert [kept.ids().count(one) for one in (first, second)] == [1, 1]


def packed(*events: Inference, offset: int = 7) -> bytes:
    """A Kafka record as insert_records takes it."""
    origin = f'"kafka_topic":"headrace.inferences","kafka_partition":3,"kafka_offset":{offset}'
    return b'{%b,"events":%b}' % (origin.encode(), pack(events))


def test_the_events_of_records_are_stored(kept: Kept) -> None:
    """Each event of each record is a row, also where the same records come again, or others from the same offsets."""
    events = [new_inference("router", "router@1") for _ in range(7)]
    for _ in range(2):
        kept.sink.insert_records("inferences", [packed(*events[:3]), packed(*events[3:5], offset=8)])
    kept.sink.insert_records("inferences", [packed(*events[5:])])
    kept.sink.insert_records("inferences", [])
    found = kept.ids()
    assert [found.count(event.inference_id) for event in events] == [1] * 7


def test_an_event_in_doubt_refuses_its_whole_block(warehouse: Warehouse) -> None:
    """A form that ClickHouse might read otherwise than pydantic did stores nothing and is Permanent."""
    event = new_inference("router", "router@1")
    braced = b'"parent_id":"{%b}","arm":' % str(event.inference_id).encode()
    for plain, odd in ((b'"scores":{}', b'"scores":{"it":0.1,"it":0.2}'), (b'"arm":', braced)):
        body = packed(event).replace(plain, odd)
        with pytest.raises(Permanent) as raised:
            warehouse.insert_records("inferences", [packed(new_inference("router", "router@1")), body])
        assert raised.value.code == 395
    assert event.inference_id not in Kept(warehouse).ids()


@pytest.mark.parametrize("short", [True, False], ids=["records", "rows"])
def test_ids_of_more_than_a_hundred_months_are_one_block(warehouse: Warehouse, short: bool) -> None:
    """ClickHouse's limit of 100 partitions a block does not refuse an import of old events."""
    months = [datetime(2010 + n // 12, 1 + n % 12, 3, tzinfo=UTC) for n in range(130)]
    events = [new_inference("months", "router@1", occurred_at=month) for month in months]
    if short:
        warehouse.insert_records("inferences", [packed(*events)])
    else:
        warehouse.insert("inferences", [event.to_json() for event in events])
    stored = set(Kept(warehouse).ids())
    assert {event.inference_id for event in events} <= stored


def test_a_month_of_a_retry_does_not_change(warehouse: Warehouse) -> None:
    """A retry with another occurred_at is the same row of the current view."""
    one = uuid7()
    for day in ("2026-01-01", "2026-06-01"):
        _, body = row(inference_id=str(one), occurred_at=f"{day}T00:00:00Z")
        warehouse.insert("inferences", [body])
    found = warehouse.rows("SELECT count() AS n FROM inferences_current WHERE inference_id = {one:UUID}", one=str(one))
    assert found == [{"n": 1}]


@pytest.mark.parametrize("short", [True, False], ids=["records", "rows"])
def test_the_greatest_revision_counts_in_whatever_order_they_come(warehouse: Warehouse, short: bool) -> None:
    """Of an answer's rows the greatest (revision, occurred_at) is the current one, before and after they are merged."""
    first = new_inference("order", "router@1", label="first")
    later = first.model_copy(update={"label": "later", "occurred_at": first.occurred_at + timedelta(microseconds=1)})
    corrected = first.model_copy(update={"label": "corrected", "revision": 1})
    for order, winner in (
        ((corrected, later, first), "corrected"),
        ((later, first), "later"),
        ((first, later), "later"),
    ):
        one = uuid7()
        for event in order:
            event = event.model_copy(update={"inference_id": one})
            if short:
                warehouse.insert_records("inferences", [packed(event)])
            else:
                warehouse.insert("inferences", [event.model_dump_json(exclude={"extra", "proof"}).encode()])
        current = "SELECT label FROM inferences_current WHERE inference_id = {one:UUID}"
        assert warehouse.rows(current, one=str(one)) == [{"label": winner}]
        warehouse.command("OPTIMIZE TABLE inferences FINAL")
        assert warehouse.rows(current, one=str(one)) == [{"label": winner}]


def test_a_row_that_does_not_fit_refuses_the_whole_block(warehouse: Warehouse) -> None:
    """One bad value stores nothing of its block and says Permanent with ClickHouse's code."""
    one, body = row()
    _, bad = row(tokens_in="many")
    with pytest.raises(Permanent) as raised:
        warehouse.insert("inferences", [body, bad])
    assert raised.value.code > 0
    assert one not in Kept(warehouse).ids()


def test_an_unknown_column_and_table_are_permanent(warehouse: Warehouse) -> None:
    """What can never be stored is told apart from what may be stored later."""
    _, body = row(no_such_column=1)
    with pytest.raises(Permanent):
        warehouse.insert("inferences", [body])
    with pytest.raises(Permanent):
        warehouse.insert("no_such_table", [body])


def test_a_warehouse_that_is_away_is_transient() -> None:
    """Where nobody listens, connecting says Transient with the address."""
    with pytest.raises(Transient, match=r"ClickHouse at http://127\.0\.0\.1:9 does not answer"):
        Warehouse.connect(Settings(clickhouse="http://127.0.0.1:9"))


def test_memory_raises_what_it_is_told_once() -> None:
    """The sink in memory fails as told, stores nothing then, and stores the block when it is tried again."""
    sink = MemorySink()
    sink.fail = [Transient("down")]
    with pytest.raises(Transient):
        sink.insert("inferences", [b"{}"])
    sink.insert("inferences", [b"{}"])
    assert sink.tables == {"inferences": [b"{}"]}
