"""P-tuning: virtual tokens before the prompt are trained, the base is not (Liu et al., 2021).

A bundle holds the virtual tokens and nothing of the network that made them, so that many such versions answer on one
loaded base. A checkpoint holds that network's parameters and not its output, which it could not go on from.
"""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field

from headrace.plan.section import Positive
from trainer.tune.gradient import Gradient
from trainer.tune.method import Given

NEEDS = frozenset({"gradient", "prompt"})
EFFORT = 2
MAKES = "soft_prompt"
FEWEST_EPOCHS = 10
"""Where the plan gives none: few parameters that start at a text move slowly."""


class Keys(Gradient):
    """Of a candidate with this method."""

    learning_rate: Positive = 1e-3
    """The optimizer's greatest."""
    virtual_tokens: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many there are: how much they can change, and how much longer each prompt is."""


def tune(given: Given, keys: Keys) -> int:
    """See method.Method. Raises OutOfBudget."""
    from headrace.models.family import Prompted
    from trainer.tune import fitting

    fitting.seed(given)
    cast(Prompted, given.tunable).set_virtual_tokens(keys.virtual_tokens)
    return fitting.fit(given, keys, FEWEST_EPOCHS)
