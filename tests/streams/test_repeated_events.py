"""An event that several emitters send, as after a restart, is one event and missing nowhere; a lost one is missing."""

from __future__ import annotations

import dataclasses
from base64 import b64encode
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import uuid4

import pytest
from books import LONG_AGO, NOW, YEARS_AGO, Books, Dies, Hindered, Mortal, answer, look, thumb, truth

from headrace.contract.control import DeadLetter
from headrace.contract.events import Event
from headrace.errors import WarehouseError
from headrace.plan import Privacy

E = TypeVar("E", bound=Event)
MERGE = ("OPTIMIZE TABLE inferences FINAL", "OPTIMIZE TABLE feedback FINAL", "OPTIMIZE TABLE arrivals FINAL")


def sent_by(event: E, emitter: str, **fields: object) -> E:
    return event.model_copy(update={"emitter": emitter, **fields})


def merge(books: Books) -> None:
    for statement in MERGE:
        books.warehouse.command(statement)


def by_emitter(books: Books, kind: str) -> dict[str, dict[str, int]]:
    """What is not zero of each emitter's row of `headrace reconcile --by emitter`."""
    rows = books.warehouse.query("cli/reconcile_by", by_emitter=1, by_hour=0, since="2000-01-01 00:00:00")
    places = ("emitted", "stored", "parked", "dead_lettered", "expired", "repeated", "missing")
    return {row["source"]: {name: row[name] for name in places if row[name]} for row in rows if row["kind"] == kind}


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_a_retry_over_a_restart_is_missing_nowhere(books: Books, settled: bool, together: bool) -> None:
    """The gateway before and the one after count it; whether a pass or a merge comes between, it is one event."""
    event, alone = answer(), answer()
    copies = [sent_by(event, name) for name in ("gate.1", "gate.2")]
    books.count("inferences", 1, 2, emitter="gate.1")
    books.store(sent_by(alone, "gate.1"), *(copies if together else copies[:1]))
    if settled:
        books.keeper.look()
    books.store(*copies[1:])
    books.count("inferences", 1, 1, emitter="gate.2")
    for _ in range(2):
        assert books.places("inferences") == {"emitted": 3, "stored": 2, "repeated": 1}
        merge(books)
        assert books.keeper.look().missing == 0
    assert by_emitter(books, "inferences") == {
        "gate.1": {"emitted": 2, "stored": 1, "repeated": 1},
        "gate.2": {"emitted": 1, "stored": 1},
    }


def test_a_retry_that_the_first_row_outlives_is_found(books: Books) -> None:
    """The retry bears an earlier time, so the row stays the first emitter's; the retry is known after a merge, too."""
    event = answer()
    books.store(sent_by(event, "gate.1"))
    books.keeper.look()
    aside = "INSERT INTO balance_passes (until) VALUES (now64(3) + INTERVAL 600001 MILLISECOND)"
    books.store(sent_by(event, "gate.2", occurred_at=event.occurred_at - timedelta(seconds=1)))
    merge(books)
    for number in (1, 2):
        books.count("inferences", 1, 1, emitter=f"gate.{number}")
    assert books.places("inferences") == {"emitted": 2, "stored": 1, "repeated": 1}
    books.keeper.look()
    books.warehouse.command(aside)
    assert books.places("inferences") == {"emitted": 2, "stored": 1, "repeated": 1}


def test_three_emitters_of_one_event(books: Books) -> None:
    """Whoever sends it last, days later and again and again: one is stored, the others repeated it."""
    event, said = answer(NOW - timedelta(days=3)), answer()
    for number in range(1, 4):
        books.count("inferences", 1, 1, emitter=f"gate.{number}")
        books.store(sent_by(event, f"gate.{number}"))
        books.keeper.look()
    for number in (1, 3, 2):
        books.store(sent_by(event, f"gate.{number}"), said)
        assert books.places("inferences") == {"emitted": 3, "stored": 2, "repeated": 2, "uncounted": 1}
    merge(books)
    books.keeper.look()
    assert by_emitter(books, "inferences")["gate.2"] == {"emitted": 1, "stored": 1}
    assert books.places("inferences") == {"emitted": 3, "stored": 2, "repeated": 2, "uncounted": 1}


