"""Passes over the real ClickHouse: parked feedback expires once, and the balance is exact before, during and after."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from books import LONG_AGO, NOW, YEARS_AGO, Books, Dies, Hindered, Mortal, answer, look, old_events, some_history, thumb

from headrace.contract.control import DeadLetter
from headrace.errors import Transient
from headrace.warehouse import query_text


def test_what_waited_too_long_expires_into_the_ledger(books: Books) -> None:
    """Old parked feedback leaves its table and is in the ledger; new parked feedback and old joined feedback stay."""
    some_history(books)
    assert books.places("feedback") == {"emitted": 5, "stored": 2, "parked": 3}
    done = books.keeper.look()
    assert (done.expired, done.parked, done.missing) == (2, 1, 0)
    assert books.places("feedback") == {"emitted": 5, "stored": 2, "parked": 1, "expired": 2}
    assert books.one("SELECT sum(events) FROM ledger FINAL WHERE what = 'expired' AND kind = 'feedback'") == 2
    assert books.one("SELECT count() FROM feedback FINAL") == 3


def test_a_replay_brings_nothing_back(books: Books) -> None:
    """The expired feedback's records read again, and its inference come at last, change no count; the rows go again."""
    answers, said = some_history(books)
    books.keeper.look()
    before = books.balance("feedback")
    books.store(*said)
    assert books.balance("feedback") == before
    books.store(answers[2])
    assert books.balance("feedback") == before
    assert books.keeper.look().expired == 0
    assert books.balance("feedback") == before
    assert books.one("SELECT count() FROM feedback FINAL") == 3
    assert books.one("SELECT sum(events) FROM ledger FINAL") == 2


def test_what_arrives_is_parked_no_longer(books: Books) -> None:
    """An inference that comes after passes, days later, makes its feedback stored; the hour is settled anew."""
    answers, _ = some_history(books)
    books.keeper.look()
    books.keeper.look()
    books.store(answers[3])
    assert books.places("feedback") == {"emitted": 5, "stored": 3, "expired": 2}
    assert books.keeper.look().parked == 0
    assert books.places("feedback") == {"emitted": 5, "stored": 3, "expired": 2}
    assert books.one("SELECT count() FROM parked FINAL") == 0


def test_what_was_imported_just_now_does_not_expire(books: Books) -> None:
    """Feedback about last year may come before its inference of last year: it is given its time."""
    some_history(books)
    keeper = dataclasses.replace(books.keeper, grace=timedelta(hours=1))
    assert keeper.look().expired == 0
    assert books.places("feedback") == {"emitted": 5, "stored": 2, "parked": 3}


def test_a_crash_at_any_statement_loses_and_doubles_nothing(books: Books) -> None:
    """Passes killed between any two statements, one after the other: the balance is exact at once, and at the end."""
    total, died = 0, 0
    while died == total:
        hours = timedelta(hours=total)
        said = [thumb(answer(LONG_AGO), LONG_AGO + hours) for _ in range(3)]
        old = answer(YEARS_AGO + hours)
        books.store(answer(), *said, said[0], old, old, thumb(old, YEARS_AGO + hours), thumb(old))
        total += 1
        try:
            dataclasses.replace(books.keeper, warehouse=Mortal(books.warehouse, total)).look()  # type: ignore[arg-type]
        except Dies:
            died += 1
        balances = books.balances()
        for kind, each in (("inferences", 2), ("feedback", 5)):
            places = balances[kind]
            found = sum(places.get(place, 0) for place in ("stored", "parked", "expired"))
            assert found == places["uncounted"] == each * total
    assert died >= 11
    assert books.places("inferences") == {"stored": total, "expired": total, "uncounted": 2 * total}
    assert books.places("feedback") == {"stored": total, "expired": 4 * total, "uncounted": 5 * total}
    assert books.one("SELECT count() FROM expired FINAL") == 4 * total
    assert books.one("SELECT sum(events) FROM ledger FINAL") == 5 * total
    assert books.one("SELECT count() FROM feedback FINAL") == books.one("SELECT count() FROM inferences FINAL") == total


def test_a_loss_is_named_by_emitter_and_hour(books: Books) -> None:
    """What an emitter lacks since an hour is missing in that hour, and found again it is missing nowhere."""
    hours = [NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=back) for back in (5, 4, 3)]
    events = [[answer(hour + timedelta(minutes=minute)) for minute in range(10)] for hour in hours]
    lost = events[1][4]
    books.store(*(event for hour in events for event in hour if event is not lost))
    for number, hour in enumerate(hours, 1):
        books.count("inferences", number, 10 * number, at=hour + timedelta(minutes=30))
    missing = "SELECT hour, missing FROM balance WHERE missing != 0"
    assert books.warehouse.rows(missing) == [{"hour": hours[1], "missing": 1}]
    assert books.keeper.look().missing == 1
    assert books.warehouse.rows("SELECT hour, missing FROM reconciliations FINAL WHERE missing != 0") == [
        {"hour": hours[1], "missing": 1}
    ]
    books.store(lost)
    assert books.places("inferences") == {"emitted": 30, "stored": 30}
    assert books.keeper.look().missing == 0


