"""The values of OpenTelemetry's attributes as plain ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as plain values; of two of one name the last."""
    # Most are text, and to ask which kind a value is costs as much as to read it.
    return {pair.key: (value := pair.value).string_value or plain(value) for pair in pairs}


def plain(value: AnyValue) -> Any:
    """A value of any of OTLP's kinds; bytes as they are, nothing as None."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [plain(one) for one in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case kind:
            return getattr(value, kind)
