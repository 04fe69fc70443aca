"""Storing a block: rows at fault are found by halving, the others are stored, and a warehouse at fault stops it all."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from router_story import Story

from headrace.contract.control import DeadLetter
from headrace.contract.events import Inference, new_inference, pack
from headrace.contract.topics import DEAD_LETTERS, INFERENCES
from headrace.errors import Permanent, Transient
from headrace.warehouse import MemorySink
from streams import bisect
from streams.decode import InsertRow, Raw
from streams.patience import Patience
from streams.pressure import Lane
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

TABLE = table_of(INFERENCES)


class Picky(MemorySink):
    """Refuses a block that has a row with `poison` in it, as ClickHouse refuses one that has a bad value."""

    def __init__(self, poison: bytes = b"poison") -> None:
        super().__init__()
        self.poison = poison
        self.attempts = 0

    def insert(self, table: str, rows: Sequence[bytes]) -> None:
        self.attempts += 1
        if any(self.poison in row for row in rows):
            raise Permanent("cannot parse", 41)
        super().insert(table, rows)


def inferences(n: int, poisoned: set[int]) -> list[Inference]:
    return [new_inference("router", "r@1", input="poison" if i in poisoned else f"fine {i}") for i in range(n)]


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_halving_finds_exactly_the_rows_at_fault(case: tuple[int, set[int]]) -> None:
    """Whatever rows are bad, they and no others are returned, and every other row is stored once."""
    n, bad = case
    raw = Raw(INFERENCES.name, 0, 0, b"")
    rows = [InsertRow(b"poison" if i in bad else b"%d" % i, raw, i) for i in range(n)]
    sink = Picky()
    refused = bisect.insert(partial(sink.insert, "t"), rows)
    assert {row.place for row, _ in refused} == bad
    assert sorted(sink.tables.get("t", [])) == sorted(row.body for row in rows if row.place not in bad)


def test_one_bad_row_among_many_is_cheap() -> None:
    """One bad row among a thousand takes some twenty inserts."""
    sink = Picky()
    rows = [InsertRow(b"poison" if i == 617 else b"%d" % i, Raw("t", 0, 0, b""), i) for i in range(1000)]
    bisect.insert(partial(sink.insert, "t"), rows)
    assert sink.attempts <= 2 * 10 + 1


def test_refused_rows_are_dead_letters_with_clickhouses_code() -> None:
    """The dead letter of a refused row has its place, its original bytes and ClickHouse's code."""
    events = inferences(5, {3})
    (letter,) = store([Raw(INFERENCES.name, 2, 9, pack(events))], TABLE, Picky(), Rules())
    assert (letter.partition, letter.offset, letter.record_index, letter.code) == (2, 9, 3, 41)
    assert letter.event_id == events[3].inference_id


def test_rows_that_clickhouse_refuses_take_their_record_apart_once() -> None:
    """Eight times the refused rows of a record take eight times as long; each letter has its own bytes."""

    class Closed(MemorySink):
        def insert(self, table: str, rows: Sequence[bytes]) -> None:
            raise Permanent("cannot parse", 41)

    def seconds(n: int) -> float:
        record, began = Raw(INFERENCES.name, 0, 0, pack(inferences(n, set()))), time.process_time()
        letters = store([record], TABLE, Closed(), Rules())
        took = time.process_time() - began
        assert [letter.record_index for letter in letters] == list(range(n))
        assert json.loads(b64decode(letters[-1].original))["input"] == f"fine {n - 1}"
        return took

    few, many = (min(seconds(n) for _ in range(2)) for n in (100, 800))
    assert many < 24 * few, (few, many)


def test_a_warehouse_at_fault_dead_letters_nothing() -> None:
    """A missing table refuses every block; no row is to blame, so the error goes on up."""
    sink = MemorySink()
    sink.fail = [Permanent("no such table", 60)]
    with pytest.raises(Permanent):
        store([Raw(INFERENCES.name, 0, 0, pack(inferences(4, set())))], TABLE, sink, Rules())
    assert sink.tables == {}


