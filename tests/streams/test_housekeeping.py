"""Passes over the real ClickHouse: parked feedback expires once, and the balance is exact before, during and after."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from headrace.control import Counter, DeadLetter
from headrace.errors import Transient
from headrace.events import Event, Feedback, Inference, new_feedback, new_inference
from headrace.ids import uuid7
from headrace.plan import Privacy
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.audits import Audits
from streams.housekeeping import Housekeeping, Pass

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=45)
YEARS_AGO = NOW - timedelta(days=800)


class Books:
    """A warehouse, ways to fill it, and its balance, read in both ways."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.keeper = Housekeeping(warehouse, Privacy(parked_days=30), "test", grace=timedelta(0))

    def store(self, *events: Event) -> None:
        for kind, model in (("inferences", Inference), ("feedback", Feedback)):
            rows = [
                json.dumps(json.loads(event.to_json()) | {"extra": "{}"}).encode()
                for event in events
                if isinstance(event, model)
            ]
            self.warehouse.insert(kind, rows)

    def count(self, kind: str, sequence: int, emitted: int, at: datetime = NOW, emitter: str = "desk.1") -> None:
        counter = Counter(emitter=emitter, kind=kind, sequence=sequence, at=at, emitted=emitted, acknowledged=emitted)
        self.warehouse.insert("emitters", [counter.to_json()])

    def balances(self) -> dict[str, dict[str, int]]:
        """Each kind's row without its zeros; what passes settled and all of history agree on it."""
        quick, full = self.warehouse.query("reconcile"), self.warehouse.query("reconcile_full")
        assert quick == full
        return {row["kind"]: {name: value for name, value in row.items() if value != 0} for row in quick}

    def balance(self, kind: str) -> dict[str, int]:
        return self.balances()[kind]

    def places(self, kind: str) -> dict[str, int]:
        return {name: value for name, value in self.balance(kind).items() if name != "kind"}

    def one(self, sql: str) -> Any:
        return next(iter(self.warehouse.rows(sql)[0].values()))


@pytest.fixture
def books(clickhouse_server: Settings) -> Iterator[Books]:
    settings = clickhouse_server.replaced(database=f"test_{uuid4().hex[:12]}")
    warehouse = Warehouse.connect(settings)
    warehouse.prepare()
    yield Books(warehouse)
    warehouse.close()


def answer(at: datetime = NOW) -> Inference:
    return new_inference("router", "router@1", emitter="desk.1", inference_id=uuid7(at), occurred_at=at)


def thumb(about: Inference, at: datetime = NOW, **fields: Any) -> Feedback:
    return new_feedback(
        about.inference_id, "user", "thumb", value=1, emitter="desk.1", feedback_id=uuid7(at), occurred_at=at, **fields
    )


def truth(about: Inference) -> Feedback:
    """A blind label of an answer."""
    return new_feedback(
        about.inference_id, "audit", "label", label="hr", emitter="desk.1",
        feedback_id=uuid7(about.occurred_at), occurred_at=about.occurred_at,
    )  # fmt: skip


def some_history(books: Books) -> tuple[list[Inference], list[Feedback]]:
    """Two answers, one old and one new; two old thumbs on answers that never came, a new one on one that has not."""
    old, new, never, late = answer(LONG_AGO), answer(), answer(LONG_AGO), answer()
    said = [thumb(old, LONG_AGO), thumb(new), thumb(never, LONG_AGO), thumb(never, LONG_AGO, revision=1), thumb(late)]
    books.store(old, new, *said)
    books.count("inferences", 1, 2)
    books.count("feedback", 1, 5)
    return [old, new, never, late], said


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


class Dies(Exception):
    """The process is gone."""


class Mortal:
    """A warehouse whose client dies before its n-th statement that changes anything."""

    def __init__(self, warehouse: Warehouse, at: int) -> None:
        self._warehouse, self._left = warehouse, at

    def __getattr__(self, name: str) -> Any:
        if name in ("command", "insert"):
            self._left -= 1
            if self._left == 0:
                raise Dies
        return getattr(self._warehouse, name)


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
    replay = {"topic": "headrace.inferences", "partition": 1, "offset": 8, "record_index": -1, "to_partition": 1,
              "to_offset": 9}  # fmt: skip
    books.warehouse.insert("replays", [json.dumps(replay).encode()])
    books.warehouse.insert("dead_letters", [garbage.model_copy(update={"offset": 9}).to_json()])
    for _ in range(2):
        assert books.places("inferences") == {"stored": 1, "dead_lettered": 1, "uncounted": 2}
        books.keeper.look()


