"""Events inside what a bus puts around them, each known by the names that only it has.

CloudEvents       {"specversion": …, "data": {…}} or data_base64; its `time` is the event's where that has none
Kafka Connect     {"schema": …, "payload": {…}}, JsonConverter with schemas
Debezium          {"before": …, "after": {…}, "source": {…}, "op": "c"}: the row as it is now; "op": "d" is no event
MongoDB           {"operationType": "insert", "fullDocument": {…}}: the same; numbers and ids of its Extended JSON
a log shipper     {"message": "{…}", "host": …}: an object that is no event, with one in one of its texts
JSON in JSON      "{\"inference_id\": …}": an event that was encoded twice
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any, Final

from headrace.contract import mongodb

FIELDS = frozenset(
    {"inference_id", "feedback_id", "occurred_at", "tenant", "emitter", "key_id", "revision", "schema_version",
     "extra", "task", "version", "arm", "session_id", "user_ref", "input", "output", "label", "scores",
     "first_token_ms", "latency_ms", "tokens_in", "tokens_out", "cost", "trace_id", "span_id", "response_id",
     "consent", "parent_id", "audited", "audit_probability", "proof", "source", "signal", "value", "comment",
     "blame", "rater", "rater_version", "inclusion_probability"}
)  # fmt: skip
"""Of inferences and feedback."""
_FOLDED = {name.replace("_", ""): name for name in FIELDS}
_OWN = frozenset({"inference_id", "feedback_id", "occurred_at", "signal"})
"""An object with one of these is an event itself, whatever else it has."""
_TEXTS = ("message", "log", "msg", "line", "MESSAGE", "Message", "jsonPayload", "detail", "event")
"""Where log shippers and buses have the event, in the order in which they are looked at."""
_MARKS = frozenset({"specversion", "payload", "op", "operationType", "__deleted", *_TEXTS})
"""What has none of these is no envelope."""
DEPTH = 3
"""So many may be around an event: Debezium's in Kafka Connect's in a text."""


class Nothing:
    """What a change stream says of a row that was deleted."""

    def __repr__(self) -> str:
        return "a deleted row"


NOTHING: Final = Nothing()


def unwrapped(value: Any) -> Any:
    """The event inside; the value itself where it is no envelope; NOTHING where there is none and need be none."""
    time = None
    for _ in range(DEPTH):
        inner = _inside(value)
        if inner is value:
            break
        if time is None and isinstance(value, dict) and "specversion" in value:
            time = value.get("time")
        value = inner
    if not isinstance(value, dict):
        return value
    value = mongodb.plain(_spelled(value))
    if isinstance(time, str) and value.get("occurred_at") is None:
        return value | {"occurred_at": time}
    return value


def _spelled(value: dict[str, Any]) -> dict[str, Any]:
    """With the contract's names, where none of those that nearly every event has is spelled so."""
    if "inference_id" in value or "occurred_at" in value or "feedback_id" in value:
        return value
    names = {name: _contracts(name) for name in value}
    if all(name == spelled for name, spelled in names.items()) or len(set(names.values())) < len(names):
        return value
    return {names[name]: inner for name, inner in value.items()}


def _contracts(name: str) -> str:
    """A name as the contract spells it, where it knows it."""
    return _FOLDED.get(name.replace("_", "").replace("-", "").casefold(), name)


def _inside(value: Any) -> Any:
    if isinstance(value, str):
        return _decoded(value)
    if not isinstance(value, dict) or value.keys().isdisjoint(_MARKS):
        return value
    if "specversion" in value and ("data" in value or "data_base64" in value):
        return _of_cloud(value)
    if value.keys() == {"schema", "payload"}:
        return value["payload"]
    if "op" in value and isinstance(value.get("source"), dict):
        return NOTHING if value["op"] in ("d", "t") and value.get("after") is None else value.get("after", value)
    if "operationType" in value and ("fullDocument" in value or value["operationType"] == "delete"):
        return NOTHING if value["operationType"] == "delete" else value["fullDocument"]
    # What the row was stays in it where Debezium's transformation rewrites deletions.
    if value.get("__deleted") in (True, "true"):
        return NOTHING
    if _OWN.isdisjoint(map(_contracts, value)):
        texts = (_decoded(value[name]) for name in _TEXTS if name in value)
        return next((inner for inner in texts if isinstance(inner, dict)), value)
    return value


def _of_cloud(value: dict[str, Any]) -> Any:
    data = value.get("data")
    if data is None and isinstance(value.get("data_base64"), str):
        try:
            data = b64decode(value["data_base64"], validate=True).decode()
        except ValueError:
            return value
    return _decoded(data)


def _decoded(text: Any) -> Any:
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
