"""Deletes rows with never more than one mutation in flight on a table: each waits for the one before it.

A mutation goes on where its client's patience ended. A second one beside it would rewrite the same parts again, and
passes that come every few minutes would pile them up; so whoever wants to delete looks at `system.mutations` first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headrace.warehouse import Warehouse
from streams.attempts import Attempts


@dataclass(frozen=True, slots=True)
class Mutations:
    """The mutations of one warehouse's tables. Blocking."""

    warehouse: Warehouse
    attempts: Attempts

    def run(self, name: str, table: str, delete: Callable[[], object]) -> bool:
        """Run a statement that deletes rows of `table` and waits until they are gone; whether it did."""
        return self.is_free(name, table) and self.attempts.run(name, delete)

    def is_free(self, name: str, table: str) -> bool:
        """Whether no mutation of `table` is in flight; where one is, the step `name` is put off."""
        busy: list[str] = []
        looked = self.attempts.run(name, lambda: busy.extend(self._in_flight(table)))
        return looked and (not busy or self.attempts.put_off(name, busy[0]))

    def _in_flight(self, table: str) -> list[str]:
        rows = [row for row in self.warehouse.query("maintenance/mutations_running") if row["table"] == table]
        return [_words(row, self.warehouse.database) for row in rows]


def _words(row: dict[str, object], database: str) -> str:
    if row["reason"]:
        # An id is one of its table: others have mutations of the same id.
        where = f"database = '{database}' AND table = '{row['table']}' AND mutation_id = '{row['failing']}'"
        return (
            f"the mutation {row['failing']} of {row['table']} fails ({row['reason']}); nothing of the table is deleted"
            f" until it succeeds or somebody ends it: KILL MUTATION WHERE {where}"
        )
    return f"a mutation of {row['table']} is still in flight"
