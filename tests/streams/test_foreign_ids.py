"""Events under ids of their emitters' own become one row each, and feedback finds them by these."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from uuid import UUID, uuid4

import pytest
from books import Books

from headrace.contract import ids
from headrace.contract.control import DeadLetter
from headrace.contract.events import Event, Feedback, new_feedback, new_inference, pack
from headrace.contract.given_ids import NOBODY, Given
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS, Topic
from headrace.errors import Transient
from headrace.warehouse import MemorySink, Sink, Warehouse
from headrace.warehouse.foreign_ids import identify
from streams.decode import Raw
from streams.housekeeping_offsets import Offsets
from streams.housekeeping_runs import Seen
from streams.resolver import Resolver
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Desk:
    """A tenant whose events workers store."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.tenant = f"tenant-{uuid4().hex[:8]}"
        self.warehouse = warehouse
        self._offset = 0

    def event(self, text: object, minute: float = 0, **fields: object) -> dict[str, object]:
        """An answer as a plain producer writes it."""
        at = (NOON + timedelta(minutes=minute)).isoformat()
        event = {"inference_id": text, "occurred_at": at, "tenant": self.tenant, "task": "router", "version": "r@1"}
        return event | {"label": "it"} | fields

    def thumb(self, about: object, minute: float = 1, **fields: object) -> Feedback:
        at = NOON + timedelta(minutes=minute)
        return new_feedback(about, "user", "thumb", value=-1, occurred_at=at, tenant=self.tenant, **fields)  # type: ignore[arg-type]

    def arrive(self, *values: bytes, topic: Topic = INFERENCES, sink: Sink | None = None) -> list[DeadLetter]:
        """Each value is a record; all of them are one block."""
        records = []
        for value in values:
            self._offset += 1
            records.append(Raw(topic.name, 0, self._offset, value))
        return store(records, table_of(topic), sink or self.warehouse, Rules())

    def rows(self, table: str = "inferences") -> list[dict[str, object]]:
        """What analysts see."""
        sql = f"SELECT * FROM {table} FINAL WHERE tenant = {{tenant:String}} ORDER BY occurred_at"
        return self.warehouse.rows(sql, tenant=self.tenant)


@pytest.fixture
def desk(warehouse: Warehouse) -> Desk:
    return Desk(warehouse)


def text(*events: dict[str, object]) -> bytes:
    return json.dumps(list(events)).encode()


def own(*events: Event) -> bytes:
    return pack(events)


def test_a_retry_with_another_time_is_the_same_row(desk: Desk) -> None:
    """In one record, one block, another one, by a plain producer and by the SDK: one row with the foreign text."""
    one = desk.event("chatcmpl-9")
    retries = [desk.event("chatcmpl-9", minute) for minute in (1, 2, 60 * 24 * 40)]
    built = new_inference("router", "r@1", inference_id="chatcmpl-9", tenant=desk.tenant, occurred_at=NOON)
    desk.arrive(text(one, retries[0], desk.event("other")), text(retries[1]))
    desk.arrive(text(retries[2]))
    desk.arrive(own(built), own(built, new_inference("router", "r@1", tenant=desk.tenant, occurred_at=NOON)))
    rows = desk.rows()
    assert [row["given_id"] for row in rows].count("chatcmpl-9") == 1 and len(rows) == 3
    assert built.event_id in {row["inference_id"] for row in rows}
    assert ids.time_of(built.event_id) == NOON


def test_texts_of_other_tenants_and_kinds_are_other_events(desk: Desk) -> None:
    """One text may name an answer, feedback and a label, in each tenant."""
    desk.arrive(text(desk.event("7"), desk.event("7", tenant=f"{desk.tenant}-b")))
    said = [
        desk.thumb("7", feedback_id="7"),
        new_feedback("7", "reviewer", "label", label="hr", feedback_id="7", tenant=desk.tenant, occurred_at=NOON),
    ]
    desk.arrive(own(said[0]), topic=FEEDBACK)
    desk.arrive(own(said[1]), topic=LABELS)
    desk.arrive(own(said[0].model_copy(update={"occurred_at": NOON + timedelta(hours=3)})), topic=FEEDBACK)
    assert len({row["feedback_id"] for row in desk.rows("feedback")}) == 2 == len(desk.rows("feedback"))
    assert len(desk.rows()) == 1
    Resolver(desk.warehouse).step()
    assert {row["inference_id"] for row in desk.rows("feedback")} == {desk.rows()[0]["inference_id"]}


