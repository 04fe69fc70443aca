"""Answers to the monitor's questions, kept for as long as nothing they rest on has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streams.queries import Queries

# Rest on control messages and on what was drawn.
CONTROL = frozenset({"monitor_promotion", "monitor_loop"})
# Rest on the audit's labels of one version up to the watermark.
LABELS = frozenset({"monitor_reference", "monitor_shiryaev_roberts"})
# While one of these is set, the answer changes with the clock.
UNTIL = ("waiting", "settling")


@dataclass(slots=True)
class Remembered:
    """A task's queries. An answer is given again while the control messages, or the labels, are those it came from.

    control: what tells one state of all control messages from another (monitor_control.sql)
    """

    queries: Queries
    control: tuple[Any, ...] = ()
    _labels: tuple[Any, ...] = ()
    _kept: dict[str, tuple[Any, list[dict[str, Any]]]] = field(default_factory=dict)

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """As Warehouse.query. Raises WarehouseError."""
        if name in CONTROL:
            basis: tuple[Any, ...] = (self.control, parameters)
        elif name in LABELS:
            basis = (self._labels, {key: value for key, value in parameters.items() if key != "watermark"})
        else:
            found = self.queries.query(name, **parameters)
            if name == "monitor_labels":
                self._labels = tuple(found[0].values())
            return found
        kept = self._kept.get(name)
        if kept is not None and kept[0] == basis:
            return [dict(row) for row in kept[1]]
        found = self.queries.query(name, **parameters)
        self._kept.pop(name, None)
        if not any(row.get(column) for row in found for column in UNTIL):
            self._kept[name] = (basis, [dict(row) for row in found])
        return found

    def command(self, sql: str, **parameters: Any) -> None:
        """As Warehouse.command. Raises WarehouseError."""
        self.queries.command(sql, **parameters)
