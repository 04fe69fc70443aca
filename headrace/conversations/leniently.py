"""The value that a text is written for: JSON, JSON that an attribute's limit cut, or what is nearly JSON.

torn      exporters cut attributes at a limit (OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT): what arrived of it is read
Python    the repr of messages: [{'role': 'user', 'content': 'Why?'}]
Spring    Spring AI puts texts into a list without escaping them: ["My "VPN" is down"]
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

from headrace.contract.literals import literal

NOTHING = object()
_MESSAGES = r"role|parts|messages|contents|choices|candidates|generations|author"
_TORN = re.compile(rf'\[{{0,2}}\s*\{{\s*"(?:(?:{_MESSAGES})"|type"\s*:\s*"(?:text|input_text|output_text|message)")')
_REPR = re.compile(rf"\[{{0,2}}\s*\{{\s*'(?:{_MESSAGES}|content|type)'\s*:")


def value_of(stripped: str) -> tuple[Any, bool]:
    """The value that a text without blanks around it is written for, NOTHING for none, and whether it is cut.

    None where it is cut and nothing of it can be read.
    """
    if stripped[:1] not in ("[", "{", '"'):
        return NOTHING, False
    try:
        return json.loads(stripped), False
    except (ValueError, RecursionError):
        return nearly(stripped)


def texts_of(value: Any) -> list[str]:
    """The texts of a list that holds nothing else, [] for any other value."""
    if isinstance(value, str) and value.startswith('["'):
        value, _ = value_of(value.strip())
    return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else []


def nearly(stripped: str) -> tuple[Any, bool]:
    """See value_of; the text is no JSON."""
    if _TORN.match(stripped) and _is_cut(stripped):
        try:
            return from_json(stripped, allow_partial="trailing-strings"), True
        except ValueError:
            return None, True
    if _REPR.match(stripped):
        try:
            return literal(stripped), False
        except ValueError:
            return NOTHING, False
    if stripped.startswith('["') and stripped.endswith('"]') and len(stripped) > 3:
        return stripped[2:-2].split('", "'), False
    return NOTHING, False


def _is_cut(stripped: str) -> bool:
    """Whether it is JSON that ends too early, and not broken before its end, as what a user quotes may be."""
    try:
        from_json(stripped)
    except ValueError as error:
        return "EOF" in str(error) or "end of" in str(error)
    return False
