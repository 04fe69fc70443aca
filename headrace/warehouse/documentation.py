"""docs/warehouse.md's part about tables and views: what the database says about itself, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from headrace.warehouse.client import Warehouse
from headrace.warehouse.migration import View, schema


def markdown(warehouse: Warehouse) -> str:
    """A section a table, in the order of their making, then a section a view: each column with type and meaning."""
    made, seen = schema()
    tables, views = [table.name for table in made], [view.name for view in seen if not view.target]
    rows = groupby(warehouse.query("warehouse/schema_columns"), key=lambda row: str(row["table"]))
    sections = {name: _section(name, list(columns)) for name, columns in rows}
    sections |= {view.name: _with_parameters(view) for view in seen if view.parameters}
    parts = [
        "## Views",
        "Ask these first: each row counts once, and nothing needs `FINAL`.",
        *(sections[name] for name in views if name in sections),
        "## Tables",
        "A table may hold a row twice until ClickHouse has merged it: read it with `FINAL`, as in `FROM jobs FINAL`.",
        *(sections[name] for name in tables if name in sections),
    ]
    return "\n\n".join(parts)


def _section(name: str, columns: Iterable[Mapping[str, Any]]) -> str:
    columns = list(columns)
    lines = [f"| `{row['name']}` | {_type(row['type'])} | {_cell(row['comment'])} |" for row in columns]
    about = columns[0]["about"].rstrip(".") + "."
    order = f" Sorted by `{columns[0]['sorting_key']}`." if columns[0]["sorting_key"] else ""
    return "\n".join([f"### {name}", "", f"{about}{order}", "", "| column | type | meaning |", "|---|---|---|", *lines])


def _with_parameters(view: View) -> str:
    """What takes parameters has no columns in the database; its own comment says what it can."""
    given = ", ".join(f"{name} = … ({_type(kind)})" for name, kind in view.parameters.items())
    lines = [f"| `{name}` | {_cell(meaning)} |" for name, meaning in view.columns.items()]
    table = ["", "| column | meaning |", "|---|---|", *lines] if lines else []
    return "\n".join([f"### {view.name}", "", f"{view.words.rstrip('.')}. Ask `{view.name}` with {given}.", *table])


def _type(text: str) -> str:
    """How a column is stored more cheaply is not what a reader asks for."""
    return "`" + re.sub(r"LowCardinality\((\w+)\)", r"\1", text) + "`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
