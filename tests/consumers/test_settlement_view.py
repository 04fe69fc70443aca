"""The settled truth of an answer, on the real ClickHouse: who is believed when sources disagree."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from headrace.contract import ids
from headrace.contract.events import Feedback, new_feedback
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
# By precedence, the least believed first: each says another label.
SOURCES: list[tuple[str, str, str]] = [
    ("judge", "verdict", "judge-label"),
    ("user", "correction", "user-label"),
    ("outcome", "label", "outcome-label"),
    ("audit", "label", "expert-label"),
]


def said(answer: UUID, source: str, signal: str, label: str, minutes: float = 0, **fields: Any) -> Feedback:
    at = AT + timedelta(minutes=minutes)
    return new_feedback(answer, source, signal, label=label, occurred_at=at, **fields)


def store(warehouse: Warehouse, *events: Feedback) -> None:
    place = {"kafka_topic": "t", "kafka_partition": 0, "kafka_offset": 0, "kafka_index": 0, "extra": ""}
    rows = [json.dumps(event.model_dump(mode="json", exclude_none=True) | place).encode() for event in events]
    for row in rows:
        warehouse.insert("feedback", [row])


def settled(warehouse: Warehouse, answer: UUID) -> list[tuple[str, str, int]]:
    sql = "SELECT label, source, rank FROM ground_truth_current WHERE inference_id = {answer:UUID}"
    return [(row["label"], row["source"], row["rank"]) for row in warehouse.rows(sql, answer=str(answer))]


def test_precedence_whatever_the_order_of_arrival(warehouse: Warehouse) -> None:
    """Expert over outcome over the user's correction over the judge, however late or early each speaks."""
    for order in permutations(range(4)):
        answer = ids.uuid7(AT)
        # The less believed speak later, which must not help them.
        events = [said(answer, *SOURCES[n], minutes=10 - n) for n in order]
        store(warehouse, *events)
        assert settled(warehouse, answer) == [("expert-label", "audit", 4)]


@pytest.mark.parametrize("believed", range(4))
def test_each_rank_settles_until_a_higher_one_speaks(warehouse: Warehouse, believed: int) -> None:
    """The best source that has spoken decides."""
    answer = ids.uuid7(AT)
    store(warehouse, *[said(answer, *SOURCES[n]) for n in range(believed + 1)])
    source, _, label = SOURCES[believed]
    assert settled(warehouse, answer) == [(label, source, believed + 1)]


def test_among_equals_the_latest_word_counts(warehouse: Warehouse) -> None:
    """Two experts: the later one. A revision of the earlier word beats a later first word."""
    answer = ids.uuid7(AT)
    first = said(answer, "reviewer", "verdict", "hr", minutes=1, rater="ann", blame="routing")
    second = said(answer, "reviewer", "verdict", "it", minutes=2, rater="bob", blame="routing")
    store(warehouse, second, first)
    assert settled(warehouse, answer) == [("it", "reviewer", 4)]
    store(warehouse, first.model_copy(update={"revision": 1, "label": "finance"}))
    assert settled(warehouse, answer) == [("finance", "reviewer", 4)]


def test_a_replay_changes_nothing(warehouse: Warehouse) -> None:
    """The same events again, in another order, settle the same way, one row an answer."""
    answer = ids.uuid7(AT)
    events = [said(answer, *source) for source in SOURCES]
    store(warehouse, *events, *reversed(events))
    assert settled(warehouse, answer) == [("expert-label", "audit", 4)]


def test_what_names_no_label_settles_nothing(warehouse: Warehouse) -> None:
    """A thumb, a rephrased question and a verdict without a label are no truth."""
    answer = ids.uuid7(AT)
    store(
        warehouse,
        said(answer, "user", "thumb", "", value=-1.0),
        said(answer, "implicit", "rephrase", ""),
        said(answer, "judge", "verdict", "", blame="retrieval"),
    )
    assert settled(warehouse, answer) == []


def test_a_user_settles_by_correcting_only(warehouse: Warehouse) -> None:
    """A label on a user's thumb is not a correction; where a user reroutes to is."""
    thumb, reroute = ids.uuid7(AT), ids.uuid7(AT)
    store(warehouse, said(thumb, "user", "thumb", "hr", value=1.0), said(reroute, "user", "reroute", "finance"))
    assert settled(warehouse, thumb) == []
    assert settled(warehouse, reroute) == [("finance", "user", 2)]


def test_tenants_do_not_settle_each_others_answers(warehouse: Warehouse) -> None:
    """The same answer id in two tenants is two answers."""
    answer = ids.uuid7(AT)
    store(warehouse, said(answer, "audit", "label", "hr", tenant="a"), said(answer, "audit", "label", "it", tenant="b"))
    assert sorted(settled(warehouse, answer)) == [("hr", "audit", 4), ("it", "audit", 4)]
