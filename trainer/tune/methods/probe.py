"""A linear head on the frozen base: multinomial logistic regression on its embeddings, with neighbours beside it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headrace.plan.section import Positive, Section
from trainer.tune.method import Given

NEEDS = frozenset({"head"})
EFFORT = 1
MAKES = "head"


class Keys(Section):
    """Of a candidate with this method."""

    inverse_regularisation: Positive = 30.0
    """The greater, the closer it fits the rows; .864 on CLINC's ten domains with 411 rows at 30."""
    neighbours: Annotated[int, Field(ge=0, le=1000)] = 10
    """Training rows that have a say in each answer beside the head, the nearest ones; 0: none."""


def tune(given: Given, keys: Keys) -> int:
    """See method.Method. Needs rows of at least two labels."""
    from trainer.heads import probe

    vectors = given.embeddings()
    head = probe(vectors, given.truth, len(given.labels.ids), keys.inverse_regularisation, weights=given.weights)
    given.tunable.set_head(head.weight, head.bias)
    if keys.neighbours:
        given.tunable.remember(given.texts, given.truth, given.weights, keys.neighbours, vectors)
    return head.weight.size + head.bias.size
