"""From a request's body to events: total, so that each event of it is taken or named with what is wrong with it.

A body is one event, an array of events told apart by their id field, {"inferences": […], "feedback": […]}, or lines
with an event each. It is validated once, at the speed of pydantic's own JSON parser; only where something is wrong with
it event by event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter, ValidationError

from headrace.access.events import attributed
from headrace.access.roles import Forbidden, Principal
from headrace.client.packing import MAX_EVENT_BYTES
from headrace.contract import ids
from headrace.contract.events import Event, Feedback, Inference, Moment, sentence
from headrace.contract.reading import Read, plain, read
from headrace.errors import EventError
from serving.http.refusal import Refusal
from serving.intake.stamping import stamp

MAX_EVENTS = 20_000
SNIFFED_BYTES = 4096
LARGE_EVENT_BYTES = MAX_EVENT_BYTES - 4096
"""What an event may have here: fields that it left out, and the gateway's name, are added."""
TOO_LARGE = f"an event takes at most {MAX_EVENT_BYTES} bytes"

# The first that fits: a union that weighs both costs twice as much.
_ONE: tuple[TypeAdapter[Any], ...] = (
    TypeAdapter(Annotated[Inference | Feedback, Field(union_mode="left_to_right")]),
    TypeAdapter(Annotated[Feedback | Inference, Field(union_mode="left_to_right")]),
)
_ARRAY: tuple[TypeAdapter[Any], ...] = (
    TypeAdapter(
        Annotated[
            list[Annotated[Inference | Feedback, Field(union_mode="left_to_right")]],
            Field(max_length=MAX_EVENTS),
            FailFast(),
        ]
    ),
    TypeAdapter(
        Annotated[
            list[Annotated[Feedback | Inference, Field(union_mode="left_to_right")]],
            Field(max_length=MAX_EVENTS),
            FailFast(),
        ]
    ),
)
# Where each event of a body stands.
_RAW_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_RAW_LISTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MODELS: dict[str, type[Event]] = {"inferences": Inference, "feedback": Feedback}
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
_LINE = re.compile(rb"[^\r\n]+")
_LISTS = re.compile(rb'\s*\{\s*("(inferences|feedback)"\s*:|\})')


class Batch(BaseModel):
    """The body of POST /v1/events in its long form."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    inferences: Annotated[list[Inference], FailFast()] = Field(default_factory=list, max_length=MAX_EVENTS)
    feedback: Annotated[list[Feedback], FailFast()] = Field(default_factory=list, max_length=MAX_EVENTS)


@dataclass(frozen=True, slots=True)
class Wrong:
    """An event that is not taken.

    list: inferences, feedback or events; index: its place there, from 0; status: what it alone would be answered with
    """

    list: str
    index: int
    message: str
    status: int = 400

    def fields(self) -> dict[str, Any]:
        """As the answer shows it."""
        return {"list": self.list, "index": self.index, "message": self.message}


@dataclass(frozen=True, slots=True)
class Parsed:
    """Every event of a body is in one of the first two.

    given: for each of `events` the JSON object it was read from, where all of them may pass on as they came; or none
    """

    events: list[Event | Read] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)
    given: list[bytes] = field(default_factory=list)


def parse(body: bytes, principal: Principal, lines: bool = False) -> Parsed:
    """The events of a body, as the principal's. Raises Refusal where the body is no such thing, 413 for too many."""
    whole = _as_array(body) if lines else body
    if (parsed := _as_given(whole, principal)) is not None:
        return parsed
    try:
        lists = _whole(whole)
    except ValidationError:
        return _one_by_one(body, principal, lines)
    if (count := sum(map(len, lists.values()))) > MAX_EVENTS:
        raise _too_many(f"{count} events")
    return _owned([(where, index, event) for where in lists for index, event in enumerate(lists[where])], principal)


