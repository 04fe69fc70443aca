"""The table of the plan that says what models that write are told, and how their texts are compared."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headrace.plan.section import Section


class Writing(Section):
    """Of a task of kind generate, whose models `headrace train` makes."""

    instructions: Annotated[str, Field(max_length=20_000)] = ""
    """What a model is told before each question."""
    criteria: Annotated[str, Field(max_length=20_000)] = "Is the answer right, and does it say all that was asked for?"
    """By which the task's judge compares and grades texts."""
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 256
    """Of a text that the judge sees; what would be longer is cut."""
