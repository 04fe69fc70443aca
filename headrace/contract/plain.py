"""Values of Python's libraries as JSON has them, for programs that give events as objects."""

from __future__ import annotations

import contextlib
from datetime import date, datetime
from enum import Enum
from numbers import Number
from typing import Any

from headrace.contract.fields import MAX_DEPTH, TOO_DEEP
from headrace.contract.texts import carried

# pandas.NA and pandas.NaT are null under names of their own.
_PANDAS_NULL = frozenset({"NAType", "NaTType"})


def plain(value: Any) -> Any:
    """A value of Python as JSON has it: numpy's, torch's, an Enum's, bytes. Unknown types stay what they are."""
    if value is None or type(value) in (str, int, float, bool, dict, list):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode(errors="replace")
    if type(value).__name__ in _PANDAS_NULL:
        return None
    if isinstance(value, str | int | float | datetime | date):
        return value
    if callable(listed := getattr(value, "tolist", None)):
        return listed()
    return list(value) if isinstance(value, set | frozenset | tuple) else value


def real(value: Any) -> Any:
    """A number of another type, as a Decimal or a Fraction, as a float; anything else as it is."""
    if isinstance(value, Number) and not isinstance(value, int | float):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            return float(value)  # type: ignore[arg-type]
    return value


def jsonable(value: Any, depth: int = 2) -> Any:
    """A value that JSON can carry: what it has no form for is text. Raises ValueError for one that is nested too deep.

    depth: objects and arrays that the value will be in, itself counted
    """
    value = plain(value)
    if isinstance(value, str):
        return carried(str(value)) if not value.isascii() else str(value)
    if value is None or isinstance(value, bool | int | float):
        # ClickHouse reads no more digits, and Python writes no more than 4,300.
        return str(value) if type(value) is int and value.bit_length() > 14_000 else value
    if depth > MAX_DEPTH:
        raise ValueError(TOO_DEEP)
    if isinstance(value, dict):
        return {carried(str(plain(name))): jsonable(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [jsonable(inner, depth + 1) for inner in value]
    return carried(value.isoformat() if isinstance(value, date) else str(value))
