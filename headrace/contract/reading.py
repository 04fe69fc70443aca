"""The one reading of events, by which the collector takes bodies and the workers take records.

    fast_reading.read   a whole object or array at once, where nothing is odd about it
    exactly             the same by the models in strict mode: bytes that are read so may pass on as they are
    careful             element by element otherwise: each one's event, or the sentence that says what is wrong

What the first two read, the third reads as the same event. So what the collector takes, from bytes that it passes on or
writes anew, the workers read as the event that it took; and what they would dead-letter, it refuses with their reason.
The collector refuses more than that: an unknown field, since its sender can still be told; an event above its bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import FailFast, TypeAdapter, ValidationError

from headrace.contract.elements import Element
from headrace.contract.events import Event, Feedback, Inference, Record, sentence
from headrace.contract.fields import brief, without_null
from headrace.contract.parsing import ESCAPED_NUL
from headrace.errors import EventError

E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=Record)


def exactly(model: type[E], value: bytes, array: bool) -> Sequence[E] | None:
    """The events of a JSON object or array; None where the model would read a value as another type, or not at all."""
    if ESCAPED_NUL in value:
        return None
    try:
        found = _adapter(model, array).validate_json(value, strict=True)
    except ValidationError:
        return None
    return found if array else [found]


def written(model: type[E], events: Sequence[E]) -> bytes:
    """A JSON array of the events, as the model writes each."""
    return _adapter(model, True).dump_json(list(events))


def careful(found: Element, model: type[E], unknown_fields: bool = True) -> E:
    """The event that an element is. Raises EventError that names the field.

    unknown_fields: they are kept in `extra`; else they are refused
    """
    fields = _fields(found)
    if None not in fields.values() and not (unknown_fields and fields.keys() - _known(model)):
        return model.validated(fields, found.original if found.bare else b"")
    return model.tolerant(fields) if unknown_fields else model.strict(fields)


def record_of(model: type[R], value: bytes) -> R:
    """A control record, one JSON object. Raises EventError with one sentence where it cannot be read."""
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        raise EventError(sentence(model.__name__, error)) from None
    except ValueError as error:
        raise EventError(f"{model.__name__}: {error}") from None


def kind_of(found: Element) -> type[Event]:
    """Feedback names another event's id beside its own. Raises EventError where the element is no event."""
    fields = without_null(_fields(found))
    if "feedback_id" in fields or ("signal" in fields and "version" not in fields):
        return Feedback
    if "inference_id" in fields:
        return Inference
    raise EventError("the event has neither an inference_id nor a feedback_id")


def _fields(found: Element) -> dict[str, Any]:
    if found.fault:
        raise EventError(found.fault)
    if not isinstance(found.value, dict):
        raise EventError(f"an event is a JSON object, but it was {brief(found.value)}")
    return found.value


@cache
def _known(model: type[Event]) -> frozenset[str]:
    return frozenset(model.model_fields)


@cache
def _adapter(model: type[Event], array: bool) -> TypeAdapter[Any]:
    # One bad event decides: complaints about all of them would cost more than the events.
    kind: Any = Annotated[list[model], FailFast()] if array else model  # type: ignore[valid-type]
    return TypeAdapter(kind)
