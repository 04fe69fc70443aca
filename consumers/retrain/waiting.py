"""How long a job waits for labels: a pure decision over what it asked for and what has arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.contract.control import Job

COUNTED = "labels_at_start"
"""In a job's result: labels that there were when its last attempt began, which `needs` counts from."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Labels since the job's last attempt began, of those that it asked for."""

    labels: int
    needs: int

    @property
    def enough(self) -> bool:
        """Whether the next attempt may begin."""
        return self.labels >= self.needs


def arrived(job: Job, counted: int | None) -> Arrived | None:
    """What has come of what the job asked for; None where that is not known.

    counted: labels since the trigger's test_from now; None where the warehouse has not said
    """
    start = job.result.get(COUNTED)
    return Arrived(counted - start, job.needs) if counted is not None and isinstance(start, int) else None


def given_up(job: Job, found: Arrived | None, now: datetime, waiting: timedelta) -> bool:
    """Whether the wait is over without the labels.

    It lasts `waiting`, and goes on where the labels come at a rate at which the rest will be there within as long
    again: what is about to be decided is not thrown away. Where none come, or nobody can count them, it ends.
    """
    waited = now - job.at
    if waited < waiting:
        return False
    return found is None or found.labels * (waited + waiting) < found.needs * waited
