"""From a request's body to events: total, so that each event of it is taken or named with what is wrong with it.

A body is one event, an array of events told apart by their id field, {"inferences": […], "feedback": […]}, or lines
with an event each. headrace/contract/reading.py reads it: all at once where the events' own bytes may pass on, else
event by event, as the workers would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, count, islice
from typing import Any
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from headrace.access.events import attributed
from headrace.access.roles import Forbidden, Principal
from headrace.client.packing import MAX_EVENT_BYTES
from headrace.contract import ids
from headrace.contract.elements import Element, element, elements, lists
from headrace.contract.events import Event, Feedback, Inference
from headrace.contract.fast_reading import Read, plain, read
from headrace.contract.fields import brief, without_null
from headrace.contract.framing import payload
from headrace.contract.moments import moment
from headrace.contract.reading import careful, exactly, kind_of
from headrace.contract.texts import carried
from headrace.errors import EventError
from serving.http.refusal import Refusal
from serving.intake.stamping import stamp

MAX_EVENTS = 20_000
LARGE_EVENT_BYTES = MAX_EVENT_BYTES - 4096
"""What an event may have here: fields that it left out, and the gateway's name, are added."""
TOO_LARGE = f"an event takes at most {MAX_EVENT_BYTES} bytes"

# Where each event of a body stands.
_RAW_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_RAW_LISTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MODELS: dict[str, type[Event]] = {"inferences": Inference, "feedback": Feedback}
NAMING = {"inference_id", "feedback_id", "signal"}
"""By these an object is seen to be one event, and not lists under other names."""
_LINE = re.compile(rb"[^\r\n]+")
_LISTS = re.compile(rb'\s*\{\s*("(inferences|feedback)"\s*:|\})')

_Array = tuple[type[Event] | None, bytes, list[bytes]]
"""What its events are, where the body says it; the array; the bytes of each event."""
_Part = tuple[Sequence[Event | Read], list[bytes]]


