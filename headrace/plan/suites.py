"""The tables of the plan that name a task's suites, questions of an institution, and academic benchmarks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headrace.plan.section import Section, Share


class SuiteSpec(Section):
    """A suite: a folder of JSON lines with a manifest (headrace/contract/suite.py)."""

    folder: Annotated[str, Field(min_length=1, max_length=1000)]
    """Where it is on the machine that trains; `headrace suites check FOLDER` checks it."""
    minimum: Share | None = None
    """Veto: the candidate's accuracy on it is below this, or the suite cannot be run. Left out: it is only reported."""


class BenchmarkSpec(Section):
    """Academic benchmarks of causal candidates, by lm-evaluation-harness and its task files."""

    folder: Annotated[str, Field(min_length=1, max_length=1000)]
    """Of task files (YAML) and their data, on the machine that trains. They may name Python functions, which are run:
    take them from where you would take code."""
    tasks: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    """By the names that the task files give them."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Rows of each task; left out: all."""
