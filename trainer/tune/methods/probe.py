"""A linear head on the frozen base: multinomial logistic regression on its embeddings."""

from __future__ import annotations

from headrace.plan.section import Positive, Section
from trainer.tune.method import Given

NEEDS = frozenset({"head"})
EFFORT = 1
MAKES = "head"


class Keys(Section):
    """Of a candidate with this method."""

    inverse_regularisation: Positive = 30.0
    """The greater, the closer it fits the rows; .864 on CLINC's ten domains with 411 rows at 30."""


def tune(given: Given, keys: Keys) -> int:
    """See method.Method. Needs rows of at least two labels."""
    from trainer.tune.heads import probe

    head = probe(
        given.embeddings(), given.truth, len(given.labels.ids), keys.inverse_regularisation, weights=given.weights
    )
    given.tunable.set_head(head.weight, head.bias)
    return head.weight.size + head.bias.size
