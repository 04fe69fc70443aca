"""LoRA: low-rank adapters on every linear layer (Hu et al., 2021), with the head trained beside them."""

from __future__ import annotations

from math import sqrt
from typing import Annotated

from pydantic import Field

from headrace.plan.section import Positive
from trainer.tune.gradient import Gradient
from trainer.tune.method import Given

NEEDS = frozenset({"gradient"})
EFFORT = 2
MAKES = "adapter"
HIGH_RANK = 64
"""From this rank on it is rank-stabilised: scaled by alpha / sqrt(rank) (Kalajdzievski, 2023)."""
SCALE = 2.0
"""What the adapter's product is multiplied by, whatever the rank."""


class Keys(Gradient):
    """Of a candidate with this method."""

    learning_rate: Positive = 1e-3
    """The optimizer's greatest."""
    rank: Annotated[int, Field(ge=1, le=512)] = 16
    """Of the adapters: how much they can change."""


def tune(given: Given, keys: Keys) -> int:
    """See method.Method. Raises OutOfBudget."""
    from peft import LoraConfig, get_peft_model

    from trainer.tune import fitting

    fitting.seed(given)
    stabilised = keys.rank >= HIGH_RANK
    config = LoraConfig(
        r=keys.rank,
        lora_alpha=SCALE * (sqrt(keys.rank) if stabilised else keys.rank),
        use_rslora=stabilised,
        target_modules=fitting.linear_layers(given.tunable.module),
    )
    given.tunable.module = get_peft_model(given.tunable.module, config)
    return fitting.fit(given, keys)
