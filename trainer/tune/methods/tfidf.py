"""TF-IDF and logistic regression: words and pieces of words alone, of the base `words`; a baseline."""

from __future__ import annotations

from typing import Any

from headrace.plan.section import Positive, Section
from trainer.tune.method import Given, Unproven

NEEDS = frozenset({"words"})
EFFORT = 1
MAKES = "words"


class Keys(Section):
    """Of a candidate with this method."""

    inverse_regularisation: Positive = 30.0
    """The greater, the closer it fits the rows."""


def tune(given: Given, keys: Keys) -> int:
    """See method.Method. Needs rows of at least two labels. Raises Unproven."""
    import numpy as np
    from scipy.sparse import csr_array

    from headrace.models.families.words import Vectoriser
    from trainer.heads import probe

    vectoriser = Vectoriser.of(given.texts, given.base.max_length)
    if not len(vectoriser.features):
        raise Unproven("no row has a word that could be counted")
    rows = [vectoriser.row(text) for text in given.texts]
    ends = np.cumsum([0, *(len(places) for places, _ in rows)])
    held = np.concatenate([weights for _, weights in rows]), np.concatenate([places for places, _ in rows])
    counted = csr_array((*held, ends), shape=(len(rows), len(vectoriser.features)))
    labels = len(given.labels.ids)
    head = probe(counted, given.truth, labels, keys.inverse_regularisation, weights=given.weights)
    tunable: Any = given.tunable
    tunable.set_words(vectoriser, head.weight, head.bias)
    return head.weight.size + head.bias.size
