"""What the monitor asks of the warehouse."""

from __future__ import annotations

from typing import Any, Protocol


class Queries(Protocol):
    """The warehouse's queries by name, and its statements (headrace.warehouse.Warehouse)."""

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]: ...

    def command(self, sql: str, **parameters: Any) -> None: ...
