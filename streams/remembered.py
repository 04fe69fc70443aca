"""Answers to the monitor's questions, kept for as long as nothing they rest on has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streams import labels
from streams.labels import Labels
from streams.queries import Queries

# Rest on control messages and on what was drawn.
CONTROL = frozenset({"monitor_promotion", "monitor_loop"})
# Rests on the audit's labels.
REFERENCE = "monitor_reference"
# While one of these is set, the answer changes with the clock.
UNTIL = ("waiting", "settling")


@dataclass(slots=True)
class Remembered:
    """A task's queries. An answer is given again while the control messages, or the labels, are those it came from.

    labels: of all tasks
    control: what tells one state of all control messages from another (monitor_control.sql)
    """

    queries: Queries
    labels: Labels
    control: tuple[Any, ...] = ()
    _kept: dict[str, tuple[Any, list[dict[str, Any]]]] = field(default_factory=dict)

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """As Warehouse.query. Raises WarehouseError."""
        if name in labels.NAMES:
            return self.labels.query(name, **parameters)
        asked = {key: value for key, value in parameters.items() if key != "watermark"}
        if name in CONTROL:
            return self._again(name, parameters, (self.control, asked))
        if name == REFERENCE:
            state = self.labels.state(parameters["task"], parameters["version"])
            return self._again(name, parameters, (state, asked))
        return self.queries.query(name, **parameters)

    def _again(self, name: str, parameters: dict[str, Any], basis: tuple[Any, ...]) -> list[dict[str, Any]]:
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
