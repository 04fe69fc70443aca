"""The table of the plan that names a task's suites: questions that an institution asks of every candidate."""

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
