"""Steps that must not keep each other from running: each is tried, and what failed is told in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.errors import Transient, WarehouseError


@dataclass(slots=True)
class Attempts:
    """What a pass tried. failed: one sentence a step that was not done."""

    failed: list[str] = field(default_factory=list)

    def run(self, name: str, step: Callable[[], object]) -> bool:
        """Whether the step was done. Raises whatever is not a WarehouseError."""
        try:
            step()
        except WarehouseError as error:
            self.failed.append(f"{name}: {error}")
            return False
        return True

    def put_off(self, name: str, why: str) -> bool:
        """A step that could not begin; it is as good as failed."""
        return self.run(name, lambda: _refuse(why))


def _refuse(why: str) -> None:
    raise Transient(why)
