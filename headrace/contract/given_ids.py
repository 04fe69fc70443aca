"""Ids that emitters give their events: a UUIDv7 is the event's id, and any other text stands for one.

    01961d5e-9c00-7…   in any spelling of a UUID: the id itself
    any other text     travels beside the id, in `given_id` and its siblings; the id is derived from the text and a time

The time in a derived id is the event's own until a worker stores it. Workers keep the first id of each text
(headrace/warehouse/foreign_ids.py), so that a retry with another time is the same event. A UUID of another version is
written in lower case with dashes; another text is kept as it is, without blanks around it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from headrace.contract import ids
from headrace.contract.fields import brief
from headrace.contract.nothing import is_none
from headrace.errors import EventError

MAX_GIVEN = 200
NOBODY = UUID(int=0)
"""The inference_id of feedback that names its answer by another reference and is not resolved yet."""
PLACEHOLDER = str(ids.uuid7(ids.EARLIEST))
"""The id of an event between its reading and `Event.settled`."""

_LEAST_ID, _LIMIT_ID = ids.millis(ids.EARLIEST) << 80, ids.millis(ids.LATEST) << 80
_UUID = re.compile(
    r"(?:urn:uuid:)?\{?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}?|([0-9a-f]{32})", re.IGNORECASE
)
_PLAIN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_EXACT_FLOAT = 2**53


@dataclass(frozen=True)
class Given:
    """A text that stands for an id.

    kind: inference, feedback or label (feedback of what is known to be right): a text means another event in each
    at: the time of the event that bears it
    """

    kind: str
    tenant: str
    text: str
    at: datetime

    @cached_property
    def key(self) -> int:
        """128 bits that say which text of which tenant it is, whatever the time."""
        return int.from_bytes(self._digest[:16])

    @cached_property
    def id(self) -> UUID:
        """The id derived from the text and the time."""
        return ids.build(ids.millis(self.at), int.from_bytes(self._digest[16:26]))

    @cached_property
    def _digest(self) -> bytes:
        # The tenant with its length: none can be taken for another with the beginning of a text.
        said = f"headrace given id 1\x1f{self.kind}\x1f{len(self.tenant)}\x1f{self.tenant}\x1f{self.text}"
        return hashlib.sha256(said.encode(errors="surrogatepass")).digest()


def version7(event_id: UUID) -> UUID:
    """The id, where it is a UUIDv7 of a sane time. Raises ValueError."""
    # By its bits (RFC 9562): UUID's own properties take four times as long.
    bits = event_id.int
    if bits & ids.VERSION_7_MASK != ids.VERSION_7:
        raise ValueError("it is no UUID of version 7")
    if not _LEAST_ID <= bits < _LIMIT_ID:
        raise ValueError("an id's own time lies between the years 2000 and 2100")
    return event_id


def chosen(text: str) -> str:
    """A text as the id of an event, without blanks around it; "" for one that can be none."""
    text = text.strip()
    if len(text) > MAX_GIVEN or is_none(text):
        return ""
    known = uuid_of(text)
    return "" if known is not None and not known.int else text


def is_id(known: UUID) -> bool:
    """Whether an event may have it for its id."""
    return known.int & ids.VERSION_7_MASK == ids.VERSION_7 and _LEAST_ID <= known.int < _LIMIT_ID


def _answer(event_id: UUID) -> UUID:
    return version7(event_id) if event_id.int else event_id


def _parent(event_id: UUID | None) -> UUID | None:
    return None if event_id is None else version7(event_id)


def _any_text(schema: dict[str, Any]) -> None:
    """What an emitter may send is more than what the field holds."""
    for kind in (schema, *schema.get("anyOf", ())):
        if kind.pop("format", None):
            kind["type"] = ["string", "integer"]
            kind["maxLength"] = MAX_GIVEN


Id7 = Annotated[UUID, AfterValidator(version7)]
AnyId = Annotated[Id7, Field(json_schema_extra=_any_text)]
AnswerId = Annotated[UUID, AfterValidator(_answer), Field(json_schema_extra=_any_text)]
ParentId = Annotated[UUID | None, AfterValidator(_parent), Field(json_schema_extra=_any_text)]
GivenId = Annotated[str, Field(max_length=MAX_GIVEN)]


def apart(what: str, fields: Any, id_fields: Mapping[str, str]) -> Any:
    """The fields of an event with each text that is no UUIDv7 in the field for given ids.

    id_fields: by name of a field with an id the one for its text; the first is the event's own
    Raises EventError for an own id that names no event.
    """
    if not isinstance(fields, dict):
        return fields
    own, changes = next(iter(id_fields)), dict[str, Any]()
    for name, beside in id_fields.items():
        value = fields.get(name)
        if value is None or fields.get(beside):
            continue
        if (type(value) is str and _is_plain(value)) or (type(value) is UUID and is_id(value)):
            continue
        text = _text(value)
        if text is None:
            raise EventError(f"{what}.{name}: an id is text or a whole number, but it was {brief(value)}", name)
        if (known := uuid_of(text)) is not None and known.int:
            if is_id(known):
                if value != str(known) and value != known:
                    changes[name] = str(known)
                continue
            text = str(known) if "-" in text else text
        elif known is not None or not text or is_none(text):
            if name == own:
                raise EventError(f"{what}.{name}: it names no event, it was {brief(value)}", name)
            changes[name] = None
            continue
        if len(text) > MAX_GIVEN:
            raise EventError(f"{what}.{name}: an id has at most {MAX_GIVEN} characters, this has {len(text)}", name)
        changes |= {name: PLACEHOLDER if name == own else None, beside: text}
    if not changes:
        return fields
    return {name: value for name, value in {**fields, **changes}.items() if value is not None or name not in changes}


def _is_plain(text: str) -> bool:
    """Whether it is a UUIDv7 of a sane time as most emitters write it: what nearly all ids are."""
    return _PLAIN.fullmatch(text) is not None and _LEAST_ID <= int(text[:8] + text[9:13], 16) << 80 < _LIMIT_ID


def uuid_of(text: str) -> UUID | None:
    """A UUID in any spelling: with dashes, in braces, as a URN, or as 32 digits of version 7."""
    found = _UUID.fullmatch(text)
    if found is None:
        return None
    known = UUID(found[1] or found[2])
    # Other ids have 32 digits, too, as traces do.
    return known if found[1] or known.int & ids.VERSION_7_MASK == ids.VERSION_7 else None


def given_of(event: Any) -> Iterator[tuple[str, Given]]:
    """The texts that an event bears for ids of its own tables, each with the field that takes the id.

    event: an Event, or what headrace.contract.fast_reading read
    """
    if event.given_id:
        yield event.id_field, Given(kind_of(event), event.tenant or "default", event.given_id, event.occurred_at)
    if parent := getattr(event, "given_parent_id", None):
        yield "parent_id", Given("inference", event.tenant or "default", parent, event.occurred_at)


def kind_of(event: Any) -> str:
    """See Given."""
    if event.id_field == "inference_id":
        return "inference"
    return source_kind(event.source)


def source_kind(source: str) -> str:
    """Of feedback of a source; see Given."""
    return "feedback" if source in ("user", "implicit") else "label"


def _text(value: Any) -> str | None:
    """None for what is no id."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOAT:
        return str(int(value))
    return str(value) if isinstance(value, int | UUID) else None
