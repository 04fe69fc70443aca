"""Rows as outcomes: one a text, whatever is repeated, with its cluster and its weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest

from trainer.curate.rows import Row
from trainer.curate.text import digest, normal
from trainer.gate.outcomes import mean_of, one_a_text, outcomes


def row(text: str, said: int, label: str = "hr", cluster: str = "", weight: float = 20.0) -> Row:
    """A test row whose label is the said-th that came."""
    return Row(
        "test", "default", UUID(int=said), UUID(int=said), datetime(2026, 1, 1, tzinfo=UTC), text, text, label, "audit",
        4, label, "router@0", weight, cluster or text,
    )  # fmt: skip


def test_repeated_questions_are_one_outcome() -> None:
    """Twelve copies of one question that the candidate gained are one gained, and weigh what one row weighs."""
    rows = [row("vpn", said) for said in range(1, 13)] + [row("leave", 13), row("pay", 14)]
    found = outcomes(rows, ["hr", "it"], [1.0] * 14, [0.0] * 12 + [1.0, 1.0])
    assert found.n == 3 and found.weight.tolist() == [1.0, 1.0, 1.0] and found.independent
    assert (found.pairs().gained, found.pairs().lost) == (1, 0)
    assert found.by_label(found.candidate).tolist() == [3.0, 0.0]


def test_a_text_that_is_right_sometimes_has_a_fraction() -> None:
    """A text has the mean of its rows' scores, which McNemar's test does not take."""
    found = outcomes([row("vpn", 1), row("vpn", 2), row("leave", 3)], ["hr"], [1.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    assert found.candidate.tolist() == [0.5, 1.0] and not found.independent


def test_texts_come_in_the_order_of_their_labels() -> None:
    """What was labelled later is seen later, so that a longer test continues a shorter one."""
    rows = [row("late", 9), row("early", 2), row("again", 5), row("early", 8)]
    firsts, place = one_a_text(rows)
    assert [one.text for one in firsts] == ["early", "again", "late"] and place.tolist() == [2, 0, 1, 0]
    assert mean_of(place, [0.9, 0.1, 0.5, 0.3]).tolist() == pytest.approx([0.2, 0.5, 0.9])


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [(("a", "a", "b"), [0, 0, 1]), (("a", "b", "a"), [0, 1, 0]), (("", "", ""), [0, 1, 2])],
)
def test_sessions_are_clusters(clusters: Sequence[str], expected: list[int]) -> None:
    """Texts of one session are of one cluster, numbered as they come."""
    rows = [row(str(said), said, cluster=cluster) for said, cluster in enumerate(clusters, 1)]
    assert outcomes(rows, ["hr"], [1.0] * 3, [1.0] * 3).cluster.tolist() == expected


def test_near_repetitions_are_of_one_cluster() -> None:
    """One question with another number each time is one piece of evidence, with its session; other texts are not."""

    def asked(text: str, said: int, cluster: str = "") -> Row:
        name = digest(normal(text))
        return replace(row(text, said, cluster=cluster or name), text_digest=name)

    order = "where is my order {} and when will it be delivered, please tell me now"
    rows = [asked(order.format(n), n, "session" if n == 4712 else "") for n in range(4711, 4715)]
    rows += [asked("how do I book a trip to Lisbon", 5000, "session"), asked("my laptop does not start any more", 5001)]
    assert outcomes(rows, ["hr"], [1.0] * 6, [0.0] * 6).cluster.tolist() == [0, 0, 0, 0, 0, 1]


def test_a_text_of_many_sessions_is_a_cluster_of_its_own() -> None:
    """A greeting that opens every session does not make one cluster of them all."""
    rows = [
        row("hi", 1, cluster="a"),
        row("vpn", 2, cluster="a"),
        row("hi", 3, cluster="b"),
        row("pay", 4, cluster="b"),
    ]
    assert outcomes(rows, ["hr"], [1.0] * 4, [1.0] * 4).cluster.tolist() == [0, 1, 2]


def test_weights_are_relative() -> None:
    """A row drawn with probability 1/20 beside one drawn with 1/60 counts a third of it; the mean is 1."""
    found = outcomes([row("vpn", 1), row("pay", 2, weight=60.0)], ["hr"], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0])
    assert found.weight.tolist() == [0.5, 1.5] and not found.independent
    assert found.reference is not None and found.reference.tolist() == [0.0, 1.0]


def test_no_rows_are_no_outcomes() -> None:
    """An empty split has no texts."""
    found = outcomes([], ["hr"], [], [])
    assert found.n == 0 and found.independent and np.array_equal(found.counts(), [0])
