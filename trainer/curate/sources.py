"""What the trainer reads from the warehouse, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.contract import ids
from headrace.contract.job_file import Attempt
from headrace.warehouse import Warehouse
from trainer.curate.rows import AnswerRow


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the live version showed in the test window: requests, US dollars for a thousand, milliseconds."""

    requests: int
    cost_per_1k: float
    p50_ms: float
    p95_ms: float


def answers(warehouse: Warehouse, task: str) -> list[AnswerRow]:
    """Every answer of the task that anyone said anything about."""
    return [_answer(row) for row in warehouse.query("trainer/curate_answers", task=task)]


def traffic(warehouse: Warehouse, task: str, version: str, since: datetime) -> Traffic:
    """Zeros where the version answered nothing since then."""
    return Traffic(
        **warehouse.query("trainer/live_traffic", task=task, version=version, test_from=since.isoformat())[0]
    )


def number(warehouse: Warehouse, attempt: Attempt, name: str, tuned_on: str) -> int:
    """Of this candidate, from 1, among those that met test rows since the live version won, in that order.

    name, tuned_on: of the candidate in the plan, and of the data set that it was tuned on
    """
    asked = {"task": attempt.task, "job_id": str(attempt.job_id), "live": attempt.live}
    rows = warehouse.query("trainer/looks", candidate=name, tuned_on=tuned_on, **asked)
    return int(rows[0]["looks"]) + 1


def labels(warehouse: Warehouse, task: str, tenant: str, since: datetime) -> int:
    """Blind audit labels since then; tenant: whose alone count, empty for all."""
    since_us = (since - ids.EPOCH) // timedelta(microseconds=1)
    return int(warehouse.query("shared/labels_available", task=task, tenant=tenant, since_us=since_us)[0]["labels"])


def labels_per_day(warehouse: Warehouse, task: str, tenant: str) -> float:
    """Blind audit labels a day of event time, lately; tenant: whose alone count, empty for all."""
    return float(warehouse.query("trainer/label_rate", task=task, tenant=tenant)[0]["per_day"])


def _answer(row: dict[str, Any]) -> AnswerRow:
    occurred_at: datetime = row["occurred_at"]
    if occurred_at.tzinfo is None:
        row["occurred_at"] = occurred_at.replace(tzinfo=UTC)
    for name in (
        "consent",
        "truncated",
        "volunteered",
        "satisfied",
        "dissatisfied",
        "judge_routing",
        "reviewer_routing",
    ):
        row[name] = bool(row[name])
    row["complaint_keys"] = tuple(row["complaint_keys"])
    return AnswerRow(**row)
