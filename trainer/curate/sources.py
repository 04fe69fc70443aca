"""What the trainer reads from the warehouse, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.contract import ids
from headrace.contract.job_file import JobFile
from headrace.warehouse import Warehouse
from trainer.curate.rows import AnswerRow, Rules


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the live version showed in the test window: requests, US dollars for a thousand, milliseconds."""

    requests: int
    cost_per_1k: float
    p50_ms: float
    p95_ms: float


def rules_of(job: JobFile) -> Rules:
    """What curation needs of a job."""
    task = job.of_task
    return Rules(
        task=job.task,
        labels=task.labels,
        curation=task.curation,
        privacy=job.plan.privacy,
        now=job.trigger.decided_at,
        test_from=job.trigger.test_from,
        live_version=job.live.version,
        live_loadable=bool(job.live.artifact),
    )


def answers(warehouse: Warehouse, task: str) -> list[AnswerRow]:
    """Every answer of the task that anyone said anything about."""
    return [_answer(row) for row in warehouse.query("trainer/curate_answers", task=task)]


def live_traffic(warehouse: Warehouse, job: JobFile) -> Traffic:
    """Zeros where the live version answered nothing in the test window."""
    rows = warehouse.query(
        "trainer/live_traffic",
        task=job.task,
        version=job.live.version,
        test_from=job.trigger.test_from.isoformat(),
    )
    return Traffic(**rows[0])


def look(warehouse: Warehouse, job: JobFile, dataset: str) -> int:
    """The number, from 1, of this look at test rows since the live version won."""
    rows = warehouse.query(
        "trainer/looks", task=job.task, job_id=str(job.job_id), dataset=dataset, live=job.live.version
    )
    return int(rows[0]["looks"]) + 1


def labels(warehouse: Warehouse, job: JobFile) -> int:
    """Blind audit labels since the trigger's `test_from`."""
    since_us = (job.trigger.test_from - ids.EPOCH) // timedelta(microseconds=1)
    return int(warehouse.query("shared/labels_available", task=job.task, since_us=since_us)[0]["labels"])


def _answer(row: dict[str, Any]) -> AnswerRow:
    occurred_at: datetime = row["occurred_at"]
    if occurred_at.tzinfo is None:
        row["occurred_at"] = occurred_at.replace(tzinfo=UTC)
    for name in ("consent", "volunteered", "satisfied", "dissatisfied", "judge_routing", "reviewer_routing"):
        row[name] = bool(row[name])
    row["complaint_keys"] = tuple(row["complaint_keys"])
    return AnswerRow(**row)