def test_a_warehouse_that_is_away_is_the_next_pass_s(books: Books) -> None:
    """A pass that cannot be finished raises what the warehouse raised."""

    class Away:
        def __getattr__(self, name: str) -> Any:
            raise Transient("away")

    with pytest.raises(Transient):
        dataclasses.replace(books.keeper, warehouse=Away()).look()  # type: ignore[arg-type]


def old_history(books: Books) -> list[Event]:
    """Old answers: one with a thumb, one with a corrected one, one with a thumb of today; and a new one."""
    events = old_events(books)
    books.count("inferences", 1, 4)
    books.count("feedback", 1, 5)
    return events


def old_events(books: Books, at: datetime = YEARS_AGO) -> list[Event]:
    """The same, of an emitter that does not count them."""
    old = [answer(at), answer(at), answer(at)]
    late, new = thumb(old[2]), answer()
    events = [*old, thumb(old[0], at), thumb(old[1], at), thumb(old[1], at, revision=1), late, new, thumb(new)]
    books.store(*events)
    return events


def test_what_is_older_than_the_plan_keeps_leaves(books: Books) -> None:
    """Old answers and feedback are counted into the ledger, then off the tables; what is newer stays, and is stored."""
    old_history(books)
    assert books.places("inferences") == {"emitted": 4, "stored": 4}
    assert books.keeper.look().expired == 6
    assert books.places("inferences") == {"emitted": 4, "stored": 1, "expired": 3}
    assert books.places("feedback") == {"emitted": 5, "stored": 2, "expired": 3}
    assert books.one("SELECT count() FROM inferences") == 1 and books.one("SELECT count() FROM feedback") == 2
    ledger = books.warehouse.rows("SELECT kind, events, reason FROM ledger FINAL ORDER BY kind")
    assert [(row["kind"], row["events"]) for row in ledger] == [("feedback", 3), ("inferences", 3)]
    assert {row["reason"] for row in ledger} == {"older than the plan keeps anything"}
    assert books.keeper.look().expired == 0
    assert books.places("inferences") == {"emitted": 4, "stored": 1, "expired": 3}


def test_the_audits_copies_of_questions_leave_too(books: Books) -> None:
    """A labelled question is kept beside its answer for the monitor, and no longer than that."""
    old, new = (answer(at).model_copy(update={"audited": True}) for at in (YEARS_AGO, NOW))
    books.store(old, new, *(truth(one) for one in (old, new)))
    Audits(books.warehouse).copy()
    assert books.one("SELECT count() FROM audit_labels FINAL") == 2
    books.keeper.look()
    assert books.one("SELECT count() FROM audit_labels") == 1
    assert books.one("SELECT count() FROM audit_current") == 1


def test_nothing_old_comes_back(books: Books) -> None:
    """A replay of what left, and feedback of today about it, leave the balance right, and the rows go again."""
    events = old_history(books)
    books.keeper.look()
    books.store(*events)
    assert books.places("inferences") == {"emitted": 4, "stored": 1, "expired": 3}
    assert books.places("feedback") == {"emitted": 5, "stored": 2, "expired": 3}
    assert isinstance(events[0], Inference)
    books.store(thumb(events[0]))
    books.count("feedback", 2, 6)
    assert books.places("feedback") == {"emitted": 6, "stored": 3, "expired": 3}
    books.keeper.look()
    assert books.places("inferences") == {"emitted": 4, "stored": 1, "expired": 3}
    assert books.places("feedback") == {"emitted": 6, "stored": 3, "expired": 3}
    assert books.one("SELECT count() FROM inferences FINAL") == 1


def test_months_leave_whole_and_imports_are_given_their_time(books: Books) -> None:
    """A month is kept until its last day is too old; what was ingested within the grace stays, however old."""
    oldest = NOW - timedelta(days=books.keeper.privacy.retention_days)
    first = oldest.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    books.store(answer(), answer(first + timedelta(milliseconds=1)), answer(first - timedelta(milliseconds=1)))
    assert dataclasses.replace(books.keeper, grace=timedelta(hours=1)).look().expired == 0
    assert books.keeper.look().expired == 1
    assert books.places("inferences") == {"stored": 2, "expired": 1, "uncounted": 3}


