"""Events inside what a bus puts around them, each known by the names that only it has.

CloudEvents       {"specversion": …, "data": {…}} or data_base64; its `time` is the event's where that has none
Kafka Connect     {"schema": …, "payload": {…}}, JsonConverter with schemas
Debezium          {"before": …, "after": {…}, "source": {…}, "op": "c"}: the row as it is now
JSON in JSON      "{\"inference_id\": …}": an event that was encoded twice
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

FIELDS = frozenset(
    {"inference_id", "feedback_id", "occurred_at", "tenant", "emitter", "key_id", "revision", "schema_version",
     "extra", "task", "version", "arm", "session_id", "user_ref", "input", "output", "label", "scores",
     "first_token_ms", "latency_ms", "tokens_in", "tokens_out", "cost", "trace_id", "span_id", "response_id",
     "consent", "parent_id", "audited", "audit_probability", "proof", "source", "signal", "value", "comment",
     "blame", "rater", "rater_version", "inclusion_probability"}
)  # fmt: skip
"""Of inferences and feedback."""
_FOLDED = {name.replace("_", ""): name for name in FIELDS}
_NAMED = (("detail-type", "detail"), ("Type", "Message"), ("@timestamp", "message"), ("stream", "log"))
"""A name by which an envelope is known, and where the event is in it."""
DEPTH = 3
"""So many may be around an event: Debezium's in Kafka Connect's in a text."""


def unwrapped(value: Any) -> Any:
    """The event inside; the value itself where it is no envelope."""
    for _ in range(DEPTH):
        inner = _inside(value)
        if inner is value:
            break
        value = inner
    return _spelled(value) if isinstance(value, dict) else value


def _spelled(value: dict[str, Any]) -> dict[str, Any]:
    """With the contract's names, where none of those that nearly every event has is spelled so."""
    if "inference_id" in value or "occurred_at" in value or "feedback_id" in value:
        return value
    names = {name: _FOLDED.get(name.replace("_", "").replace("-", "").casefold(), name) for name in value}
    if all(name == spelled for name, spelled in names.items()) or len(set(names.values())) < len(names):
        return value
    return {names[name]: inner for name, inner in value.items()}


def _inside(value: Any) -> Any:
    if isinstance(value, str):
        return _decoded(value)
    if not isinstance(value, dict):
        return value
    if "specversion" in value and ("data" in value or "data_base64" in value):
        return _of_cloud(value)
    if value.keys() == {"schema", "payload"}:
        return value["payload"]
    for other, name in _NAMED:
        if name in value and other in value and "occurred_at" not in value:
            return value[name] if name == "detail" else _decoded(value[name])
    if "after" in value and "op" in value and isinstance(value.get("source"), dict):
        return value["after"]
    return value


def _of_cloud(value: dict[str, Any]) -> Any:
    data = value.get("data")
    if data is None and isinstance(value.get("data_base64"), str):
        try:
            data = b64decode(value["data_base64"], validate=True).decode()
        except ValueError:
            return value
    data = _decoded(data)
    if isinstance(data, dict) and data.get("occurred_at") is None and isinstance(value.get("time"), str):
        return data | {"occurred_at": value["time"]}
    return data


def _decoded(text: Any) -> Any:
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