class Batch(BaseModel):
    """The body of POST /v1/events in its long form."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    inferences: list[Inference] = Field(default_factory=list, max_length=MAX_EVENTS)
    feedback: list[Feedback] = Field(default_factory=list, max_length=MAX_EVENTS)


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
    value = payload(body)
    return _as_given(value, principal, lines) or _one_by_one(body, principal, lines)


def _rows(body: bytes) -> list[bytes]:
    """The lines that hold something. Raises Refusal 413 where they are too many."""
    found = (row for line in map(re.Match.group, _LINE.finditer(body)) if (row := line.strip()))
    rows = list(islice(found, MAX_EVENTS + 1))
    if len(rows) > MAX_EVENTS:
        raise _too_many(f"more than {MAX_EVENTS} lines")
    return rows


def _as_given(body: bytes, principal: Principal, lines: bool) -> Parsed | None:
    """The events and their own bytes; None where these cannot pass on as they came.

    They can where the workers will read them exactly, too (headrace/contract/reading.py), and all are the principal's.
    """
    rows = _rows(body) if lines else []
    if lines:
        body = b"[%b]" % b",".join(rows)
    arrays = _arrays(body) if plain(body) else None
    if arrays is None:
        return None
    # A line is one event, though two of them may hold one, or one of them two.
    if lines and arrays[0][2] != rows:
        return None
    if (events := sum(len(given) for _, _, given in arrays)) > MAX_EVENTS:
        raise _too_many(f"{events} events")
    parsed = Parsed()
    for model, array, given in arrays:
        parts = _read(model, array, given) if max(map(len, given), default=0) < LARGE_EVENT_BYTES else None
        for found, some in parts or ():
            if (stamped := stamp(found, some, principal)) is None:
                return None
            parsed.events.extend(stamped[0])
            parsed.given.extend(stamped[1])
        if parts is None:
            return None
    return parsed


def _arrays(body: bytes) -> list[_Array] | None:
    """The arrays of a body; None where they are not plain to see."""
    try:
        if not _LISTS.match(body):
            array = body if body.lstrip()[:1] == b"[" else b"[%b]" % body
            given = list(map(bytes, _RAW_ARRAY.decode(array)))
            return [(None, array, given)] if array is body or len(given) == 1 else None
        # Of a name that comes twice the decoder keeps the last.
        if any(body.count(b'"%b"' % name.encode()) > 1 for name in _MODELS):
            return None
        found = {name: bytes(array) for name, array in _RAW_LISTS.decode(body).items()}
        if not found.keys() <= _MODELS.keys():
            return None
        return [(_MODELS[name], array, list(map(bytes, _RAW_ARRAY.decode(array)))) for name, array in found.items()]
    except (ValueError, RecursionError, msgspec.MsgspecError):
        # UnicodeDecodeError is a ValueError.
        return None


def _read(model: type[Event] | None, array: bytes, given: list[bytes]) -> list[_Part] | None:
    """The events of an array and their bytes; where it holds both kinds the inferences come first."""
    # Within a string quotes are escaped; what is taken for the other kind here is not read as that.
    name = b'"feedback_id"'
    kind = model or (Feedback if given and name in given[0] else Inference)
    found: Sequence[Event | Read] | None = read(kind, array, array=True)
    if found is None:
        found = exactly(kind, array, array=True)
    if found is not None:
        return [(found, given)]
    inferences, feedback = [one for one in given if name not in one], [one for one in given if name in one]
    if model or not inferences or not feedback:
        return None
    parts: list[_Part] = []
    for kind, some in ((Inference, inferences), (Feedback, feedback)):
        part = _read(kind, b"[%b]" % b",".join(some), some)
        if part is None:
            return None
        parts += part
    return parts


def feedback_of(body: bytes, principal: Principal) -> Feedback:
    """From the fields of a Feedback, of which the id and the time may be left out. Raises Refusal."""
    found = element(body, enveloped=True)
    if found.fault or not isinstance(found.value, dict):
        why = found.fault or "the request is not a JSON object with the fields of a feedback event"
        raise Refusal(400, why)
    fields = {**without_null(found.value)}
    try:
        at = moment(fields["occurred_at"]) if "occurred_at" in fields else None
    except ValueError as error:
        says = f"Feedback.occurred_at: {error}, but it was {brief(fields['occurred_at'])}"
        raise Refusal(400, says, param="occurred_at") from None
    fields.setdefault("feedback_id", str(ids.uuid7(at)))
    if at is None:
        fields["occurred_at"] = _time_of(fields["feedback_id"])
    try:
        feedback = Feedback.strict(fields)
    except EventError as error:
        raise Refusal(400, str(error), param=error.field or None) from None
    if _too_large(feedback):
        raise Refusal(413, TOO_LARGE)
    return attributed(feedback, principal)


def _one_by_one(body: bytes, principal: Principal, lines: bool) -> Parsed:
    good: list[tuple[str, int, Event]] = []
    wrong: list[Wrong] = []
    try:
        # Those that msgspec does not read, as NaN, were not counted before.
        found = list(islice(_elements(body, lines), MAX_EVENTS + 1))
    except EventError as error:
        where = "the request." if error.field else ""
        raise Refusal(400, f"{where}{error}", param=error.field or None) from None
    if len(found) > MAX_EVENTS:
        raise _too_many(f"more than {MAX_EVENTS} events")
    for where, index, one in found:
        if one.is_nothing:
            continue
        try:
            good.append((where, index, careful(one, _MODELS.get(where) or kind_of(one), unknown_fields=False)))
        except EventError as error:
            wrong.append(Wrong(where, index, str(error)))
    owned = _owned(good, principal)
    return Parsed(owned.events, wrong + owned.wrong)


def _too_many(what: str) -> Refusal:
    return Refusal(413, f"the body holds {what}, of which {MAX_EVENTS} may come at once; split it")


def _elements(body: bytes, lines: bool) -> Iterator[tuple[str, int, Element]]:
    """What should be events: the list each stands in, and its place there. Raises EventError, Refusal."""
    value = payload(body)
    if lines:
        for index, line in enumerate(value.splitlines()):
            if line.strip():
                yield "events", index, element(line, enveloped=True)
    elif _LISTS.match(value):
        places = {name: count() for name in _MODELS}
        for name, one in lists(body, _MODELS):
            yield name, next(places[name]), one
    else:
        found = elements(body)
        begin = list(islice(found, 2))
        alone = begin[0].value if len(begin) == 1 and value.lstrip()[:1] != b"[" else None
        if isinstance(alone, dict) and alone and not alone.keys() & NAMING:
            name = carried(next(iter(alone))[:80])
            raise EventError(f"{name}: there is no such field", name)
        yield from (("events", index, one) for index, one in enumerate(chain(begin, found)))


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


def _time_of(event_id: Any) -> str:
    """An id of version 7 carries its time; of any other the event's check says what is wrong with it."""
    try:
        return ids.time_of(UUID(str(event_id))).isoformat()
    except (ValueError, OverflowError):
        return datetime.now(UTC).isoformat()
