"""What is older than the plan keeps anything leaves the real ClickHouse, by months, counted before it goes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from books import (
    NOW,
    YEARS_AGO,
    Books,
    Hindered,
    answer,
    look,
    old_events,
    old_history,
    some_history,
    thumb,
    truth,
)

from headrace.contract.events import Inference
from headrace.contract.given_ids import Given
from headrace.plan import Privacy
from headrace.warehouse.foreign_ids import identify, known_ids
from streams.audits import Audits


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


def test_a_label_is_copied_to_where_its_copy_lies(books: Books) -> None:
    """A copy of an answer that was ahead is replaced by a later one, when the answer has come to be of its month."""
    one = answer(NOW + timedelta(hours=6)).model_copy(update={"audited": True, "label": "hr"})
    books.store(one, truth(one))
    audits = Audits(books.warehouse)
    audits.copy()
    assert books.one("SELECT place FROM audit_labels") == 999999
    # As the copy of tomorrow would find it.
    books.warehouse.command(
        "ALTER TABLE audit_labels UPDATE ingested_at = ingested_at - INTERVAL 1 DAY WHERE 1 SETTINGS mutations_sync = 2"
    )
    books.store(one.model_copy(update={"label": "it", "revision": 1}), inserted=NOW + timedelta(days=1))
    audits.copy()
    assert books.warehouse.rows("SELECT answered, error FROM audit_labels FINAL") == [{"answered": "it", "error": True}]


def test_the_audits_copies_of_questions_leave_too(books: Books) -> None:
    """A labelled question is kept beside its answer for the monitor, and no longer than that; its month is dropped."""
    old, new = (answer(at).model_copy(update={"audited": True}) for at in (YEARS_AGO, NOW))
    books.store(old, new, *(truth(one) for one in (old, new)))
    Audits(books.warehouse).copy()
    assert books.one("SELECT count() FROM audit_labels FINAL") == 2
    hindered = Hindered(books.warehouse)
    look(books, hindered)
    assert [sql for sql in hindered.ran if "DELETE" in sql] == []
    assert books.one("SELECT count() FROM audit_labels") == 1
    assert books.one("SELECT count() FROM audit_current") == 1


def test_texts_of_old_events_leave_with_them(books: Books) -> None:
    """What stands for the text of an answer that is kept no longer is deleted; what stands for a newer one stays."""
    given = [Given("inference", "default", "chatcmpl-9", at) for at in (YEARS_AGO, NOW)]
    given[1] = dataclasses.replace(given[1], text="chatcmpl-10")
    identify(books.warehouse, given)
    books.keeper.look()
    assert books.one("SELECT count() FROM foreign_ids") == 2
    old_history(books)
    books.keeper.look()
    assert known_ids(books.warehouse, [one.key for one in given]) == {given[1].key: given[1].id}


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
    books.store(first, answer(YEARS_AGO - timedelta(days=100)), inserted=NOW - timedelta(days=2))
    books.store(second, answer())
    books.warehouse.command("OPTIMIZE TABLE inferences FINAL")
    hindered = Hindered(books.warehouse)
    done = dataclasses.replace(books.keeper, warehouse=hindered, grace=timedelta(days=1)).look()  # type: ignore[arg-type]
    assert done.expired == 2
    deletes = [sql for sql in hindered.ran if "DELETE" in sql]
    assert len(deletes) == 2 and all("IN PARTITION" in sql for sql in deletes)
    assert "ALTER TABLE inferences" in deletes[0] and "ALTER TABLE arrivals" in deletes[1]
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


def test_ids_far_from_their_arrival_leave_too(books: Books) -> None:
    """Ids of long ago leave the partition that they share, ids of the far future when they arrived too long ago."""
    keeper = dataclasses.replace(books.keeper, privacy=Privacy(retention_days=2000, parked_days=9000))
    years = timedelta(days=365)
    old, kept, far, farther = (answer(NOW + years * n) for n in (-8, -4, 20, 30))
    for one, inserted in ((old, None), (kept, None), (far, NOW - 8 * years), (farther, None)):
        books.store(one, thumb(one, one.occurred_at), inserted=inserted)
    books.store(answer())
    hindered = Hindered(books.warehouse)
    assert dataclasses.replace(keeper, warehouse=hindered).look().expired == 4  # type: ignore[arg-type]
    places = {"stored": 3, "expired": 2, "uncounted": 5}
    assert books.places("inferences") == places and books.places("feedback")["expired"] == 2
    rows = books.warehouse.rows("SELECT DISTINCT inference_id FROM inferences")
    left = {row["inference_id"] for row in rows}
    assert {kept.inference_id, farther.inference_id} < left and not left & {old.inference_id, far.inference_id}
    deletes = [sql for sql in hindered.ran if "DELETE" in sql]
    assert len(deletes) == 6 and all("IN PARTITION" in sql for sql in deletes)
    assert keeper.look().expired == 0 and books.places("inferences") == places


def test_copies_of_questions_with_far_ids_leave_too(books: Books) -> None:
    """A labelled question whose id lies in the far future is kept as long as others, from its arrival on."""
    far = answer(NOW + timedelta(days=9000)).model_copy(update={"audited": True})
    books.store(far, truth(far), answer())
    Audits(books.warehouse).copy()
    books.keeper.look()
    assert books.one("SELECT count() FROM audit_labels FINAL") == 1
    aged = "ALTER TABLE audit_labels UPDATE ingested_at = ingested_at - INTERVAL 3 YEAR WHERE 1"
    books.warehouse.command(f"{aged} SETTINGS mutations_sync = 2")
    books.keeper.look()
    assert books.one("SELECT count() FROM audit_labels FINAL") == 0


STUCK = "ALTER TABLE feedback DELETE WHERE throwIf(toUInt128(feedback_id) > 0) = 0"


def test_never_more_than_one_mutation_is_in_flight(books: Books) -> None:
    """While a mutation of a table is not done nothing else is deleted from it, pass after pass; then it goes on."""
    some_history(books)
    old_events(books)
    books.warehouse.command(f"{STUCK} SETTINGS mutations_sync = 0")
    for _ in range(2):
        done = books.keeper.look()
        assert any("feedback" in failure and "mutation" in failure for failure in done.failed)
        assert [row["mutations"] for row in books.warehouse.query("maintenance/mutations_running")] == [1]
        assert books.one("SELECT count() FROM inferences FINAL") == 3
        assert books.balances()["feedback"]["expired"] == 2
    while not books.warehouse.query("maintenance/mutations_running")[0]["reason"]:
        pass
    told, *_ = [failure for failure in books.keeper.look().failed if "KILL" in failure]
    kill = told[told.index("KILL MUTATION") :]
    # Another table's mutation may have the same id.
    assert f"database = '{books.warehouse.database}' AND table = 'feedback'" in kill
    books.warehouse.command(f"{kill} SYNC")
    assert books.keeper.look().failed == ()
    assert books.places("feedback") == {"emitted": 5, "stored": 4, "parked": 1, "expired": 5, "uncounted": 5}
    assert books.one("SELECT count() FROM feedback FINAL") == 5