def test_feedback_of_several_emitters(books: Books) -> None:
    """Each revision, and what an expert says under the same id, is an event of its own; so is another tenant's."""
    about = answer()
    said = [thumb(about), truth(about)]
    said += [said[0].model_copy(update={"revision": 1}), said[0].model_copy(update={"tenant": "other"})]
    books.store(about, *(sent_by(one, "gate.1") for one in said), *(sent_by(one, "gate.2") for one in said[1:]))
    books.count("feedback", 1, 4, emitter="gate.1")
    books.count("feedback", 1, 3, emitter="gate.2")
    assert books.places("feedback") == {"emitted": 7, "stored": 3, "parked": 1, "repeated": 3}
    # The resolver's way: the same row once more.
    books.warehouse.command("INSERT INTO feedback SELECT * REPLACE (resolved + 1 AS resolved) FROM feedback FINAL")
    merge(books)
    books.keeper.look()
    assert books.places("feedback") == {"emitted": 7, "stored": 3, "parked": 1, "repeated": 3}


def test_what_is_lost_shows_beside_what_is_repeated(books: Books) -> None:
    """One that never came is missing; one whose row is gone is missing for all who sent it, arrivals or not."""
    event, gone, lost = answer(), answer(), answer()
    for number in (1, 2):
        books.store(*(sent_by(one, f"gate.{number}") for one in (event, gone)))
        books.count("inferences", 1, 3, emitter=f"gate.{number}")
    assert books.places("inferences") == {"emitted": 6, "stored": 2, "repeated": 2, "missing": 2}
    assert books.keeper.look().missing == 2
    books.warehouse.command(
        f"ALTER TABLE inferences DELETE WHERE inference_id = '{gone.inference_id}' SETTINGS mutations_sync = 2"
    )
    assert books.places("inferences") == {"emitted": 6, "stored": 1, "repeated": 1, "missing": 4}
    assert books.keeper.look().missing == 4
    books.store(*(sent_by(one, f"gate.{number}") for one in (gone, lost) for number in (1, 2)))
    assert books.places("inferences") == {"emitted": 6, "stored": 3, "repeated": 3}


def test_nothing_is_acknowledged_of_which_no_arrival_is_known(books: Books) -> None:
    """Where the arrivals cannot be written the insert fails, and is repeated as one that was killed."""
    event = answer()
    books.store(sent_by(event, "gate.1"))
    books.warehouse.command("RENAME TABLE arrivals TO elsewhere")
    with pytest.raises(WarehouseError):
        books.store(sent_by(event, "gate.2"))
    books.warehouse.command("RENAME TABLE elsewhere TO arrivals")
    books.store(sent_by(event, "gate.2"))
    for number in (1, 2):
        books.count("inferences", 1, 1, emitter=f"gate.{number}")
    assert books.places("inferences") == {"emitted": 2, "stored": 1, "repeated": 1}


def test_a_dead_letter_that_became_a_row_of_which_another_took_the_place(books: Books) -> None:
    """It was mended, stored, and sent by another emitter, too: it is repeated, and dead no more."""
    event = sent_by(answer(), "gate.1")
    letter = DeadLetter(
        topic="headrace.inferences", partition=0, offset=1, record_index=0, at=NOW, reason="bad",
        original=b64encode(event.to_json()).decode(), event_id=event.inference_id,
    )  # fmt: skip
    books.warehouse.insert("dead_letters", [letter.to_json()])
    for number in (1, 2):
        books.count("inferences", 1, 1, emitter=f"gate.{number}")
    books.store(sent_by(event, "gate.2"))
    assert books.places("inferences") == {"emitted": 2, "stored": 1, "dead_lettered": 1}
    books.store(event, sent_by(event, "gate.2"))
    merge(books)
    assert books.places("inferences") == {"emitted": 2, "stored": 1, "repeated": 1}


