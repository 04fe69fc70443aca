"""The warehouse's copy of promotions and jobs, as records again: what was on their topics before. Blocking."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from headrace.contract.control import ControlRecord, Job, Promotion
from headrace.warehouse.client import Warehouse

R = TypeVar("R", bound=ControlRecord)


@dataclass(frozen=True, slots=True)
class Copies:
    """Every method raises WarehouseError where ClickHouse does not answer."""

    warehouse: Warehouse

    def generations(self) -> dict[str, int]:
        """The newest generation of each task."""
        return {row["task"]: int(row["generation"]) for row in self.warehouse.query("warehouse/control_generations")}

    def acknowledged(self) -> dict[str, int]:
        """The newest generation of each task that a gateway said it has."""
        return {row["task"]: int(row["generation"]) for row in self.warehouse.query("warehouse/control_acknowledged")}

    def jobs(self) -> dict[str, str]:
        """The task of each job, by the job's id."""
        return {str(row["job_id"]): row["task"] for row in self.warehouse.query("warehouse/control_jobs")}

    def promotion(self, task: str) -> Promotion | None:
        """The newest one that can be read."""
        rows = self.warehouse.query("warehouse/control_promotions", task=task)
        return next((found for row in rows if (found := record(row, Promotion))), None)

    def job(self, job_id: str) -> Job | None:
        """Its last state that can be read."""
        rows = self.warehouse.query("warehouse/control_job", job=job_id)
        return next((found for row in rows if (found := record(row, Job))), None)


def record(row: dict[str, Any], model: type[R]) -> R | None:
    """A row as the record that it is a copy of; None where it cannot be read."""
    try:
        extra = json.loads(row["extra"]) if row["extra"] else {}
        fields = {name: _object(name, value) for name, value in row.items() if name != "extra"}
        return model.model_validate(extra | fields)
    except (ValidationError, ValueError):
        return None


# Columns that hold a JSON object as text.
_OBJECTS = frozenset({"live", "canary", "shadow", "previous", "trigger", "result"})


def _object(name: str, value: Any) -> Any:
    if name not in _OBJECTS:
        return value
    return json.loads(value) if value else None
