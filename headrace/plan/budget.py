"""What one trainer may take: time, GPU hours, money, memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Self

from pydantic import Field, model_validator

from headrace.plan.section import Positive, Section


class Budget(Section):
    """Bounds of one trainer."""

    minutes: Positive = 60.0
    gpu_hours: Positive | None = None
    """Of all its GPUs together; on a machine without one it bounds nothing."""
    usd: Positive | None = None
    """What its machine may cost, at usd_per_hour."""
    usd_per_hour: Positive | None = None
    """Price of the machine that trains."""
    memory_gib: Positive = 8.0
    """What the trainer's processes may hold together, in the machine's memory."""
    gpu_memory_gib: Positive | None = None
    """What the trainer may take of a GPU's memory; nothing: all of it."""
    halve: bool = True
    """Of candidates of one base that follow a gradient, the worse half is given up after a share of its epochs."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads of the trainer; 0: torch decides."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Runs of the trainer for one job before it fails."""

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.usd and not self.usd_per_hour:
            raise ValueError("usd needs usd_per_hour, the price of the machine that trains")
        return self

    def bound(self, gpus: Callable[[], int]) -> tuple[float, str]:
        """Seconds after which tuning ends, and which bound that is; gpus is asked how many there are if it matters."""
        found = [(self.minutes * 60, f"{self.minutes:g} minutes")]
        if self.gpu_hours and (used := gpus()):
            found.append((self.gpu_hours * 3600 / used, f"{self.gpu_hours:g} GPU hours"))
        if self.usd and self.usd_per_hour:
            found.append((self.usd / self.usd_per_hour * 3600, f"{self.usd:g} dollars"))
        return min(found)