def _as_array(body: bytes) -> bytes:
    """The lines that hold something as one JSON array. Raises Refusal 413 where they are too many."""
    found = (line for line in map(re.Match.group, _LINE.finditer(body)) if line.strip())
    rows = list(islice(found, MAX_EVENTS + 1))
    if len(rows) > MAX_EVENTS:
        raise _too_many(f"more than {MAX_EVENTS} lines")
    return b"[%b]" % b",".join(rows)


def _as_given(body: bytes, principal: Principal) -> Parsed | None:
    """The events and their own bytes; None where these cannot pass on as they came.

    They can where the streams' own strict reading takes them too (see streams.packed) and all are the principal's.
    """
    if not plain(body):
        return None
    try:
        parts = _read(body) or _validated(body)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        # ValidationError and UnicodeDecodeError are ValueErrors.
        return None
    parsed = Parsed()
    for events, given in parts:
        if len(events) != len(given) or max(map(len, given), default=0) >= LARGE_EVENT_BYTES:
            return None
        if (stamped := stamp(events, given, principal)) is None:
            return None
        parsed.events.extend(stamped[0])
        parsed.given.extend(stamped[1])
    return parsed


def _read(body: bytes) -> list[tuple[Sequence[Read], list[bytes]]] | None:
    """Events in plain order and where each stands; None where the models have to look at them, or they are mixed."""
    if in_lists := bool(_LISTS.match(body)):
        lists = _RAW_LISTS.decode(body)
        if not lists.keys() <= _MODELS.keys():
            return None
        parts = [(model, bytes(lists[name])) for name, model in _MODELS.items() if name in lists]
    else:
        parts = [(_MODELS["feedback" if b'"feedback_id"' in body[:SNIFFED_BYTES] else "inferences"], body)]
    out = []
    for model, part in parts:
        array = part.lstrip()[:1] == b"["
        found = read(model, part, array) if array or not in_lists else None
        if found is None:
            return None
        out.append((found, list(map(bytes, _RAW_ARRAY.decode(part))) if array else [part.strip()]))
    return out if sum(len(found) for found, _ in out) <= MAX_EVENTS else None


def _validated(body: bytes) -> list[tuple[Sequence[Event], list[bytes]]]:
    """The same by the models. Raises ValidationError or MsgspecError, Refusal 413 before too many are read."""
    given = _given(body)
    if (count := sum(map(len, given.values()))) > MAX_EVENTS:
        raise _too_many(f"{count} events")
    lists = _whole(body, strict=True)
    return [(lists[where], list(map(bytes, given[where]))) for where in lists if where in given]


def _given(body: bytes) -> dict[str, list[Any]]:
    """Where each event of a body stands, by list. Raises MsgspecError."""
    if _LISTS.match(body):
        return {where: _RAW_ARRAY.decode(found) for where, found in _RAW_LISTS.decode(body).items()}
    return {"events": _RAW_ARRAY.decode(body) if body.lstrip()[:1] == b"[" else [body.strip()]}


def feedback_of(body: bytes, principal: Principal) -> Feedback:
    """From the fields of a Feedback, of which the id and the time may be left out. Raises Refusal."""
    fields = _json(body)
    if not isinstance(fields, dict):
        raise Refusal(400, "the request is not a JSON object with the fields of a feedback event")
    try:
        at = _MOMENT.validate_python(fields["occurred_at"]) if "occurred_at" in fields else None
    except ValidationError as error:
        raise Refusal(400, sentence("Feedback.occurred_at", error), param="occurred_at") from None
    fields.setdefault("feedback_id", str(ids.uuid7(at)))
    if at is None:
        fields["occurred_at"] = _time_of(fields["feedback_id"])
    try:
        feedback = Feedback.model_validate_json(_dumped(fields))
    except ValidationError as error:
        param = ".".join(map(str, error.errors()[0]["loc"])) or None
        raise Refusal(400, sentence("Feedback", error), param=param) from None
    except EventError as error:
        raise Refusal(400, str(error)) from None
    if _too_large(feedback):
        raise Refusal(413, TOO_LARGE)
    return attributed(feedback, principal)


