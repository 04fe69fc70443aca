"""An event's fields that its model refuses, read as what they say where they can say one thing only.

`mended` is asked after a model has refused, so that an ordinary event costs nothing here. docs/events.md has the table
of what is read as what. What becomes of a value is marked in the event's `extra`:

    truncated    a text or name that was too long, with its length and digest: {"input": {"characters": …, "sha256": …}}
    replaced     fields in which characters that cannot be carried were replaced
    said         the value of a feedback as it was said, where it is stored otherwise, and its range
    left_out     what is no measurement where one is due: a score that is NaN, a latency below 0, half a token
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date, datetime
from enum import Enum
from functools import cache
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import annotated_types
from pydantic import BaseModel, TypeAdapter, ValidationError

from headrace.contract import meanings
from headrace.contract.fields import brief
from headrace.contract.moments import moment
from headrace.contract.plain import jsonable, plain, real
from headrace.contract.scores import clipped, pairs_of
from headrace.contract.texts import MAX_NAME, carried, mark, name_of, shortened
from headrace.errors import EventError

MEASURED = frozenset({"first_token_ms", "latency_ms", "tokens_in", "tokens_out", "cost", "audit_probability"})
"""What an event says of its answer beside what was asked and answered: one that is none costs itself alone."""
MAX_SCORES = 1000
MAX_SHOWN = 200

_NO_NUMBER = frozenset({"", "nan", "none", "null", "na", "n/a"})


def mended(model: type[BaseModel], fields: dict[str, Any]) -> dict[str, Any] | None:
    """The fields as the model may take them; None where there is nothing to mend.

    Raises EventError, with a sentence, for a time or a feedback's value that cannot be read.
    """
    found = _Mending(model, fields)
    for name, value in fields.items():
        kind = _kinds(model).get(name)
        if kind is not None:
            read = _READERS[kind](found, name, plain(value))
            if name in MEASURED and read is not None and not _is_measured(model, name, read):
                found.left_out(name, value)
                read = None
            found.put(name, value, read)
    found.value_by_signal()
    return found.result()


class _Mending:
    """The fields of one event while they are read again. A reader returns None for a field that says nothing."""

    def __init__(self, model: type[BaseModel], fields: dict[str, Any]) -> None:
        self.model = model
        self.out = dict(fields)
        self.changed = False
        self.marks: dict[str, Any] = {}

    def put(self, name: str, was: Any, now: Any) -> None:
        if now is was:
            return
        self.changed = True
        if now is None and not self.model.model_fields[name].is_required():
            del self.out[name]
        elif now is not None:
            self.out[name] = now

    def text(self, name: str, value: Any) -> Any:
        return self._words(name, value, shortened)

    def name(self, name: str, value: Any) -> Any:
        return self._words(name, int(value) if isinstance(value, float) and value.is_integer() else value, name_of)

    def _words(self, name: str, value: Any, fitted: Callable[[str], str]) -> Any:
        if isinstance(value, bool):
            value = "true" if value else "false"
        if value is None or isinstance(value, dict | list):
            return value
        if isinstance(value, float) and math.isnan(value):
            self.left_out(name, value)
            return None
        given = value if type(value) is str else value.isoformat() if isinstance(value, date) else str(value)
        whole = carried(given)
        if whole != given:
            self.marks.setdefault("replaced", []).append(name)
        fits = fitted(whole)
        if fits != whole:
            self.marks.setdefault("truncated", {})[name] = mark(whole)
        return value if fits == value else fits

    def time(self, name: str, value: Any) -> Any:
        if isinstance(value, datetime) or value is None:
            return value
        try:
            return moment(value)
        except ValueError as error:
            raise EventError(f"{self.model.__name__}.{name}: {error}, but it was {brief(value)}", name) from None

    def value(self, name: str, value: Any) -> Any:
        """A feedback's value; its signal says what it means, see `value_by_signal`."""
        return None if value == "" else value

    def count(self, name: str, value: Any) -> Any:
        found = self.number(name, value)
        return int(found) if isinstance(found, float) and found.is_integer() else found

    def number(self, name: str, value: Any) -> Any:
        """None for NaN, which is how Python writes that there is no number."""
        if isinstance(value, str):
            value = value.strip()
            if value.casefold() in _NO_NUMBER:
                return None
        value = real(value)
        if isinstance(value, float) and math.isnan(value):
            self.left_out(name, value)
            return None
        return value

    def share(self, name: str, value: Any) -> Any:
        return clipped(self.number(name, value))

    def flag(self, name: str, value: Any) -> Any:
        return (value.strip() or None) if isinstance(value, str) else value

    def word(self, name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        folded = value.strip().casefold().replace("-", "_").replace(" ", "_")
        return (value if folded == value else folded) if folded else None

    def scores(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and not value.strip():
            return None
        try:
            pairs = pairs_of(json.loads(value) if isinstance(value, str) else value)
        except (ValueError, RecursionError):
            pairs = None
        if pairs is None:
            return value
        found: dict[str, Any] = {}
        for label, score in pairs:
            score = real(plain(score))
            key = name_of(carried(str(plain(label))))
            number = score.strip() if isinstance(score, str) else score
            if number is None:
                continue
            if not key or _is_no_number(number):
                self.left_out(f"{name}.{key}", score)
                continue
            found[key] = clipped(number)
        if len(found) > MAX_SCORES and all(isinstance(score, int | float) for score in found.values()):
            self.marks.setdefault("truncated", {})[name] = {"entries": len(found)}
            found = dict(sorted(found.items(), key=lambda pair: -pair[1])[:MAX_SCORES])
        return value if found == value else found

    def extra(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value.lstrip()[:1] == "{":
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return value
        if not isinstance(value, dict):
            return value
        try:
            whole = jsonable(value)
        except ValueError:
            return value
        return value if _same(whole, value) else whole

    def left_out(self, name: str, value: Any) -> None:
        shown = value[:MAX_SHOWN] if isinstance(value, str) else brief(value)
        self.marks.setdefault("left_out", {})[name] = carried(shown)

    def value_by_signal(self) -> None:
        """Read a feedback's value as its signal means it. Raises EventError."""
        signal, said = plain(self.out.get("signal")), plain(self.out.get("value"))
        if "signal" not in self.model.model_fields or signal not in ("thumb", "rating", "resolution"):
            return
        extra = self.out.get("extra")
        inside = extra if isinstance(extra, dict) else {}
        declared = meanings.range_in(inside) | {name: self.out[name] for name in meanings.RANGE if name in self.out}
        if signal != "rating":
            declared = {}
        if said is None and not declared:
            return
        try:
            value = None if said is None else meanings.meant(signal, said, declared)
        except ValueError as error:
            shown = ", ".join([brief(said), *(f"{name} {brief(each)}" for name, each in declared.items())])
            raise EventError(f"Feedback.value: {error}, but it was {shown}", "value") from None
        if value == said and not isinstance(said, bool) and not declared:
            return
        self.changed = True
        given = {"value": said} if said is not None else {}
        self.marks["said"] = {name: jsonable(each) for name, each in (given | declared).items()}
        self.out |= given and {"value": value}
        for name in declared:
            self.out.pop(name, None)
        taken = meanings.range_in(inside)
        if taken:
            self.out["extra"] = {name: each for name, each in inside.items() if name not in taken}

    def result(self) -> dict[str, Any] | None:
        if not self.changed:
            return None
        if self.marks:
            given = self.out.get("extra", {})
            # An `extra` that is no object is for the model to refuse.
            if isinstance(given, dict):
                self.out["extra"] = given | {
                    name: given[name] | each if isinstance(each, dict) and isinstance(given.get(name), dict) else each
                    for name, each in self.marks.items()
                }
        return self.out


_READERS: dict[str, Callable[[_Mending, str, Any], Any]] = {
    name: getattr(_Mending, name)
    for name in ("text", "name", "time", "value", "count", "number", "share", "flag", "word", "scores", "extra")
}


@cache
def _measure(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    field = model.model_fields[name]
    bounded: Any = Annotated[field.annotation, *field.metadata]
    return TypeAdapter(bounded)


def _is_measured(model: type[BaseModel], name: str, value: Any) -> bool:
    """Whether a model takes it."""
    try:
        _measure(model, name).validate_python(value)
    except ValidationError:
        return False
    return True


_BY_TYPE = ((datetime, "time"), (int, "count"), (bool, "flag"))


@cache
def _kinds(model: type[BaseModel]) -> dict[str, str]:
    """Which reader a field has, by its type. Ids have none: they are what events are known by."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        inner = [one for one in get_args(field.annotation) if one is not NoneType]
        annotation = inner[0] if len(inner) == 1 else field.annotation
        most = next((bound.max_length for bound in field.metadata if isinstance(bound, annotated_types.MaxLen)), 0)
        bounded = any(isinstance(bound, annotated_types.Le) for bound in field.metadata)
        if name in ("extra", "value"):
            found[name] = name
        elif get_origin(field.annotation) is dict:
            found[name] = "scores"
        elif annotation is str:
            found[name] = "text" if most > MAX_NAME else "name"
        elif annotation is float:
            found[name] = "share" if bounded else "number"
        elif isinstance(annotation, type) and issubclass(annotation, Enum):
            found[name] = "word"
        elif kind := next((kind for known, kind in _BY_TYPE if annotation is known), ""):
            found[name] = kind
    return found


def _is_no_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.casefold() in _NO_NUMBER
    return isinstance(value, float) and not math.isfinite(value)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are of the same types and equal; NaN is equal to itself."""
    return repr(one) == repr(other)
