"""What `make bench-promotions` counts as an answer of the wrong version, on a record made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.promoting.record import Outage, Record
from benchmarks.promoting.traffic import Answer
from headrace.contract.control import Promotion, Served, Step

T0 = datetime(2026, 11, 30, tzinfo=UTC)
ONE, TWO = Served(version="router@1"), Served(version="router@2")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.fixture
def record() -> Record:
    """@1 is live; @2 is its canary from second 10 and live from second 20; `slow` acknowledges 3 s after `fast`."""
    found = Record()
    for generation, moment, fields in (
        (1, 0, {"step": Step.STEADY, "live": ONE}),
        (2, 10, {"step": Step.CANARY, "live": ONE, "canary": TWO, "canary_share": 0.5}),
        (3, 20, {"step": Step.STEADY, "live": TWO, "previous": ONE, "incumbent_share": 0.2}),
    ):
        found.promotions[generation] = Promotion(
            task="router", generation=generation, since=T0, at=at(moment), **fields
        )
        found.acknowledged["fast"].append((at(moment + 0.1), generation))
        found.acknowledged["slow"].append((at(moment + 3), generation))
    return found


@pytest.mark.parametrize(
    ("replica", "version", "began", "ended", "kind"),
    [
        ("fast", "router@1", 5, 6, "as promoted"),
        ("fast", "router@2", 5, 6, "strange"),
        ("fast", "router@2", 5, 10.05, "as promoted"),  # it may have begun to serve it before it said so
        ("fast", "router@2", 12, 13, "as promoted"),
        ("fast", "router@1", 21, 22, "strange"),
        ("slow", "router@1", 21, 22, "as promoted"),  # it had not acknowledged the third
        ("slow", "router@1", 23.5, 24, "strange"),
        ("fast", "router@0", 12, 13, "strange"),
        ("fast", "router@0", 21, 22, "diverted"),
        ("fast", "", 21, 22, "failed"),
        ("", "router@2", 21, 22, "not stored"),
    ],
)
def test_an_answer_is_judged(record: Record, replica: str, version: str, began: float, ended: float, kind: str) -> None:
    """By what its replica had acknowledged when the request began, and what there was when it ended."""
    answer = Answer(at(began), at(ended), version, "an id" if version else "", 0)
    assert record.judged([answer], {"an id": replica} if replica else {}, "router@0") == {kind: 1}


def test_how_far_a_promotion_spreads(record: Record) -> None:
    """To each replica; one that was killed meanwhile does not count, and one that never came is infinitely late."""
    assert sorted(record.spread_s([])) == pytest.approx([0.1] * 3 + [3.0] * 3)
    away = Outage("slow", at(15), at(25))
    assert sorted(record.spread_s([away])) == pytest.approx([0.1] * 3 + [3.0] * 2)
    record.acknowledged["fast"].pop()
    assert max(record.spread_s([])) == float("inf")
