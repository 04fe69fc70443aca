"""A consumer that must not stop silently: when a partition counts as stuck."""

from __future__ import annotations

from faust.types import TP

from streams.watchdog import Sighting, stuck

ONE, TWO = TP("headrace.inferences", 1), TP("headrace.jobs", 2)


def test_a_partition_that_fetches_nothing_is_stuck() -> None:
    """Records waited, none was fetched until the next look: stuck; a moved or drained partition is not."""
    before = Sighting({ONE: 5, TWO: 5}, {ONE: 9, TWO: 9})
    assert stuck(before, Sighting({ONE: 5, TWO: 6}, {ONE: 12, TWO: 9}), frozenset()) == [ONE]
    assert stuck(Sighting({ONE: 9}, {ONE: 9}), Sighting({ONE: 9}, {ONE: 20}), frozenset()) == []
    assert stuck(Sighting({}, {}), before, frozenset()) == []


def test_a_paused_topic_is_not_stuck() -> None:
    """A topic that was paused may have fetched nothing; every other one must have."""
    before = Sighting({ONE: 5}, {ONE: 9})
    assert stuck(before, before, frozenset({ONE.topic})) == []
    assert stuck(before, before, frozenset({TWO.topic})) == [ONE]