def test_feedback_that_expires_parked_stays_repeated(books: Books) -> None:
    """Under whom it expired, the other's count holds, whatever is replayed."""
    books.store(answer())
    said = thumb(answer(LONG_AGO), LONG_AGO)
    for number in (1, 2):
        books.store(sent_by(said, f"gate.{number}"))
        books.count("feedback", 1, 1, emitter=f"gate.{number}")
    for number in (1, 2):
        assert books.keeper.look().missing == 0
        assert books.places("feedback") == {"emitted": 2, "expired": 1, "repeated": 1}
        books.store(sent_by(said, f"gate.{number}"))


def month_of(books: Books, at: datetime = YEARS_AGO) -> list[Event]:
    """An answer and a thumb that two emitters sent, and one that another sent alone; counted."""
    twice, alone = answer(at), answer(at)
    said = thumb(twice, at)
    events = [sent_by(one, name) for one in (twice, said) for name in ("gate.1", "gate.2")]
    books.store(*events, sent_by(alone, "gate.2"), answer())
    for number, counted in ((1, 1), (2, 2)):
        books.count("inferences", 1, counted, emitter=f"gate.{number}")
        books.count("feedback", 1, 1, emitter=f"gate.{number}")
    return [*events, sent_by(alone, "gate.2")]


def test_a_month_leaves_and_its_repeated_events_stay_counted(books: Books) -> None:
    """Arrivals of others than the emitter under which an event expired are kept; replays change nothing."""
    events = month_of(books)
    hindered = Hindered(books.warehouse)
    for again in range(3):
        assert look(books, hindered).missing == 0
        assert books.places("inferences") == {"emitted": 3, "stored": 1, "expired": 2, "repeated": 1, "uncounted": 1}
        assert books.places("feedback") == {"emitted": 2, "expired": 1, "repeated": 1}
        merge(books)
        rows = books.warehouse.rows("SELECT kind, emitter, place FROM arrivals WHERE place < 2 ORDER BY kind")
        kept = [{"kind": kind, "emitter": "gate.1", "place": 1} for kind in ("feedback", "inferences")]
        assert [row for row in rows if row["place"] == 1] == kept
        assert books.one("SELECT count() FROM arrivals") == 3
        if again < 2:
            books.store(*events, *events[:2])
    assert [sql for sql in hindered.ran if "DELETE" in sql] == []


@pytest.mark.parametrize("settled", [False, True])
def test_a_month_leaves_that_was_settled_long_ago(books: Books, settled: bool) -> None:
    """Which hours have arrivals of others is known from the passes before, and of what came since from the arrivals."""
    before = NOW - timedelta(days=2)
    first, second = (sent_by(answer(YEARS_AGO), name) for name in ("gate.1", "gate.2"))
    again = sent_by(first, "gate.2")
    books.store(first, second, answer(), *([again] if settled else []), inserted=before)
    books.count("inferences", 1, 1, emitter="gate.1")
    books.count("inferences", 1, 2, emitter="gate.2")
    keeps_longer = dataclasses.replace(books.keeper, privacy=Privacy(parked_days=30, retention_days=2000))
    assert keeps_longer.look().expired == 0
    if not settled:
        books.store(again)
    for _ in range(2):
        assert books.keeper.look().missing == 0
        assert books.places("inferences") == {"emitted": 3, "stored": 1, "expired": 2, "repeated": 1, "uncounted": 1}
    assert books.warehouse.rows("SELECT emitter FROM arrivals WHERE place = 1") == [{"emitter": "gate.1"}]


def test_a_retry_after_its_month_left_is_repeated(books: Books) -> None:
    """A third emitter, years later: the event expired under another one, and its arrival is kept as well."""
    events = month_of(books)
    books.keeper.look()
    books.store(*(sent_by(one, "gate.3") for one in events[::2]))
    books.count("inferences", 1, 2, emitter="gate.3")
    books.count("feedback", 1, 1, emitter="gate.3")
    for _ in range(3):
        assert books.places("inferences") == {"emitted": 5, "stored": 1, "expired": 2, "repeated": 3, "uncounted": 1}
        assert books.places("feedback") == {"emitted": 3, "expired": 1, "repeated": 2}
        assert books.keeper.look().missing == 0