def _whole(body: bytes, strict: bool = False) -> dict[str, Sequence[Event]]:
    """All events at once, by list. Raises ValidationError where one of them is wrong, or there are too many."""
    feedback_first = b'"feedback_id"' in body[:SNIFFED_BYTES]
    if _LISTS.match(body):
        batch = Batch.model_validate_json(body, strict=strict)
        return {"inferences": batch.inferences, "feedback": batch.feedback}
    if body.lstrip()[:1] != b"[":
        return {"events": [_ONE[feedback_first].validate_json(body, strict=strict)]}
    return {"events": _ARRAY[feedback_first].validate_json(body, strict=strict)}


def _one_by_one(body: bytes, principal: Principal, lines: bool) -> Parsed:
    good: list[tuple[str, int, Event]] = []
    wrong: list[Wrong] = []
    # What msgspec does not read, as NaN, was not counted before.
    values = list(islice(_values(body, lines), MAX_EVENTS + 1))
    if len(values) > MAX_EVENTS:
        raise _too_many(f"more than {MAX_EVENTS} events")
    for where, index, value in values:
        try:
            good.append((where, index, _event(value, where)))
        except EventError as error:
            wrong.append(Wrong(where, index, str(error)))
    owned = _owned(good, principal)
    return Parsed(owned.events, wrong + owned.wrong)


def _too_many(what: str) -> Refusal:
    return Refusal(413, f"the body holds {what}, of which {MAX_EVENTS} may come at once; split it")


def _values(body: bytes, lines: bool) -> Iterator[tuple[str, int, Any]]:
    """What should be events: the list each stands in, its place there, and what JSON makes of it."""
    if lines:
        for index, line in enumerate(body.splitlines()):
            if line.strip():
                yield "events", index, line
        return
    found = _json(body)
    if isinstance(found, dict) and not found.keys() & {"inference_id", "feedback_id"}:
        for name in found:
            if name not in Batch.model_fields:
                raise Refusal(400, f"the request.{name[:80]}: there is no such field", param=name[:80])
            if not isinstance(found[name], list):
                raise Refusal(400, f"the request.{name}: it takes a list of events", param=name)
        for name, values in found.items():
            yield from ((name, index, value) for index, value in enumerate(values))
        return
    yield from (("events", index, value) for index, value in enumerate(found if isinstance(found, list) else [found]))


def _event(value: Any, where: str) -> Event:
    """One event. Raises EventError."""
    if isinstance(value, bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise EventError(f"the line is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise EventError(f"an event is a JSON object, but it was {repr(value)[:80]}")
    if where == "inferences":
        model: type[Event] = Inference
    elif where == "feedback" or "feedback_id" in value or ("signal" in value and "version" not in value):
        model = Feedback
    elif "inference_id" in value:
        model = Inference
    else:
        raise EventError("the event has neither an inference_id nor a feedback_id")
    try:
        return model.model_validate_json(_dumped(value))
    except ValidationError as error:
        raise EventError(sentence(model.__name__, error)) from None


def _owned(found: list[tuple[str, int, Event]], principal: Principal) -> Parsed:
    parsed = Parsed()
    for where, index, event in found:
        if _too_large(event):
            parsed.wrong.append(Wrong(where, index, TOO_LARGE, 413))
            continue
        try:
            parsed.events.append(attributed(event, principal))
        except Forbidden as error:
            parsed.wrong.append(Wrong(where, index, str(error), 403))
    return parsed


def _too_large(event: Event) -> bool:
    # Only `extra` has no bound of its own.
    return bool(event.extra) and len(event.to_json()) > LARGE_EVENT_BYTES


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None


def _dumped(value: Any) -> str:
    try:
        return json.dumps(value)
    except (ValueError, RecursionError) as error:
        raise EventError(f"the event cannot be read: {error}") from None


def _time_of(event_id: Any) -> str:
    """An id of version 7 carries its time; of any other the event's check says what is wrong with it."""
    try:
        return ids.time_of(UUID(str(event_id))).isoformat()
    except (ValueError, OverflowError):
        return datetime.now(UTC).isoformat()
