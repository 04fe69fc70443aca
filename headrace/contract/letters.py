"""Dead letters, whoever writes them: where a record came from, why it cannot be used, as much of its bytes as fits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from headrace.contract.control import DeadLetter
from headrace.contract.elements import Element, element
from headrace.contract.excerpt import kept
from headrace.contract.given_ids import MAX_GIVEN, Given, is_id, source_kind, uuid_of
from headrace.contract.moments import moment

WHOLE = -1
MAX_REASON = 1000
_NONE: Mapping[int, UUID] = {}


class Origin(Protocol):
    """A record's place."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


def dead_letter(
    origin: Origin,
    original: bytes,
    reason: str,
    at: datetime,
    index: int = WHOLE,
    code: int = 0,
    ids: Mapping[int, UUID] = _NONE,
) -> DeadLetter:
    """The dead letter of a record, or of the event at `index` of it.

    original: its own bytes; code: ClickHouse's, 0 where it could not be read
    ids: by key of a given id the one that stands for it, where that is known
    """
    return DeadLetter(
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        record_index=index,
        at=at,
        # A lone surrogate in a reason could not be sent.
        reason=reason.encode(errors="backslashreplace").decode()[:MAX_REASON],
        code=code,
        event_id=id_of(named(element(original, enveloped=True)), ids) if index != WHOLE else None,
        **kept(original),
    )


def named(found: Element) -> UUID | Given | None:
    """What an element calls itself, as far as it can be read, whatever else is wrong with it: its id, or its given one.

    Feedback names another event's beside its own.
    """
    fields = found.value if isinstance(found.value, dict) else {}
    # Null is the same as a field that is left out.
    own = "inference_id" if fields.get("feedback_id") is None else "feedback_id"
    text = str(fields.get("given_id") or fields.get(own) or "").strip()
    known = uuid_of(text)
    if known is not None and is_id(known):
        return known
    kind = "inference" if own == "inference_id" else source_kind(str(fields.get("source")))
    try:
        at = moment(fields.get("occurred_at"))
    except ValueError:
        return known
    if not text or len(text) > MAX_GIVEN or (known is not None and not known.int):
        return None
    return Given(kind, str(fields.get("tenant") or "default"), str(known or text), at)


def id_of(name: UUID | Given | None, ids: Mapping[int, UUID] = _NONE) -> UUID | None:
    """The id of an event; see dead_letter. As far as it alone can tell where the given id is none of `ids`."""
    return ids.get(name.key, name.id) if isinstance(name, Given) else name