def test_a_parent_that_is_text_is_the_answer_of_that_name(desk: Desk) -> None:
    """Whichever arrives first, the parent's id is the one that its own event gets."""
    desk.arrive(text(desk.event("child", 5, parent_id="parent"), desk.event("other", parent_id="elder")))
    desk.arrive(text(desk.event("parent"), desk.event("elder", 9)))
    rows = {row["given_id"]: row for row in desk.rows()}
    assert rows["child"]["parent_id"] == rows["parent"]["inference_id"]
    assert rows["other"]["parent_id"] == rows["elder"]["inference_id"]
    assert rows["child"]["given_parent_id"] == "parent"


@pytest.mark.parametrize("feedback_first", [False, True])
def test_feedback_finds_its_answer_by_the_text(desk: Desk, feedback_first: bool) -> None:
    """As it was called, and by the id of its response, before it arrives and after; meanwhile it is parked."""
    answers = text(desk.event("chatcmpl-9"), desk.event(str(uuid4()), response_id="resp-1"), desk.event("other"))
    said = [desk.thumb("chatcmpl-9"), desk.thumb("resp-1"), desk.thumb(None, response_id="chatcmpl-9")]
    resolver = Resolver(desk.warehouse)
    if feedback_first:
        desk.arrive(own(*said), topic=FEEDBACK)
        assert resolver.step() == 0
        assert {row["inference_id"] for row in desk.rows("feedback")} == {NOBODY}
    desk.arrive(answers)
    if not feedback_first:
        desk.arrive(own(*said), topic=FEEDBACK)
    assert resolver.step() == 3
    named = {row["given_id"] or row["response_id"]: row["inference_id"] for row in desk.rows()}
    named |= {row["response_id"]: row["inference_id"] for row in desk.rows() if row["response_id"]}
    found = {row["feedback_id"]: (row["inference_id"], row["resolved_by"]) for row in desk.rows("feedback")}
    assert [found[one.feedback_id] for one in said] == [
        (named["chatcmpl-9"], "id"),
        (named["resp-1"], "id"),
        (named["chatcmpl-9"], "response"),
    ]


@pytest.mark.parametrize("exact_first", [False, True])
def test_what_is_called_so_goes_before_what_responded_so(desk: Desk, exact_first: bool) -> None:
    """Whichever of the two answers arrives first."""
    called, responded = text(desk.event("chatcmpl-9")), text(desk.event("other", 3, response_id="chatcmpl-9"))
    said, resolver = desk.thumb("chatcmpl-9"), Resolver(desk.warehouse)
    desk.arrive(own(said), topic=FEEDBACK)
    for value in (called, responded) if exact_first else (responded, called):
        desk.arrive(value)
        resolver.step()
    (row,) = desk.rows("feedback")
    assert row["inference_id"] == next(one["inference_id"] for one in desk.rows() if one["given_id"] == "chatcmpl-9")


class Dying(MemorySink):
    """The warehouse of a worker that dies, or is told to wait, when it stores rows."""

    def __init__(self, warehouse: Warehouse) -> None:
        super().__init__()
        self.identify = warehouse.identify  # type: ignore[method-assign]

    def insert_records(self, table: str, records: Sequence[bytes]) -> None:
        raise Transient("killed")


