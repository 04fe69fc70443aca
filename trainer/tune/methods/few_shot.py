"""Few-shot: the base as it is, shown the settled rows that are most like the question; nothing is trained.

The examples' texts are in the bundle: see docs/datasets.md for what that means for an erasure.
"""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field

from headrace.plan.section import Section
from trainer.tune.method import Given

NEEDS = frozenset({"prompt"})
EFFORT = 1
MAKES = "prompt"


class Keys(Section):
    """Of a candidate with this method."""

    examples: Annotated[int, Field(ge=1, le=100)] = 8
    """How many rows a question is shown with: the nearest ones by MiniLM's embeddings, the nearest last."""


def tune(given: Given, keys: Keys) -> int:
    """See method.Method. A teacher's rows are not shown: one of them that is wrong would be copied."""
    from headrace.models.family import Prompted

    rows = [row for row in range(len(given.texts)) if not given.checked or given.checked[row]]
    tunable = cast(Prompted, given.tunable)
    tunable.set_examples([given.texts[row] for row in rows], [given.truth[row] for row in rows], keys.examples)
    return 0
