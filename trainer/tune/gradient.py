"""The keys that every method takes which follows a gradient.

Descent   all of them
Gradient  those of a candidate that competes with others of its base while it trains (trainer.tune.halving)
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headrace.plan.section import Positive, Section

BatchSize = Annotated[int, Field(ge=1, le=4096)]


class Descent(Section):
    """Of a candidate whose method trains by gradient descent."""

    learning_rate: Positive
    """The optimizer's greatest."""
    epochs: Annotated[int, Field(ge=0, le=100)] = 0
    """How often each row is seen; 0: 3 to 10 times, the more often the fewer rows a label has (an adapter: at least 6).
    Less often where thousands of teacher rows train (docs/teacher.md); 3 times where the answers are texts."""
    batch: BatchSize = 16
    """Rows to a step of the optimizer."""
    neighbours: Annotated[int, Field(ge=0, le=1000)] = 10
    """Training rows that have a say in each answer beside a linear head, the nearest ones; 0: none."""


class Gradient(Descent):
    """Of a candidate whose epochs are all that it costs: it may be given up after a share of them."""
