"""The table of the plan that lets the incumbent's own answers train."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headrace.plan.section import Section


class TeacherLabels(Section):
    """The incumbent's own answers as rows that train: thousands where people label hundreds. They never test.

    Without this table they train nothing. Some providers' terms forbid training a model on the answers of theirs: read
    them before you add it.
    """

    max_rows: Annotated[int, Field(ge=50, le=100_000)] = 5000
    """Of more answers a uniform draw trains, of rare labels a larger share; one user's are at most
    curation.max_share_per_user of them."""
