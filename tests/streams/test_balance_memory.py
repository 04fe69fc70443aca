"""A pass over a great many events at once takes memory by what expired and by what came twice, not by what came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from books import Books
from long_history import answered

from headrace.warehouse import query_text

EVENTS = 800_000
BOUND = 250_000_000
"""Bytes; a view that looks at every event of an hour in which one expired takes more."""
LEAVING = 200_000_000
"""Likewise; with a list of the ids three eighths of the events take more."""


@pytest.mark.parametrize("query", ["maintenance/reconcile_settle", "cli/reconcile"])
def test_an_hour_with_events_that_expired_is_not_held_in_memory(books: Books, query: str) -> None:
    """Each hour of a fortnight has feedback that expired while it was parked, and 2,400 answers that did not."""
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    stored = answered(books.warehouse, "router", until - timedelta(days=14), until, timedelta(days=14) / EVENTS)
    books.warehouse.command(
        "INSERT INTO expired (feedback_id, tenant, revision, ground_truth, emitter, expired_at)"
        " SELECT any(toUUID(hex(toUInt128(inference_id) + 1))), 'default', 0, false, 'desk.1', now64(3)"
        " FROM inferences GROUP BY intDiv(toUInt128(inference_id), 4352132950612665028942233600000)"
    )
    assert within(BOUND, query, books)["stored"] == stored


@pytest.mark.parametrize("query", ["maintenance/reconcile_settle", "cli/reconcile"])
def test_a_month_that_leaves_takes_no_list_of_its_ids(books: Books, query: str) -> None:
    """All of a fortnight is in the set of the expired, and nothing is deleted yet, as where a pass was killed."""
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    stored = answered(
        books.warehouse, "router", until - timedelta(days=14), until, timedelta(days=14) / (EVENTS * 3 // 8)
    )
    books.warehouse.command(
        "INSERT INTO expired_inferences (inference_id, tenant, emitter, expired_at)"
        " SELECT inference_id, tenant, emitter, now64(3) FROM inferences"
    )
    assert within(LEAVING, query, books)["expired"] == stored


def within(most: int, query: str, books: Books) -> dict[str, int]:
    """The balance of answers by a query that may take so many bytes."""
    text, bound = query_text(query), f"SETTINGS max_memory_usage = {most}"
    text = text.replace("SETTINGS ", f"{bound}, ") if "SETTINGS " in text else text + bound
    if query.startswith("cli/"):
        return dict(books.warehouse.rows(text)[0])
    books.warehouse.command(text)
    return books.balance("inferences")