def test_a_transient_failure_is_not_halved() -> None:
    """A full disk raises Transient at once, and the same block is stored when it is tried again."""
    sink = MemorySink()
    sink.fail = [Transient("disk is full", 243)]
    record = Raw(INFERENCES.name, 0, 0, pack(inferences(4, set())))
    with pytest.raises(Transient):
        store([record], TABLE, sink, Rules())
    assert store([record], TABLE, sink, Rules()) == []
    assert len(sink.tables["inferences"]) == 4


def test_a_broken_dead_letter_is_stored_and_not_sent_again() -> None:
    """What cannot be decoded or stored from the dead-letter topic becomes a row about itself, and no new record."""
    sink = Picky()
    poisoned = DeadLetter(topic="t", partition=1, offset=1, at=datetime.now(UTC), reason="poison")
    raws = [Raw(DEAD_LETTERS.name, 0, 1, b"garbage"), Raw(DEAD_LETTERS.name, 0, 2, poisoned.to_json())]
    assert store(raws, table_of(DEAD_LETTERS), sink, Rules()) == []
    rows = [json.loads(row) for row in sink.tables["dead_letters"]]
    assert {(row["topic"], row["offset"], row["code"]) for row in rows} == {
        (DEAD_LETTERS.name, 1, 0),
        (DEAD_LETTERS.name, 2, 41),
    }


def test_the_real_warehouse_refuses_as_the_fake_does(story: Story) -> None:
    """A value that ClickHouse cannot parse is found by halving there too, and its neighbours are stored."""
    good = [json.loads(event.model_dump_json(exclude={"proof"})) for event in inferences(6, set())]
    good[2]["tokens_in"] = "many"
    rows = [InsertRow(json.dumps(fields).encode(), Raw("t", 0, 0, b""), i) for i, fields in enumerate(good)]
    refused = bisect.insert(partial(story.sink.insert, "inferences"), rows)
    assert [(row.place, error.code > 0) for row, error in refused] == [(2, True)]
    assert story.sink.rows("SELECT count() AS n FROM inferences FINAL")[0]["n"] == 5
    with pytest.raises(Permanent):
        bisect.insert(partial(story.sink.insert, "no_such_table"), rows)


def test_a_topic_that_is_made_again_repeats_offsets_and_not_events(story: Story) -> None:
    """Other events under the same topic, partition and offset are stored; the same ones again stay one row each."""
    warehouse = story.sink
    former, anew = inferences(3, set()), inferences(3, set())
    for events in (former, anew, anew):
        assert store([Raw(INFERENCES.name, 0, 0, pack(events))], TABLE, warehouse, Rules()) == []
    found = warehouse.rows("SELECT inference_id FROM inferences FINAL ORDER BY toUInt128(inference_id)")
    assert [row["inference_id"] for row in found] == sorted(event.inference_id for event in former + anew)


async def test_patience_has_no_end() -> None:
    """A step that fails is tried again with growing pauses, however often; the lane says what it waits for."""
    patience, lane = Patience(first_s=0.0001, longest_s=0.0002), Lane(INFERENCES)
    calls: list[int] = []

    def in_the_end() -> str:
        calls.append(1)
        if len(calls) < 200:
            raise Transient("down", 252)
        assert lane.refusal is not None and lane.refusal.code == 252
        return "stored"

    assert await patience.keep_trying(in_the_end, lane) == "stored" and len(calls) == 200
    assert lane.refusal is None
    pauses = Patience(first_s=0.001, longest_s=0.002)
    assert [pauses.pause_s(n) for n in range(3)] == [0.001, 0.002, 0.002]


def test_a_block_that_the_short_insert_refuses_goes_the_long_way() -> None:
    """One value in doubt, and the whole block is stored event by event; nothing is lost or dead-lettered for it."""

    class Doubtful(MemorySink):
        def insert_records(self, table: str, records: Sequence[bytes]) -> None:
            if any(len(json.loads(record)["events"]) > 1 for record in records):
                raise Permanent("a form that is read event by event", 395)
            super().insert_records(table, records)

    sink = Doubtful()
    records = [Raw(INFERENCES.name, 0, n, pack([new_inference("router", "r@1")] * 3)) for n in range(4)]
    assert store(records, table_of(INFERENCES), sink, Rules()) == []
    assert len(sink.tables["inferences"]) == 12
