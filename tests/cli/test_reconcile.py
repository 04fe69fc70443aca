"""The balance of events, on the real ClickHouse: each figure is provoked once."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace.contract.control import Counter, DeadLetter
from headrace.contract.events import Event, Feedback, Inference, new_feedback, new_inference
from headrace.contract.ids import uuid7
from headrace.warehouse import Warehouse

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def books(empty_warehouse: Warehouse) -> Books:
    """A prepared database of its own, and a few ways to fill it."""
    return Books(empty_warehouse)


class Books:
    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def store(self, *events: Event) -> None:
        for event in events:
            fields = json.loads(event.to_json()) | {"extra": "{}"}
            table = "inferences" if isinstance(event, Inference) else "feedback"
            self.warehouse.insert(table, [json.dumps(fields).encode()])

    def count(
        self, emitter: str, kind: str, sequence: int, emitted: int, dropped: int = 0, acknowledged: int = -1
    ) -> None:
        known = emitted - dropped if acknowledged < 0 else acknowledged
        counter = Counter(
            emitter=emitter, kind=kind, sequence=sequence, at=AT, emitted=emitted, dropped=dropped, acknowledged=known
        )
        self.warehouse.insert("emitters", [counter.to_json()])

    def bury(self, offset: int, original: bytes, event_id: Any = None, topic: str = "headrace.inferences") -> None:
        letter = DeadLetter(
            topic=topic, partition=0, offset=offset, record_index=0, at=AT, reason="bad",
            original=b64encode(original).decode(), event_id=event_id,
        )  # fmt: skip
        self.warehouse.insert("dead_letters", [letter.to_json()])

    def leave(self, what: str, kind: str, events: int) -> None:
        entry = {"entry_id": str(uuid7()), "at": AT.isoformat(), "what": what, "kind": kind, "tenant": "default",
                 "events": events, "reason": "test"}  # fmt: skip
        self.warehouse.insert("ledger", [json.dumps(entry).encode()])

    def balance(self, kind: str) -> dict[str, int]:
        """The row of a kind without its zeros; the equation of the query's comment holds in every case."""
        rows = {row.pop("kind"): row for row in self.warehouse.query("cli/reconcile")}
        for row in rows.values():
            places = ("stored", "parked", "dead_lettered", "expired", "erased", "missing")
            assert row["emitted"] == sum(row[name] for name in places) - row["uncounted"]
        return {name: value for name, value in rows[kind].items() if value}


def answers(count: int, emitter: str = "desk.1") -> list[Inference]:
    return [new_inference("router", "router@1", emitter=emitter) for _ in range(count)]


def thumb(answer: Inference, **fields: Any) -> Feedback:
    return new_feedback(answer.inference_id, "user", "thumb", value=1, emitter="desk.1", **fields)


def test_nothing_is_nothing(books: Books) -> None:
    """An empty warehouse balances, with a row for each kind."""
    assert books.balance("inferences") == books.balance("feedback") == {}


def test_what_was_emitted_is_stored_once_however_often_it_came(books: Books) -> None:
    """The last counter counts, and a replayed event is one event."""
    events = answers(5)
    books.store(*events, *events[:3])
    books.count("desk.1", "inferences", 1, 2)
    books.count("desk.1", "inferences", 2, 7, dropped=2)
    assert books.balance("inferences") == {"emitted": 5, "stored": 5}


def test_what_is_found_nowhere_is_missing(books: Books) -> None:
    """A loss shows, and another emitter's surplus does not hide it."""
    books.store(*answers(3), *answers(4, "desk.2"))
    books.count("desk.1", "inferences", 1, 5)
    books.count("desk.2", "inferences", 1, 1)
    assert books.balance("inferences") == {"emitted": 6, "stored": 7, "missing": 2, "uncounted": 3}


def test_feedback_is_parked_until_its_inference_comes(books: Books) -> None:
    """Feedback without its inference is parked, and stored as soon as that arrives; another tenant's does not count."""
    early, there, foreign = answers(3)
    books.store(there, foreign, thumb(early), thumb(there), thumb(foreign, tenant="other"))
    books.count("desk.1", "feedback", 1, 3)
    assert books.balance("feedback") == {"emitted": 3, "stored": 1, "parked": 2}
    books.store(early)
    assert books.balance("feedback") == {"emitted": 3, "stored": 2, "parked": 1}


def test_a_revision_is_an_event_of_its_own(books: Books) -> None:
    """A revised thumb counts beside the first one, and is no duplicate."""
    (answer,) = answers(1)
    first = thumb(answer)
    books.store(answer, first, first.model_copy(update={"revision": 1, "value": -1.0}))
    books.count("desk.1", "feedback", 1, 2)
    assert books.balance("feedback") == {"emitted": 2, "stored": 2}


