"""How a benchmark tells what it measured: a table with the conditions above it, and var/bench/NAME.json."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path("var/bench")


def machine() -> dict[str, Any]:
    """Conditions that every benchmark states."""
    return {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version(), "system": platform.platform()}


def tell(title: str, conditions: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the conditions and the table; the columns are those of the first row."""
    console = Console(width=None if Console().is_terminal else 140)
    console.print(f"{title}: " + " · ".join(f"{name} {value}" for name, value in conditions.items()))
    columns = list(rows[0]) if rows else []
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_shown(row.get(column)) for column in columns))
    console.print(table)


def keep(name: str, conditions: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path = RESULTS) -> Path:
    """Write `folder`/NAME.json and return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"conditions": dict(conditions), "rows": [dict(row) for row in rows]}, indent=1) + "\n")
    return file


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