class Hindered:
    """A warehouse that refuses the statements that `refuses` matches, and remembers all that change something."""

    def __init__(self, warehouse: Warehouse, refuses: str = "^$") -> None:
        self._warehouse, self._refuses = warehouse, re.compile(refuses)
        self.ran: list[str] = []

    def command(self, sql: str, **parameters: Any) -> None:
        self.ran.append(sql)
        if self._refuses.search(sql):
            raise Transient("not now")
        self._warehouse.command(sql, **parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)


def look(books: Books, warehouse: Hindered) -> Pass:
    return dataclasses.replace(books.keeper, warehouse=warehouse).look()  # type: ignore[arg-type]


def test_months_in_which_nothing_is_kept_are_dropped(books: Books) -> None:
    """Whole months of old rows leave without a mutation."""
    old_history(books)
    hindered = Hindered(books.warehouse)
    assert look(books, hindered).expired == 6
    assert [sql for sql in hindered.ran if "DELETE" in sql] == []
    assert books.one("SELECT count() FROM inferences") == 1 and books.one("SELECT count() FROM feedback") == 2


def test_a_month_that_still_gets_rows_keeps_those(books: Books) -> None:
    """Old rows leave a month by a mutation of that month alone while an import brings others, which have their time."""
    first, second = answer(YEARS_AGO), answer(YEARS_AGO + timedelta(seconds=1))
    books.store(first, answer(YEARS_AGO - timedelta(days=100)), answer())
    books.warehouse.command(
        "ALTER TABLE inferences UPDATE ingested_at = ingested_at - INTERVAL 2 DAY WHERE 1 SETTINGS mutations_sync = 2"
    )
    books.store(second)
    books.warehouse.command("OPTIMIZE TABLE inferences FINAL")
    hindered = Hindered(books.warehouse)
    done = dataclasses.replace(books.keeper, warehouse=hindered, grace=timedelta(days=1)).look()  # type: ignore[arg-type]
    assert done.expired == 2
    deletes = [sql for sql in hindered.ran if "DELETE" in sql]
    assert len(deletes) == 1 and "IN PARTITION" in deletes[0]
    kept = {row["inference_id"] for row in books.warehouse.rows("SELECT inference_id FROM inferences")}
    assert second.inference_id in kept and first.inference_id not in kept and len(kept) == 2
    assert books.places("inferences") == {"stored": 2, "expired": 2, "uncounted": 4}


def test_what_arrives_while_a_month_is_dropped_stays(books: Books) -> None:
    """A row that comes between the look at a month and its drop is neither lost nor counted as gone."""
    late = answer(YEARS_AGO + timedelta(seconds=1))

    class Busy(Hindered):
        def command(self, sql: str, **parameters: Any) -> None:
            if "DROP PART" in sql and "inferences" in str(parameters):
                books.store(late)
            super().command(sql, **parameters)

    books.store(answer(YEARS_AGO), answer())
    look(books, Busy(books.warehouse))
    assert books.places("inferences") == {"stored": 2, "expired": 1, "uncounted": 3}
    assert books.one("SELECT count() FROM inferences") == 2
    look(books, Hindered(books.warehouse))
    assert books.places("inferences") == {"stored": 1, "expired": 2, "uncounted": 3}


STUCK = "ALTER TABLE feedback DELETE WHERE throwIf(toUInt128(feedback_id) > 0) = 0"


def test_never_more_than_one_mutation_is_in_flight(books: Books) -> None:
    """While a mutation of a table is not done nothing else is deleted from it, pass after pass; then it goes on."""
    some_history(books)
    old_events(books)
    books.warehouse.command(f"{STUCK} SETTINGS mutations_sync = 0")
    for _ in range(2):
        done = books.keeper.look()
        assert any("feedback" in failure and "mutation" in failure for failure in done.failed)
        assert [row["mutations"] for row in books.warehouse.query("mutations_running")] == [1]
        assert books.one("SELECT count() FROM inferences FINAL") == 3
        assert books.balances()["feedback"]["expired"] == 2
    books.warehouse.command("KILL MUTATION WHERE database = currentDatabase() AND table = 'feedback' SYNC")
    assert books.keeper.look().failed == ()
    assert books.places("feedback") == {"emitted": 5, "stored": 4, "parked": 1, "expired": 5, "uncounted": 5}
    assert books.one("SELECT count() FROM feedback FINAL") == 5


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
