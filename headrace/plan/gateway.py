"""The table of the plan that says where requests go whose model is no task."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headrace.plan.section import Section, Word

ModelName = Annotated[str, Field(min_length=1, max_length=200)]


class Gateway(Section):
    """Requests for models that are no tasks pass through to an engine of kind openai, unchanged."""

    upstream: Word | None = None
    """One of [engines], of kind openai, for every model that is neither a task nor named in `models`. Left out: such a
    request is refused."""
    models: dict[ModelName, Word] = Field(default_factory=dict)
    """The engine of a model, by the name that clients give it."""

    @property
    def engines(self) -> dict[str, str]:
        """The engine named at each key of this table."""
        named = {f"models.{model}": engine for model, engine in self.models.items()}
        return ({"upstream": self.upstream} if self.upstream else {}) | named
