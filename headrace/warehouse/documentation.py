"""docs/warehouse.md's part about tables and views: what the database says about itself, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from headrace.warehouse.client import Warehouse
from headrace.warehouse.migration import schema


def markdown(warehouse: Warehouse) -> str:
    """A section a table, in the order of their making, then a section a view: each column with type and meaning."""
    tables, views = ([made.name for made in kind] for kind in schema())
    rows = groupby(warehouse.query("schema_columns"), key=lambda row: str(row["table"]))
    sections = {name: _section(name, list(columns)) for name, columns in rows}
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


def _type(text: str) -> str:
    """How a column is stored more cheaply is not what a reader asks for."""
    return "`" + re.sub(r"LowCardinality\((\w+)\)", r"\1", text) + "`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