def test_counting_late_is_not_missing(books: Books) -> None:
    """Events at the end of an hour, which the emitter counts in the next one, are missing in neither."""
    hour = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    books.store(*(answer(hour + timedelta(minutes=59, seconds=second)) for second in range(50, 60)))
    books.count("inferences", 1, 4, at=hour + timedelta(minutes=59, seconds=54))
    books.count("inferences", 2, 10, at=hour + timedelta(minutes=60, seconds=2))
    rows = books.warehouse.rows("SELECT emitted, stored, missing FROM balance WHERE kind = 'inferences' ORDER BY hour")
    assert rows == [{"emitted": 4, "stored": 10, "missing": 0}, {"emitted": 6, "stored": 0, "missing": 0}]


def test_a_dead_letter_that_became_a_row_is_found_again_by_a_pass(books: Books) -> None:
    """Settled as dead, then stored: the hour is settled anew; one without an id moves with its replay."""
    good = answer(LONG_AGO)
    letter = DeadLetter(
        topic="headrace.inferences", partition=1, offset=7, at=NOW, reason="bad", event_id=good.inference_id
    )
    garbage = letter.model_copy(update={"offset": 8, "event_id": None})
    books.warehouse.insert("dead_letters", [letter.to_json(), garbage.to_json()])
    books.keeper.look()
    assert books.places("inferences") == {"dead_lettered": 2, "uncounted": 2}
    books.store(good)
    (kept,) = books.warehouse.rows("SELECT digest FROM dead_letters WHERE offset = 8")
    replay = {"topic": "headrace.inferences", "partition": 1, "offset": 8, "record_index": -1, "to_partition": 1,
              "to_offset": 9, **kept}  # fmt: skip
    books.warehouse.insert("replays", [json.dumps(replay).encode()])
    books.warehouse.insert("dead_letters", [garbage.model_copy(update={"offset": 9}).to_json()])
    for _ in range(2):
        assert books.places("inferences") == {"stored": 1, "dead_lettered": 1, "uncounted": 2}
        books.keeper.look()


def test_a_month_in_which_nothing_waits_leaves_without_what_comes_meanwhile(books: Books) -> None:
    """Another worker's pass finds feedback that waits, between this one's look at its month and the drop."""
    gone, comes = thumb(answer(LONG_AGO), LONG_AGO), thumb(answer(LONG_AGO), LONG_AGO)

    class Beside:
        def command(self, sql: str, **parameters: Any) -> None:
            if "DROP PART" in sql:
                books.store(comes)
                books.warehouse.command(query_text("maintenance/parked_settle"))
            books.warehouse.command(sql, **parameters)

        def __getattr__(self, name: str) -> Any:
            return getattr(books.warehouse, name)

    def waited() -> None:
        for hours, is_gone in ((2, 0), (1, 1)):
            row = {"feedback_id": str(gone.feedback_id), "tenant": "default", "emitter": "desk.1", "gone": is_gone,
                   "known_at": f"{NOW - timedelta(hours=hours):%F %T}"}  # fmt: skip
            books.warehouse.insert("parked", [json.dumps(row).encode()])

    waited()
    assert books.keeper.look().failed == ()
    assert books.one("SELECT count() FROM parked") == 0
    waited()
    dataclasses.replace(books.keeper, warehouse=Beside()).look()  # type: ignore[arg-type]
    assert books.warehouse.rows("SELECT feedback_id FROM parked") == [{"feedback_id": comes.feedback_id}]


def test_a_warehouse_that_is_away_is_the_next_pass_s(books: Books) -> None:
    """A pass that cannot be finished raises what the warehouse raised."""

    class Away:
        def __getattr__(self, name: str) -> Any:
            raise Transient("away")

    with pytest.raises(Transient):
        dataclasses.replace(books.keeper, warehouse=Away()).look()  # type: ignore[arg-type]


def test_a_failing_step_blocks_no_other(books: Books) -> None:
    """Whatever of it fails, a pass settles the balance and says what failed; the next one does what was left."""
    steps = ("INSERT INTO expired ", "INSERT INTO expired_inferences", "INSERT INTO ledger", "DELETE FROM", "DROP PART")
    for number, refused in enumerate(steps, 1):
        some_history(books)
        old_events(books)
        before = books.one("SELECT max(until) FROM balance_passes")
        done = look(books, Hindered(books.warehouse, refused))
        assert done.failed and all("not now" in failure for failure in done.failed)
        assert books.one("SELECT max(until) FROM balance_passes") > before
        # As if the next pass came after the tail of this one.
        books.warehouse.command("INSERT INTO balance_passes (until) VALUES (now64(3) + INTERVAL 600001 MILLISECOND)")
        assert books.keeper.look().failed == ()
        assert books.one("SELECT sum(events) FROM ledger FINAL") == 8 * number
        assert books.one("SELECT count() FROM inferences") == 3 * number
        assert books.one("SELECT count() FROM feedback FINAL") == 5 * number
        books.warehouse.command("TRUNCATE TABLE balance_passes")
    places = books.places("feedback")
    assert (places["stored"], places["parked"], places["expired"]) == (4 * number, number, 5 * number)
