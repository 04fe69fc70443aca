"""An event's fields on their way to its model, whoever sent them: what is unset, unknown, or cannot be carried."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from pydantic_core import ErrorDetails, to_json

MAX_DEPTH = 200
"""Objects and arrays within each other, the event among them: as many as pydantic's parser goes into."""
TOO_DEEP = f"it is nested more than {MAX_DEPTH} levels deep"
LONE = "it holds half of a surrogate pair, which UTF-8 cannot carry"


def without_null(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that say something: null means unset, as producers in Java, C# and TypeScript write it."""
    for value in fields.values():
        # `None in` would ask an array of numpy's whether it is equal.
        if value is None:
            return {name: value for name, value in fields.items() if value is not None}
    return fields


def unknown_in_extra(fields: dict[str, Any], known: Set[str]) -> dict[str, Any]:
    """The fields that a model knows; the others, which a newer emitter wrote, are in `extra`."""
    unknown = fields.keys() - known
    if not unknown:
        return fields
    out = {name: value for name, value in fields.items() if name not in unknown}
    given = fields.get("extra", {})
    # What is no object is for the model to refuse. The order is the emitter's, so that a retry is the same row.
    if isinstance(given, dict):
        out["extra"] = given | {name: fields[name] for name in fields if name in unknown}
    return out


def as_json(fields: Any) -> bytes:
    """JSON that a model reads. Raises ValueError where there is none: see `uncarried`."""
    return to_json(fields, fallback=str, inf_nan_mode="constants")


def uncarried(fields: Any) -> str:
    """Why a model's parser does not take JSON of these fields, as `.name: reason`; empty where nothing is found."""
    for path, value, depth in _inside(fields):
        if isinstance(value, str) and not value.isascii() and _lone(value):
            return f"{path}: {LONE}"
        if depth > MAX_DEPTH:
            return f": {TOO_DEEP}"
    return ""


def complaint(what: str, first: ErrorDetails) -> str:
    """What pydantic says of a field, as a sentence that names it."""
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    given = brief(first.get("input"))
    if first["type"] == "extra_forbidden":
        return f"{what}.{where}: there is no such field"
    if first["type"] == "missing":
        return f"{what}.{where}: the field is missing"
    says = first["msg"].removeprefix("Value error, ")
    return f"{what}.{where}: {says}, but it was {given}" if first["loc"] else f"{what}: {says}"


def brief(value: Any) -> str:
    """A value as a sentence shows it."""
    try:
        text = repr(value)
    except RecursionError:
        return "a value of many levels"
    return text if len(text) <= 80 else text[:77] + "..."


def _inside(value: Any) -> Iterator[tuple[str, Any, int]]:
    """Every name and value inside, with its path and how many objects and arrays it is in, itself counted."""
    waiting = [("", value, 1)]
    while waiting:
        path, found, depth = waiting.pop()
        nested = isinstance(found, dict | list | tuple)
        yield path, found, depth if nested else depth - 1
        if isinstance(found, dict):
            for name, inner in found.items():
                yield path, name, depth
                waiting.append((f"{path}.{name}" if depth < 4 else path, inner, depth + 1))
        elif nested:
            waiting += [(path, inner, depth + 1) for inner in found]


def _lone(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
