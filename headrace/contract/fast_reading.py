"""Reads events at several times pydantic's speed where nothing is odd about them; the models stay the contract.

The types are made from the models of events.py, so they cannot say anything else. What is taken here a model
takes in strict mode too, with the same values, except that digits of a time beyond the microsecond are rounded here and
cut off there (`rounded`). What is not may still be right, and is for the model to read, or to refuse with a sentence.
Worth having because validating is half of what an event costs a worker, and this takes a third of the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Union, get_args, get_origin
from uuid import UUID

import annotated_types
import msgspec
from msgspec import UNSET, UnsetType
from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from headrace.contract.contexts import alike
from headrace.contract.events import Event
from headrace.contract.ids import EARLIEST, LATEST
from headrace.contract.nothing import SPELLED, named

if TYPE_CHECKING:
    from collections.abc import Sequence

# A letter or underscore of ASCII: what names are made of, and what no encoder escapes; and a NUL, which is replaced.
_ESCAPED = re.compile(rb"\\u00(?:[4-7]|00)")
# A second with more than six digits behind the point. Outside a string no digit comes before a colon. To look for the
# point first takes an eighth of the time.
_FINE = re.compile(rb"\.(?<=\d:\d\d\.)\d{7}")
# The same may be written with escaped digits, points and colons, which no encoder escapes.
_ESCAPED_TIME = re.compile(rb"\\u00(?:3[0-9aA]|2[eE])")
_FIRST_YEAR, _LAST_YEAR = EARLIEST.year, LATEST.year
_PLAIN = (str, int, float, bool, UUID, datetime)
Check = Callable[["Sequence[Any]"], None]
"""Of the events of an array: raises ValueError where one of them does not hold."""
_GENERAL = {annotated_types.Ge: "ge", annotated_types.Le: "le", annotated_types.MinLen: "min_length"}
_GENERAL |= {annotated_types.MaxLen: "max_length"}


class Extra(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one `extra` that is read here: an empty one, or the collector's, which keeps another emitter's name."""

    emitter: str | UnsetType = UNSET

    def __bool__(self) -> bool:
        return self.emitter is not UNSET


class Read(Protocol):
    """An event that was read: the fields of its model, and what the model derives from them.

    tenant, emitter, key_id: UNSET, which is false, where the event does not say
    """

    id_field: str
    tenant: str
    emitter: str
    key_id: str
    revision: int
    extra: Extra
    given_id: str | None

    @property
    def event_id(self) -> UUID:
        """See Event.event_id."""

    @property
    def thread(self) -> str:
        """See Event.thread."""

    @property
    def said_emitter(self) -> str | None:
        """See Event.said_emitter."""

    def owned(self, tenant: str, key_id: str) -> Read:
        """This event, from now on as that tenant's, brought by that key."""

    def but(self, changes: dict[str, Any]) -> Read:
        """This event with other values of some fields."""

    def whole(self, body: bytes) -> Event:
        """The model's own object, from the bytes that this was read from."""


def plain(body: bytes) -> bool:
    """Whether names in JSON are written as ClickHouse compares them.

    It takes \\u0073ource for another name than source: an event could say one source here and another to the table, and
    only a setting of the insert, by which such a block is refused whole, stands between.
    """
    return b"\\" not in body or b"\\u00" not in body or _ESCAPED.search(body) is None


def read(model: type[Event], body: bytes, array: bool) -> Sequence[Read] | None:
    """The event that a body is, or those of the array that it is; None where the model has to look at it."""
    if not plain(body):
        return None
    try:
        decoders, check = _reader(model)
        found = decoders[array].decode(body)
        events: Sequence[Any] = found if array else [found]
        check(events)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return events


def rounded(body: bytes) -> bool:
    """Whether a time in it may be finer than a microsecond, so that what was read is not what the model reads.

    It takes a fifth of the time that reading takes: ask where events are to be written from what was read.
    """
    return _FINE.search(body) is not None or (b"\\" in body and _ESCAPED_TIME.search(body) is not None)


def written(events: Sequence[Read]) -> bytes:
    """A JSON array of the events, which were not `rounded`."""
    return msgspec.json.encode(events)


def made(model: type[Event], fields: dict[str, Any]) -> Any:
    """A Read of a program's own fields, which hold already, spelled as the model would: nothing is checked.

    Its `body` is a tenth of the model's time.
    """
    return _made(model)(**fields)


def body(event: Read) -> bytes:
    """One JSON object: of an event that was `made`, without what the model has by default."""
    return msgspec.json.encode(event)


@cache
def _made(model: type[Event]) -> type[msgspec.Struct]:
    return _struct(model, omit_defaults=True)


@cache
def _reader(model: type[Event]) -> tuple[tuple[Any, Any], Check]:
    """Decoders of an event and of an array, and the check of what they return."""
    struct = _struct(model)
    decoders = msgspec.json.Decoder(struct), msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]
    return decoders, _check(model)


