"""A warehouse that says what its statements took, as ClickHouse tells it."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from functools import cache
from typing import Any

from headrace.warehouse import Warehouse, query_text
from headrace.warehouse.client import query_names


class Measured(Warehouse):
    """Adds up what ClickHouse says that each statement took, by its name.

    clock: the time that the monitor is told; None: ClickHouse's
    """

    def __init__(self, inner: Warehouse) -> None:
        super().__init__(inner._client, inner.database)
        self.clock: datetime | None = None
        self.seconds: dict[str, float] = defaultdict(float)
        self.statements = 0
        self._name = ""

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        if name == "shared/clock" and self.clock is not None:
            return [{"now": self.clock}]
        return super().query(name, **parameters)

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        self._name = _named(sql)
        return super().rows(sql, **parameters)

    def command(self, sql: str, **parameters: Any) -> None:
        self._name = _named(sql)
        super().command(sql, **parameters)

    def insert(self, table: str, rows: Any) -> None:
        self._name = f"rows of {table}"
        super().insert(table, rows)

    def forget(self) -> None:
        """Begin at nothing."""
        self.seconds.clear()
        self.statements = 0

    def told(self) -> str:
        """Every statement's time, the most expensive one first."""
        by_cost = sorted(self.seconds.items(), key=lambda item: -item[1])
        return "   ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in by_cost)

    def _run(self, statement: Any) -> Any:
        result = super()._run(statement)
        self.seconds[self._name] += int(result.summary["elapsed_ns"]) / 1e9
        self.statements += 1
        return result


def _named(sql: str) -> str:
    """The query's name, or else how the statement begins."""
    return _names().get(sql) or " ".join(sql.split()[:4])


@cache
def _names() -> dict[str, str]:
    return {query_text(name): name for name in query_names()}
