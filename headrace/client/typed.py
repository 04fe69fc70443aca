"""What a program hands over becomes an event, whatever its users typed: only a caller's mistake raises.

Feedback whose user typed what its signal cannot mean (a rating of `great`, a correction without a word) is
Meaningless: the clients drop it, count it and say so.

Scores that are none (a score of 7) are left out of their event, and `extra.left_out` says so, as of any measurement
(headrace/contract/values.py).
What of `extra` JSON has no form for becomes text; what would make the event too large for Kafka is left out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic_core import to_json

from headrace.client.packing import MAX_EVENT_BYTES
from headrace.contract import meanings
from headrace.contract.events import Event
from headrace.contract.fields import TOO_DEEP, brief
from headrace.contract.plain import jsonable, plain
from headrace.contract.texts import carried, mark
from headrace.errors import EventError

E = TypeVar("E", bound=Event)

_TYPED = meanings.RANGE | {"signal", "value", "label"}
LARGE = 128 * 1024
MOST = MAX_EVENT_BYTES - 8 * 1024
"""Bytes of an event before the client has put its own name in."""


class Meaningless(EventError):
    """What a user typed means nothing by its signal.

    event: a comment of the same id, for the counts
    """

    def __init__(self, error: EventError, event: Event) -> None:
        super().__init__(str(error), error.field)
        self.event = event


def without_wrong(make: Callable[..., E], fields: dict[str, Any]) -> E:
    """The event that `make` makes of the fields, without scores that it refuses. Raises EventError."""
    try:
        made = make(**fields)
    except EventError as error:
        if _is_typed(error, fields):
            # Where something else is wrong too, that is the caller's mistake.
            counted = {name: value for name, value in fields.items() if name not in _TYPED}
            raise Meaningless(error, make(**counted, signal="comment")) from None
        if error.field.partition(".")[0] != "scores":
            raise
        left_out = {"scores": carried(brief(fields["scores"]))}
        made = make(**{name: value for name, value in fields.items() if name != "scores"})
        made = made.model_copy(update={"extra": _marked(made.extra, "left_out", left_out)})
    return carried_extra(made)


def _is_typed(error: EventError, fields: dict[str, Any]) -> bool:
    typed = fields.get({"value": "value", "": "label"}.get(error.field, ""))
    return isinstance(plain(typed), str | bytes) and (bool(error.field) or meanings.CORRECTION in str(error))


def carried_extra(event: E) -> E:
    """The event, with an `extra` that JSON and Kafka can carry."""
    if not event.extra:
        return event
    extra = _as_json(event.extra)
    made = event.model_copy(update={"extra": extra})
    if len(to_json(extra, inf_nan_mode="null")) > LARGE and len(made.to_json()) > MOST:
        return event.model_copy(update={"extra": _small(extra)})
    return made


def _as_json(extra: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name, value in extra.items():
        key = carried(str(name))
        try:
            out[key] = jsonable(value, 3)
        except ValueError:
            left_out[f"extra.{key}"] = TOO_DEEP
        except Exception as error:
            # What an object says of itself when it is asked.
            left_out[f"extra.{key}"] = type(error).__name__
    return _marked(out, "left_out", left_out) if left_out else out


def _small(extra: dict[str, Any]) -> dict[str, Any]:
    """As much of it as fits into LARGE, the smallest values first; what does not is marked with its digest."""
    texts = {name: to_json(value, inf_nan_mode="null").decode() for name, value in extra.items()}
    room = LARGE
    kept: dict[str, Any] = {}
    cut: dict[str, Any] = {}
    for name in sorted(texts, key=lambda name: len(texts[name])):
        room -= len(texts[name]) + len(name)
        if room > 0:
            kept[name] = extra[name]
        elif len(cut) < 100:
            cut[f"extra.{name[:200]}"] = mark(texts[name])
    return _marked(kept, "truncated", cut)


def _marked(extra: dict[str, Any], name: str, what: dict[str, Any]) -> dict[str, Any]:
    given = extra.get(name)
    return extra | {name: given | what if isinstance(given, dict) else what}
