"""Answers to the monitor's questions, kept for as long as nothing they rest on has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.queries import Queries

# Rest on control messages and on what was drawn.
CONTROL = frozenset({"monitor_promotion", "monitor_loop"})
# Rests on the copies of the audit's labels: one that is made again changes them and no label.
COUNT = "monitor_labels"
# Rest on the labels themselves, as the last count found them.
LABELS = frozenset({"monitor_reference", "monitor_shiryaev_roberts"})
# While one of these is set, the answer changes with the clock.
UNTIL = ("waiting", "settling")
# Answers of one query that differ in what was asked: labels since the promotion, and since the last trigger.
MOST_KEPT = 16


@dataclass(slots=True)
class Remembered:
    """A task's queries. An answer is given again while the control messages, or the labels, are those it came from.

    control: what tells one state of all control messages from another (monitor_control.sql)
    labels: what tells one state of the copies of the audit's labels from another, by version (monitor_copied.sql)
    """

    queries: Queries
    control: tuple[Any, ...] = ()
    labels: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    _counted: tuple[Any, ...] = ()
    _kept: dict[tuple[str, Any], tuple[Any, list[dict[str, Any]]]] = field(default_factory=dict)

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """As Warehouse.query. Raises WarehouseError."""
        asked = {key: value for key, value in parameters.items() if key != "watermark"}
        if name in CONTROL:
            basis: tuple[Any, ...] = (self.control, asked)
        elif name == COUNT:
            basis = (self.labels.get(parameters["version"]), asked)
        elif name in LABELS:
            basis = (self._counted, asked)
        else:
            return self.queries.query(name, **parameters)
        found = self._again(name, parameters, basis)
        if name == COUNT:
            self._counted = tuple(found[0].values())
        return found

    def _again(self, name: str, parameters: dict[str, Any], basis: tuple[Any, ...]) -> list[dict[str, Any]]:
        place = name, parameters.get("since")
        kept = self._kept.get(place)
        if kept is not None and kept[0] == basis:
            return [dict(row) for row in kept[1]]
        found = self.queries.query(name, **parameters)
        self._kept.pop(place, None)
        if not any(row.get(column) for row in found for column in UNTIL):
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[place] = (basis, [dict(row) for row in found])
        return found

    def command(self, sql: str, **parameters: Any) -> None:
        """As Warehouse.command. Raises WarehouseError."""
        self.queries.command(sql, **parameters)