def test_a_dead_letter_is_not_missing(books: Books) -> None:
    """A dead-lettered event of a counting emitter is found; sent twice it is one; stored later it is none."""
    good, bad = answers(2)
    books.store(good)
    books.count("desk.1", "inferences", 1, 2)
    for offset in (1, 2):
        books.bury(offset, bad.to_json(), bad.inference_id)
    assert books.balance("inferences") == {"emitted": 2, "stored": 1, "dead_lettered": 1}
    books.store(bad)
    assert books.balance("inferences") == {"emitted": 2, "stored": 2}


def test_a_dead_letter_is_its_tenants(books: Books) -> None:
    """Another tenant's event of the same id is another event: it is dead, whatever is stored of the first."""
    (stored,) = answers(1)
    books.store(stored)
    books.bury(1, stored.owned("other", "").to_json(), stored.inference_id)
    said = new_feedback(stored.inference_id, "audit", "label", label="it")
    books.store(said)
    books.bury(2, said.owned("other", "").to_json(), said.feedback_id, topic="headrace.labels")
    full = {row["kind"]: row for row in books.warehouse.query("cli/reconcile_full")}
    for kind in ("inferences", "feedback"):
        assert books.balance(kind) == {"stored": 1, "dead_lettered": 1, "uncounted": 2}
        assert (full[kind]["stored"], full[kind]["dead_lettered"]) == (1, 1)


def test_a_dead_letter_under_anothers_id_is_its_own_emitters(books: Books) -> None:
    """What was refused because another emitter's answer bears its id is dead, and nothing is missing."""
    (stored,) = answers(1)
    books.store(stored)
    books.count("desk.1", "inferences", 1, 1)
    for offset, emitter in enumerate(("forger.1", "forger.1", "forger.2")):
        forged = stored.model_copy(update={"label": "it", "emitter": emitter})
        books.bury(offset, forged.to_json(), stored.inference_id)
        books.count(emitter, "inferences", 1, 1)
    assert books.balance("inferences") == {"emitted": 3, "stored": 1, "dead_lettered": 2}
    (full, _) = books.warehouse.query("cli/reconcile_full")
    assert (full["dead_lettered"], full["missing"]) == (2, 0)


def test_a_dead_letters_bytes_go_and_it_stays_counted(books: Books) -> None:
    """After 30 days nothing of what was sent is left in it, and the balance is the same."""
    (bad,) = answers(1)
    letter = DeadLetter(topic="headrace.inferences", partition=0, offset=1, record_index=0, at=AT, reason="bad",
                        original=b64encode(bad.to_json()).decode(), event_id=bad.inference_id)  # fmt: skip
    fields = json.loads(letter.to_json()) | {"ingested_at": "2026-01-01 00:00:00"}
    books.warehouse.insert("dead_letters", [json.dumps(fields).encode()])
    books.count("desk.1", "inferences", 1, 1)
    books.warehouse.command("OPTIMIZE TABLE dead_letters FINAL")
    assert books.warehouse.rows("SELECT original, emitter, tenant FROM dead_letters") == [
        {"original": "", "emitter": "desk.1", "tenant": "default"}
    ]
    assert books.balance("inferences") == {"emitted": 1, "dead_lettered": 1}


def test_a_dead_letter_without_id_and_emitter_is_uncounted(books: Books) -> None:
    """Bytes that are no event are known by their place and count as one, which nobody had counted."""
    books.bury(1, b"\xff not json")
    books.bury(2, b"\xff not json")
    books.bury(2, b"{}", topic="headrace.feedback")
    assert books.balance("inferences") == {"dead_lettered": 2, "uncounted": 2}
    assert books.balance("feedback") == {"dead_lettered": 1, "uncounted": 1}


def test_an_emitter_without_counters_is_uncounted(books: Books) -> None:
    """Events of a plain Kafka producer are a figure of their own, not a negative loss."""
    books.store(*answers(4, "raw"), *answers(1, ""))
    assert books.balance("inferences") == {"stored": 5, "uncounted": 5}


def test_what_left_on_purpose_is_not_missing(books: Books) -> None:
    """Expired and erased events are in the ledger, each kind by itself."""
    books.store(*answers(2))
    books.count("desk.1", "inferences", 1, 9)
    books.leave("expired", "inferences", 4)
    books.leave("erased", "inferences", 2)
    assert books.balance("inferences") == {"emitted": 9, "stored": 2, "expired": 4, "erased": 2, "missing": 1}


def test_what_is_on_the_way_shows_as_unacknowledged(books: Books) -> None:
    """Part of what is missing may still be on its way; the figure says how much."""
    books.store(*answers(3))
    books.count("desk.1", "inferences", 1, 10, acknowledged=3)
    assert books.balance("inferences") == {"emitted": 10, "stored": 3, "missing": 7, "unacknowledged": 7}
