"""What parts write to the warehouse themselves: what the monitor saw at a look, and what a candidate showed."""

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
