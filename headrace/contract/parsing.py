"""From fields to an event: as its model reads them, or mended (headrace/contract/values.py) where it refuses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from headrace.contract.fields import as_json, brief, complaint, uncarried
from headrace.contract.values import mended
from headrace.errors import EventError

M = TypeVar("M", bound=BaseModel)

ESCAPED_NUL = b"\\u0000"
"""How JSON writes a NUL."""


def from_json(model: type[M], fields: Any, body: bytes = b"") -> M:
    """The event of a JSON object's fields; `body` is their JSON. Raises EventError that names the field."""
    return _mending(model, fields, lambda given: _from_json(model, given, body if given is fields else b""), body)


def from_python(model: type[M], fields: dict[str, Any]) -> M:
    """The event of fields as a program has them. Raises EventError that names the field."""
    return _mending(model, fields, lambda given: _from_python(model, given), b"")


def _mending(model: type[M], fields: Any, read: Callable[[Any], M], body: bytes) -> M:
    if not isinstance(fields, dict):
        raise EventError(f"an event is a JSON object, but it was {brief(fields)}")
    refusal = None
    if not _misread(fields, body):
        try:
            return read(fields)
        except EventError as error:
            refusal = error
    found = mended(model, fields)
    if found is None and refusal is not None:
        raise refusal
    return read(fields if found is None else found)


def _from_json(model: type[M], fields: Any, body: bytes) -> M:
    try:
        return model.model_validate_json(body or as_json(fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        odd = uncarried(fields) if first["type"] == "json_invalid" else ""
        says = f"{model.__name__}{odd}" if odd else complaint(model.__name__, first)
        raise EventError(says, ".".join(map(str, first["loc"]))) from None
    except ValueError as error:
        raise EventError(f"{model.__name__}{uncarried(fields) or f': {error}'}") from None


def _from_python(model: type[M], fields: dict[str, Any]) -> M:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise EventError(complaint(model.__name__, first), ".".join(map(str, first["loc"]))) from None


def _misread(fields: dict[str, Any], body: bytes) -> bool:
    """Whether a model would take what is to be mended: a yes or no as a number, a NUL in a text."""
    if isinstance(fields.get("value"), bool):
        return True
    if body:
        return ESCAPED_NUL in body
    return any(type(value) is str and "\x00" in value for value in fields.values())
