"""A model that is evaluated computes no text twice, says the same, and forgets nothing of that to a measured time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.models.recall import Recall
from headrace.models.tensors import Floats


class Counting:
    """Computes two numbers of each text, and counts for which."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Its length, and its first letter's number."""
        self.asked += texts
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32).reshape(len(texts), 2)


def test_a_text_is_computed_once_where_it_is_asked_for() -> None:
    """Repeated, in another order and beside others, each row is its own; none at all has the right shape."""
    recall, compute = Recall(), Counting()
    with recall.on():
        first = recall.of(["a", "bb", "a"], compute)
        again = recall.of(["ccc", "bb"], compute)
        assert recall.of([], compute).shape == (0, 2)
    assert compute.asked == ["a", "bb", "ccc"]
    assert first.tolist() == [[1, 97], [2, 98], [1, 97]] and again.tolist() == [[3, 99], [2, 98]]


def test_outside_everything_is_computed() -> None:
    """Before, after and between: a gateway and what measures time get no text for free; inside it is known again."""
    recall, compute = Recall(), Counting()
    with recall.on():
        with recall.on():
            recall.of(["a"], compute)
        recall.of(["a"], compute)
    recall.of(["a"], compute)
    with recall.on():
        recall.of(["a"], compute)
    assert compute.asked == ["a", "a"]
