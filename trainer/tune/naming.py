"""What a label is called, as one more row of it: where labels have few rows a name tells them apart."""

from __future__ import annotations

from dataclasses import replace

from headrace.models.tensors import Floats
from trainer.tune.method import Given, Method

WEIGHT = 0.3
"""How much a name counts beside a question: it is no sample of what users say (docs/log.md)."""
FEW = 20
"""Rows a label, on average, from which on names are left out: questions say more, and say it as users do."""


def named(given: Given, method: Method) -> Given:
    """With a row for each label that has rows: its text and what the plan says that it stands for.

    Only where names train the method (NAMES). A base without a head is told what its labels are called, or learns
    their codes; it gets none.
    """
    seen = sorted(set(given.truth))
    names_train = getattr(method, "NAMES", False) and "head" in given.family.CAN
    if not names_train or len(given.truth) >= FEW * len(seen):
        return given
    lines = given.labels.lines()
    names = [lines[label].replace("_", " ") for label in seen]

    def embeddings() -> Floats:
        import numpy as np

        rows = given.family.embedded(given.base, names, given.threads)
        return np.concatenate([given.embeddings(), rows])

    return replace(
        given,
        texts=[*given.texts, *names],
        truth=[*given.truth, *seen],
        weights=[*given.weights, *[WEIGHT] * len(seen)],
        checked=[*given.checked, *[True] * len(seen)] if given.checked else (),
        embeddings=embeddings,
    )
