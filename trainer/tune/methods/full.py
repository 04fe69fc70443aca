"""Full fine-tuning: every weight is trained; of an encoder all but the word embeddings.

These are half of MiniLM's weights, and a few hundred rows touch few of them: without them an epoch takes a fifth less
time, and accuracy stays the same (docs/log.md).
"""

from __future__ import annotations

from headrace.plan.section import Positive
from trainer.tune.gradient import BatchSize, Gradient
from trainer.tune.method import Given

NEEDS = frozenset({"gradient"})
EFFORT = 3
MAKES = "full"
NAMES = True
FEWEST_EPOCHS = 3
"""Of an encoder: from the probe's head three are as good as six on 411 rows, and neighbours gain more (docs/log.md)."""
CONSISTENT_ROWS = 1_000
"""Up to so many rows an encoder is trained with R-Drop, which takes 1.7 times as long and helps where rows are few."""


class Keys(Gradient):
    """Of a candidate with this method."""

    learning_rate: Positive = 1e-4
    """The optimizer's greatest: a tenth of what adapters take, since every weight moves."""
    batch: BatchSize = 32
    """Rows to a step of the optimizer, which moves all weights: twice as many as for adapters (docs/log.md)."""
    head_learning_rate: Positive = 1e-2
    """The greatest of an encoder's head: at the weights' own it stays where the probe put it (docs/log.md)."""


def tune(given: Given, keys: Keys) -> int:
    """See method.Method. Raises OutOfBudget."""
    from trainer.tune import fitting

    fitting.seed(given)
    if "head" not in given.family.CAN:
        return fitting.fit(given, keys)
    given.tunable.module.get_input_embeddings().requires_grad_(False)
    consistent = len(given.texts) <= CONSISTENT_ROWS
    return fitting.fit(given, keys, FEWEST_EPOCHS, consistent, head_rate=keys.head_learning_rate)
