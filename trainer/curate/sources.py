"""What the trainer reads from the warehouse, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.contract import ids
from headrace.contract.job_file import Attempt
from headrace.warehouse import Warehouse
from trainer.curate.rows import AnswerRow
from trainer.curate.teacher import Told


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
    asked = {"task": task, "tenant": tenant, "since_us": _micros(since)}
    return int(warehouse.query("shared/labels_available", **asked)[0]["labels"])


@dataclass(frozen=True, slots=True)
class Teacher:
    """Reads the answers of the version that is the teacher; see the queries trainer/teacher_*.

    tenant: whose alone, empty for all; since: answers before are no longer kept; until: those from then on do not train
    """

    warehouse: Warehouse
    task: str
    version: str
    tenant: str
    since: datetime
    until: datetime

    def drifted(self) -> datetime | None:
        """The earliest estimated start of a drift since its first answer; None where there was none."""
        asked = {"task": self.task, "version": self.version}
        until_us = int(self.warehouse.query("trainer/teacher_until", **asked)[0]["until_us"])
        return ids.EPOCH + timedelta(microseconds=until_us) if until_us else None

    def counts(self, labels: Sequence[str]) -> list[tuple[str, str, int, int]]:
        """What keeps answers from training, empty for nothing; their label; how many; how many texts they have."""
        rows = self.warehouse.query("trainer/teacher_counts", labels=list(labels), **self._asked())
        return [(str(row["reason"]), str(row["label"]), int(row["answers"]), int(row["texts"])) for row in rows]

    def drawn(self, shares: Mapping[str, float]) -> list[Told]:
        """That share of each label's texts."""
        asked = {"labels": list(shares), "shares": list(shares.values())} | self._asked()
        rows = self.warehouse.query("trainer/teacher_answers", **asked)
        return [Told(**row) for row in rows]

    def _asked(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "version": self.version,
            "tenant": self.tenant,
            "from_us": _micros(self.since),
            "until_us": _micros(self.until),
        }


def _micros(moment: datetime) -> int:
    return (moment - ids.EPOCH) // timedelta(microseconds=1)


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
