"""What parts write to the warehouse themselves: what the monitor saw at a look, and what a candidate showed.

Finding and SuiteResult are kept in a candidate's `detail`, under `findings` and `suites`, by name.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from headrace.contract.events import Amount, Moment, Name, Optional200, Record, Share, Text


class Evaluation(Record):
    """One look of the monitor at a task, fired or not, with its reason.

    watermark: event time up to which the evidence is complete; looked_at: the warehouse's clock at the look
    fired: this detector's own alarm; the decision to retrain stands in `decision`
    """

    task: Name
    version: Name
    generation: int
    detector: Name
    watermark: Moment
    looked_at: Moment
    window_from: Moment
    window_to: Moment
    n: int = 0
    statistic: float = 0.0
    threshold: float = 0.0
    fired: bool = False
    decision: Optional200 = ""
    reason: Text = ""
    inputs: dict[str, Any] = Field(default_factory=dict)


class Figure(Record):
    """A number with its 95 % interval, which is left out where none is known. n: rows that it rests on"""

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0


class Point(Record):
    """A point of a plot, with the 95 % interval of y. n: rows that it rests on"""

    x: float
    y: float
    low: float
    high: float
    n: int = 0


class Finding(Record):
    """What one evaluator found out about a model on the rows of a split. It quotes no question.

    method: how it was measured, or why it was not, in a sentence
    figures: by name, shares unless the name says otherwise
    points: of a plot of two shares against each other, with the diagonal as the ideal; x_is, y_is: what they are
    columns, rows: of a table
    """

    method: Text
    figures: dict[str, Figure] = Field(default_factory=dict)
    x_is: Optional200 = ""
    y_is: Optional200 = ""
    points: tuple[Point, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | int | float, ...], ...] = ()


class SuiteResult(Record):
    """What a model showed on a suite of the plan.

    version, digest: of the suite; accuracy with its 95 % Wilson interval; minimum: the plan's, None where it has none
    bad: lines that were left out, each with why, the first ones; left_out: how many in all
    failure: why it was not run; empty where it was
    """

    version: Optional200 = ""
    digest: Optional200 = ""
    licence: Optional200 = ""
    n: int = 0
    correct: int = 0
    accuracy: Share = 0.0
    low: Share = 0.0
    high: Share = 1.0
    minimum: Share | None = None
    bad: tuple[str, ...] = ()
    left_out: int = 0
    failure: str = ""

    @property
    def forbids(self) -> str:
        """Why a candidate with this result must not serve; empty where it may."""
        if self.minimum is None:
            return ""
        if self.failure:
            return f"a suite with a minimum was not run: {self.failure}"
        if self.accuracy >= self.minimum:
            return ""
        return f"{self.correct} right of {self.n} ({self.accuracy:.3f}), less than the minimum of {self.minimum:g}"


class Candidate(Record):
    """What one candidate of one job attempt showed; a row of lineage.

    split: validation or test; accuracy with its 95 % Wilson interval
    p50_ms, p95_ms: one question at a time; cost_per_1k: US dollars for a thousand requests
    gate: passed, failed, vetoed, undecided, not_enough_labels, not_selected, reference
    """

    job_id: UUID
    attempt: int
    task: Name
    name: Name
    at: Moment
    base: Optional200 = ""
    method: Optional200 = ""
    parameters: int = 0
    trained_parameters: int = 0
    split: Name = "test"
    n: int = 0
    correct: int = 0
    accuracy: Share = 0.0
    low: Share = 0.0
    high: Share = 0.0
    p50_ms: Amount = 0.0
    p95_ms: Amount = 0.0
    cost_per_1k: Amount = 0.0
    seconds: Amount = 0.0
    gate: Name = "not_selected"
    reason: Text = ""
    version: Optional200 = ""
    dataset: Optional200 = ""
    detail: dict[str, Any] = Field(default_factory=dict)