def test_a_worker_killed_between_the_text_and_its_row_leaves_one_event(desk: Desk) -> None:
    """The next one stores it under the id that was written, also where a retry comes first."""
    first, retry = text(desk.event("chatcmpl-9")), text(desk.event("chatcmpl-9", 5))
    with pytest.raises(Transient):
        desk.arrive(first, sink=Dying(desk.warehouse))
    desk.arrive(retry)
    desk.arrive(first)
    (row,) = desk.rows()
    assert ids.time_of(row["inference_id"]) == NOON  # type: ignore[arg-type]


def test_workers_that_meet_a_text_at_once_agree(desk: Desk) -> None:
    """Eight workers, a time each: one id for each text, which merges and late comers keep."""
    barrier, found = Barrier(8, timeout=30), list[dict[int, UUID]]()

    def work(number: int) -> None:
        warehouse = Warehouse(desk.warehouse._client, desk.warehouse.database)
        for turn in range(6):
            at = NOON + timedelta(minutes=(number * 5 + turn * 3) % 8)
            given = [Given("inference", desk.tenant, f"{turn}-{each}", at) for each in range(5)]
            barrier.wait()
            found.append(dict(identify(warehouse, given)))

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    agreed: dict[int, set[UUID]] = {}
    for one in found:
        for key, meant in one.items():
            agreed.setdefault(key, set()).add(meant)
    assert len(agreed) == 30 and all(len(meant) == 1 for meant in agreed.values())
    desk.warehouse.command("OPTIMIZE TABLE foreign_ids FINAL")
    late = [Given("inference", desk.tenant, f"{turn}-{each}", NOON) for turn in range(6) for each in range(5)]
    assert {key: {meant} for key, meant in identify(desk.warehouse, late).items()} == agreed


def test_a_bad_event_and_its_mended_retry_are_one_event(desk: Desk) -> None:
    """The dead letter bears the id that the retry gets, whatever its time."""
    (letter,) = desk.arrive(text(desk.event("chatcmpl-9"), desk.event("ticket-1", task=None), desk.event("other")))
    desk.arrive(text(desk.event("ticket-1", 7)))
    assert letter.event_id in {row["inference_id"] for row in desk.rows() if row["given_id"] == "ticket-1"}
    assert len(desk.rows()) == 3


def test_the_proof_of_offsets_looks_for_the_id_that_was_given_first(desk: Desk) -> None:
    """A retry takes the place of the record before it, which is then looked for under the text's id."""
    desk.arrive(text(desk.event("chatcmpl-9")))
    given = Given("inference", desk.tenant, "chatcmpl-9", NOON + timedelta(minutes=9))
    seen = Seen(7, 0, str(given.id), "", NOON, given)
    offsets = Offsets.__new__(Offsets)
    offsets._warehouse = desk.warehouse
    (found,) = offsets._under_their_ids([seen])
    assert [found.event_id] == [str(row["inference_id"]) for row in desk.rows()]


def test_a_record_of_version_7_asks_nothing(desk: Desk) -> None:
    """The fast way costs no look for ids."""

    class Plain(MemorySink):
        def identify(self, given: Sequence[Given]) -> dict[int, UUID]:
            raise AssertionError("it was asked")

    event = new_inference("router", "r@1", tenant=desk.tenant)
    assert desk.arrive(own(event), sink=Plain()) == []


def test_the_balance_counts_an_event_once(books: Books) -> None:
    """Counted once, sent three times with three times: stored once, nothing missing, nothing uncounted."""
    warehouse = books.warehouse
    desk = Desk(warehouse)
    for minute in range(3):
        desk.arrive(text(desk.event("chatcmpl-9", minute, emitter="desk.1")))
        desk.arrive(own(desk.thumb("chatcmpl-9", minute, feedback_id="form-1", emitter="desk.1")), topic=FEEDBACK)
    books.count("inferences", 1, 1)
    books.count("feedback", 1, 1)
    assert books.places("inferences") == {"emitted": 1, "stored": 1}
    assert books.places("feedback") == {"emitted": 1, "parked": 1}
    Resolver(warehouse).step()
    assert books.places("feedback") == {"emitted": 1, "stored": 1}
    books.keeper.look()
    assert books.places("inferences") == {"emitted": 1, "stored": 1}
