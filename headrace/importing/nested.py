"""Values within values: `user.id`, `choices.0.message.content`, as JSON and Parquet have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MAX_COLUMNS = 2000
MAX_DEPTH = 6
MAX_PLACES = 3


def columns_of(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of all values in these rows, those within others by their path."""
    found: dict[str, None] = {}
    for row in rows:
        _add(found, "", row, 0)
        if len(found) >= MAX_COLUMNS:
            break
    return tuple(found)[:MAX_COLUMNS]


def value_at(row: Mapping[str, Any], column: str) -> Any:
    """The value of a column or path; None where the row has none."""
    if column in row or "." not in column:
        return row.get(column)
    value: Any = row
    rest = column
    while rest:
        if isinstance(value, Mapping):
            if rest in value:
                return value[rest]
            name, _, rest = rest.partition(".")
            value = value.get(name)
        elif isinstance(value, list):
            name, _, rest = rest.partition(".")
            value = value[int(name)] if name.isdecimal() and len(name) < 6 and int(name) < len(value) else None
        else:
            return None
    return value


def _add(found: dict[str, None], before: str, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH or len(found) >= MAX_COLUMNS:
        return
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, Mapping):
        inner = ((str(name), one) for name, one in value.items())
    elif isinstance(value, list):
        inner = ((str(place), one) for place, one in enumerate(value[:MAX_PLACES]))
    for name, one in inner:
        found.setdefault(before + name)
        if isinstance(one, Mapping | list):
            _add(found, f"{before}{name}.", one, depth + 1)
