"""What the monitor asks of the warehouse, and how it binds a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol


class Queries(Protocol):
    """The warehouse's queries by name, and its statements (headrace.warehouse.Warehouse)."""

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]: ...

    def command(self, sql: str, **parameters: Any) -> None: ...


def clickhouse_time(moment: datetime) -> str:
    """A UTC time as a bound DateTime64(6, 'UTC') parameter takes it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")
