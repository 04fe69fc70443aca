"""A span, log record, resource or scope of OTLP's JSON as the message it stands for, as exporters write them.

Names in lowerCamelCase or with underscores; null is unset; ids in hexadecimal or base64; whole numbers as strings or
numbers; enums by number or name; unknown fields are passed over. JSON mapping: https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList

from serving.otlp.layout import Malformed

MAX_DEPTH = 40
ID_BYTES = 8, 16
"""Of a span, of a trace."""
_LEAST, _MOST = -(2**63), 2**63 - 1
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_BASE64 = str.maketrans("-_", "+/")

M = TypeVar("M", bound=Message)
Read = Callable[[Any, int], Any]
"""From a value and how deep it is."""


def whole(kind: type[M], body: bytes) -> M | None:
    """A sound body as a message; None where any of it needs a closer look."""
    try:
        return kind(**_fields(kind.DESCRIPTOR, msgspec.json.decode(body), 0))  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None


def message(kind: type[M], text: bytes) -> M:
    """Raises Malformed, where the text is no such message; broken characters become U+FFFD."""
    try:
        fields = _decoded(text)
        return kind(**_fields(kind.DESCRIPTOR, fields, 0))  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Malformed(" ".join(str(error).split())[:200]) from None


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # NaN, a tab within a string, bytes that are not UTF-8, half of a surrogate pair.
        return json.loads(text.decode("utf-8", "replace"), strict=False)


def _fields(kind: Descriptor, fields: Any, depth: int) -> dict[str, Any]:
    """Arguments of the message's constructor."""
    if not isinstance(fields, dict):
        raise ValueError(f"{kind.name} is {_shown(fields)} instead of an object")
    if depth > MAX_DEPTH:
        raise ValueError(f"values are nested more than {MAX_DEPTH} deep")
    table, out = _table(kind), {}
    for key, value in fields.items():
        if value is not None and (known := table.get(key)) is not None:
            name, read = known
            try:
                out[name] = read(value, depth + 1)
            except (ValueError, TypeError, OverflowError) as error:
                raise ValueError(f"{key}: {error}") from None
    return out


@cache
def _table(kind: Descriptor) -> dict[str, tuple[str, Read]]:
    """By each name that a field may have: its own, and how to read it."""
    return {name: (field.name, _reader(field)) for field in kind.fields for name in (field.name, field.camelcase_name)}


def _reader(field: FieldDescriptor) -> Read:
    one: Read
    if field.message_type is not None:
        one = _SPECIAL.get(field.message_type) or partial(_fields, field.message_type)
    elif field.enum_type is not None:
        one = partial(_enum, {name: value.number for name, value in field.enum_type.values_by_name.items()})
    else:
        one = _SCALARS.get(field.type, _whole)
    return partial(_many, one) if field.is_repeated else one


def _many(one: Read, values: Any, depth: int) -> list[Any]:
    if not isinstance(values, list):
        raise ValueError(f"it is {_shown(values)} instead of an array")
    return [one(value, depth) for value in values if value is not None]


def _key_value(value: Any, depth: int) -> dict[str, Any]:
    """An attribute, most of which are written as the protocol says."""
    if type(value) is dict and len(value) == 2:
        key, held = value.get("key"), value.get("value")
        if type(key) is str and key.isascii() and type(held) is dict:
            if len(held) == 1 and type(text := held.get("stringValue")) is str and text.isascii():
                return {"key": key, "value": {"string_value": text}}
            return {"key": key, "value": _any_value(held, depth + 1)}
    return _fields(KeyValue.DESCRIPTOR, value, depth)


def _any_value(value: Any, depth: int) -> dict[str, Any]:
    """Of an attribute; what its kind cannot hold is kept as text."""
    if depth > MAX_DEPTH:
        raise ValueError(f"values are nested more than {MAX_DEPTH} deep")
    if not isinstance(value, dict):
        # Not in the protocol, but nothing else can be meant.
        return _plain(value, depth)
    for key, given in value.items():
        if given is None:
            continue
        match key:
            case "stringValue" | "string_value":
                return {"string_value": _text(given)}
            case "intValue" | "int_value":
                return _plain(_number(given), depth) if _is_number(given) else {"string_value": _text(given)}
            case "boolValue" | "bool_value":
                return {"bool_value": _flag(given)}
            case "doubleValue" | "double_value":
                return {"double_value": float(given)} if _is_number(given) else {"string_value": _text(given)}
            case "bytesValue" | "bytes_value":
                return {"bytes_value": _base64(given)}
            case "arrayValue" | "array_value":
                values = given.get("values") if isinstance(given, dict) else given
                return {"array_value": {"values": _many(_any_value, values or [], depth + 1)}}
            case "kvlistValue" | "kvlist_value":
                return {"kvlist_value": _fields(KeyValueList.DESCRIPTOR, given, depth + 1)}
    return {}


def _plain(value: Any, depth: int) -> dict[str, Any]:
    match value:
        case bool():
            return {"bool_value": value}
        case int():
            return {"int_value": value} if _LEAST <= value <= _MOST else {"double_value": float(value)}
        case float():
            return {"double_value": value}
        case list():
            return {"array_value": {"values": _many(_any_value, value, depth + 1)}}
    return {"string_value": _text(value)}


def _enum(known: dict[str, int], value: Any, _: int = 0) -> int:
    """By number or name, whose common prefix may be left out. A name that is not known is 0, which says so."""
    if not isinstance(value, str) or value.strip().isdigit():
        return _whole(value)
    upper = value.strip().upper()
    return next((number for full, number in known.items() if full == upper or full.endswith(f"_{upper}")), 0)


def _text(value: Any, _: int = 0) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Two halves of a pair that came apart are one character; half of one is none.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _float(value: Any, _: int = 0) -> float:
    return float(value)


def _number(value: Any) -> int | float:
    """A whole number where it is one, also as 1.5e9."""
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"\s*-?\d{1,40}\s*", value) else float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _whole(value: Any, _: int = 0) -> int:
    found = _number(value)
    if not isinstance(found, int):
        raise ValueError(f"{_shown(value)} is no whole number")
    return int(found)


def _flag(value: Any, _: int = 0) -> bool:
    return value.strip().lower() in ("true", "1") if isinstance(value, str) else bool(value)


def _id(value: Any, _: int = 0) -> bytes:
    """Of a trace or span: hexadecimal as OTLP says, or base64 as protobuf's own JSON has it."""
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is no id")
    if _HEX.fullmatch(value):
        return bytes.fromhex(value)
    found = _base64(value)
    if len(found) not in ID_BYTES:
        raise ValueError(f"{_shown(value)} is no id: neither hexadecimal nor base64")
    return found


def _base64(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not base64")
    try:
        return b64decode(value.translate(_BASE64) + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{_shown(value)} is neither hexadecimal nor base64") from None


def _shown(value: Any) -> str:
    return repr(value)[:80]


_SPECIAL: dict[Any, Read] = {AnyValue.DESCRIPTOR: _any_value, KeyValue.DESCRIPTOR: _key_value}
_SCALARS: dict[int, Read] = {
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BYTES: _id,
    FieldDescriptor.TYPE_BOOL: _flag,
    FieldDescriptor.TYPE_DOUBLE: _float,
}