def _struct(model: type[Event], omit_defaults: bool = False) -> type[msgspec.Struct]:
    """A type with the fields of a model, of which each is bounded as there."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for name, field in model.model_fields.items():
        bounded = Extra if name == "extra" else _bounded(field.annotation, field.metadata)
        if field.is_required():
            fields.append((name, bounded))
        elif name in ("tenant", "emitter", "key_id"):
            fields.append((name, bounded | UnsetType, UNSET))
        elif name == "extra":
            fields.append((name, bounded, Extra()))
        else:
            fields.append((name, bounded, field.get_default(call_default_factory=True)))

    def owned(event: Any, tenant: str, key_id: str) -> Any:
        event.tenant, event.key_id = tenant, key_id
        return event

    methods = {
        "id_field": model.id_field,
        "event_id": model.event_id,
        "thread": model.thread,
        "said_emitter": property(lambda event: None if event.emitter is UNSET else event.emitter),
        "owned": owned,
        "but": lambda event, changes: msgspec.structs.replace(event, **changes) if changes else event,
        "whole": lambda _, body: model.model_validate_json(body, strict=True),
    }
    return msgspec.defstruct(
        f"Read{model.__name__}",
        fields,
        namespace=methods,
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
        omit_defaults=omit_defaults,
    )


def _check(model: type[Event]) -> Check:
    """Of all events of an array at once: what their types cannot say. It raises ValueError."""
    checks: list[Check] = []
    for name, field in model.model_fields.items():
        for found in field.metadata:
            if isinstance(found, AfterValidator):
                made = _CHECKS.get(found.func) or _CHECKS.get(field.annotation, _each)
                checks.append(made(attrgetter(name), found.func))
    if model.check_whole is not Event.check_whole:
        checks.append(_each(lambda event: event, model.check_whole))

    def check(events: Sequence[Any]) -> None:
        for one in checks:
            one(events)

    return check


def _each(value_of: Callable[[Any], Any], holds: Callable[..., object]) -> Check:
    def check(events: Sequence[Any]) -> None:
        for value in map(value_of, events):
            holds(value)

    return check


def _moments(moment_of: Callable[[Any], datetime], holds: Callable[..., object]) -> Check:
    """The check of a time that leaves the first year to the model: the end of 1999 may have been rounded up."""

    def check(events: Sequence[Any]) -> None:
        for moment in map(moment_of, events):
            # For most times neither question has to be asked.
            if moment.tzinfo is UTC and _FIRST_YEAR < moment.year < _LAST_YEAR:
                continue
            if moment.year <= _FIRST_YEAR:
                raise ValueError("the model has to look at times of the first year")
            holds(moment)

    return check


def _spellings(text_of: Callable[[Any], str], spell: Callable[..., object]) -> Check:
    """The check of the id of a trace or span that is to be spelled another way, which the model does."""

    def check(events: Sequence[Any]) -> None:
        # One look at all of them takes a quarter of the time.
        if not alike("".join(map(text_of, events))) and any(spell(text) != text for text in map(text_of, events)):
            raise ValueError("the model has to spell it")

    return check


def _names(text_of: Callable[[Any], str], _: Callable[..., object]) -> Check:
    """The check of names that the model leaves empty where they stand for none."""

    def check(events: Sequence[Any]) -> None:
        if not SPELLED.isdisjoint(map(text_of, events)):
            raise ValueError("the model has to leave it empty")

    return check


# By the type of a field, or by its validator.
_CHECKS: dict[Any, Callable[..., Check]] = {datetime: _moments, str: _spellings, named: _names}


def _bounded(annotation: Any, metadata: Sequence[Any] = ()) -> Any:
    """The annotation of a model's field as msgspec takes it. Raises TypeError for what was never thought of here."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        parts = [part for found in inner[1:] for part in (found.metadata if isinstance(found, FieldInfo) else [found])]
        return _bounded(inner[0], parts)
    bounds: dict[str, Any] = {"tz": True} if annotation is datetime else {}
    for bound in metadata:
        if type(bound) in _GENERAL:
            bounds[_GENERAL[type(bound)]] = getattr(bound, _GENERAL[type(bound)])
        elif not isinstance(bound, AfterValidator) and getattr(bound, "allow_inf_nan", None) is not False:
            # msgspec refuses infinities anyway.
            raise TypeError(f"{annotation} is bounded by {bound!r}, which headrace.contract.fast_reading does not know")
    if origin in (Union, UnionType):
        made: Any = Union[tuple(part if part is NoneType else _bounded(part) for part in inner)]  # noqa: UP007
    elif origin is dict:
        made = dict[_bounded(inner[0]), _bounded(inner[1])]  # type: ignore[misc]
    elif (
        annotation in _PLAIN
        or annotation is datetime
        or (isinstance(annotation, type) and issubclass(annotation, Enum))
    ):
        made = annotation
    else:
        raise TypeError(f"a field of type {annotation} is not known to headrace.contract.fast_reading")
    return Annotated[made, msgspec.Meta(**bounds)] if bounds else made
