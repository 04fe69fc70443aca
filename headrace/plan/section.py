"""What the tables of the plan are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
EventTime = Annotated[float, Field(ge=0, le=100 * 365.25 * 86_400, allow_inf_nan=False)]
"""Seconds of event time, a century at most: with more there is no date that they lead to."""
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
WORD = r"^[a-z][a-z0-9_.-]{0,99}$"
Word = Annotated[str, Field(pattern=WORD)]


def table(value: Any) -> dict[str, Any]:
    """A table of a plan that is not checked yet; whatever is no table is pydantic's to refuse."""
    return value if isinstance(value, dict) else {}


def tables(value: Any) -> dict[str, dict[str, Any]]:
    """The tables in such a table, by name."""
    return {name: found for name, found in table(value).items() if isinstance(found, dict)}


def candidates(fields: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The place and the keys of each candidate of a plan that is not checked yet."""
    for task, spec in tables(fields.get("tasks")).items():
        for name, candidate in tables(spec.get("candidates")).items():
            yield ("tasks", task, "candidates", name), candidate


class Section(BaseModel):
    """A table of the plan: frozen, and a key nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, serialize_by_alias=True)