def test_a_month_that_still_gets_retries(books: Books) -> None:
    """The first emitter's arrival is due, the other's is of today: neither the row nor the count suffers by that."""
    event = answer(YEARS_AGO)
    old = answer(YEARS_AGO + timedelta(seconds=1))
    books.store(sent_by(event, "gate.1"), sent_by(old, "gate.1"), inserted=NOW - timedelta(days=2))
    books.store(answer(), sent_by(event, "gate.2"))
    books.warehouse.command("OPTIMIZE TABLE arrivals FINAL")
    books.count("inferences", 1, 2, emitter="gate.1")
    books.count("inferences", 1, 1, emitter="gate.2")
    keeper = dataclasses.replace(books.keeper, grace=timedelta(days=1))
    for _ in range(2):
        assert keeper.look().failed == ()
        assert books.places("inferences") == {"emitted": 3, "stored": 2, "expired": 1, "repeated": 1, "uncounted": 1}
    for _ in range(2):
        books.keeper.look()
        assert books.places("inferences") == {"emitted": 3, "stored": 1, "expired": 2, "repeated": 1, "uncounted": 1}


def test_arrivals_wait_for_what_they_are_of(books: Books) -> None:
    """Where a step of retention fails, nothing of a month's arrivals is dropped or kept; the next pass does it."""
    month_of(books)
    done = look(books, Hindered(books.warehouse, "INSERT INTO expired_inferences"))
    assert done.failed
    assert books.one("SELECT count() FROM arrivals WHERE place != 1") == 6
    assert books.one("SELECT count() FROM arrivals WHERE place = 1") == 0
    assert books.places("inferences") == {"emitted": 3, "stored": 3, "repeated": 1, "uncounted": 1}
    assert books.keeper.look().failed == ()
    assert books.places("inferences") == {"emitted": 3, "stored": 1, "expired": 2, "repeated": 1, "uncounted": 1}


def test_a_crash_at_any_statement_keeps_every_count(books: Books) -> None:
    """Passes killed between any two statements, one after the other: nothing is missing, nothing counted twice."""
    total, died = 0, 0
    while died == total:
        total += 1
        at, name = YEARS_AGO + timedelta(hours=total), f"gate.{total}"
        event = answer(at)
        said = thumb(event, at)
        for emitter in (name, "desk.1"):
            books.store(answer(), sent_by(event, emitter), sent_by(said, emitter))
        books.count("inferences", 1, 1, emitter=name)
        books.count("feedback", 1, 1, emitter=name)
        try:
            dataclasses.replace(books.keeper, warehouse=Mortal(books.warehouse, total)).look()  # type: ignore[arg-type]
        except Dies:
            died += 1
        for balance in books.warehouse.query("cli/reconcile"):
            kind = balance["kind"]
            stored = 2 * total if kind == "inferences" else 0
            assert (balance["repeated"], balance["missing"]) == (total, 0)
            assert balance["stored"] + balance["expired"] == stored + total
    assert died >= 13
    assert books.places("feedback")["repeated"] == total
    assert books.one("SELECT count() FROM arrivals FINAL WHERE place = 1") == 2 * total


def test_what_another_emitter_sent_is_told_of_an_event(books: Books) -> None:
    """`headrace doctor ID` names the emitters that its row does not."""
    event = answer()
    for emitter in ("gate.1", "gate.2"):
        books.store(sent_by(event, emitter))
    rows = books.warehouse.query("cli/doctor_event", id=event.inference_id)
    assert [(row["emitter"], row["what"]) for row in rows] == [("gate.1", "answer"), ("gate.2", "answer")]
    assert books.warehouse.query("cli/doctor_event", id=uuid4()) == []
