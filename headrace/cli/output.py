"""What commands print: a table for a person, JSON for a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import typer


def rows(found: Sequence[Mapping[str, Any]], as_json: bool, empty: str = "no rows") -> None:
    """Print rows of a query; `empty` where there are none."""
    if as_json:
        typer.echo(json.dumps([dict(row) for row in found], default=str, ensure_ascii=False, indent=1))
    elif found:
        table(list(found[0]), [list(row.values()) for row in found])
    else:
        typer.echo(empty, err=True)


def table(columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Print a table: fitted to a terminal, and unshortened into a pipe."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    shown = [[cell(value) for value in line] for line in lines]
    for index, column in enumerate(columns):
        numeric = bool(shown) and all(_is_number(line[index]) for line in shown)
        drawn.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for line in shown:
        drawn.add_row(*(Text(value) for value in line))
    terminal = sys.stdout.isatty()
    Console(width=None if terminal else 100_000, highlight=False).print(drawn)


def cell(value: Any) -> str:
    """A value as a person reads it: times to the second, numbers to six digits, nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict | list):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == ""
    return True
