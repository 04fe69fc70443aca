"""Where the states of an aggregate function end: of those whose states say their own length.

Each row has a state, written as the function writes it. Sources: ClickHouse, src/AggregateFunctions/
AggregateFunctionCount, Sum, Avg, Uniq, SingleValueData and ArgMinMax.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from headrace.embedded.clickhouse.varints import varint

End = Callable[[bytes, int], int]
"""Where a state ends that begins there. Raises IndexError or struct.error where the data ends before."""

_NUMBERS = frozenset(["Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float32", "Float64"])
_VALUES = frozenset(["min", "max", "any", "anyLast"])
_TWO_VALUES = frozenset(["argMin", "argMax"])


def state_of(function: str, arguments: list[str], size_of: Callable[[str], int | None]) -> End | None:
    """Where a state of this function of these types ends, None where it does not say.

    size_of: the bytes that each value of a type has, None where they are not the same for all
    """
    if function.endswith("If"):
        function, arguments = function.removesuffix("If"), arguments[:-1]
    if function == "count":
        return _number
    if function == "uniq":
        return _hashes
    if function in ("sum", "avg") and len(arguments) == 1:
        total = 8 if arguments[0] in _NUMBERS else 16 if _is_decimal(arguments[0], size_of) else None
        if total is None:
            return None
        return _fixed(total) if function == "sum" else _behind(_fixed(total), _number)
    values = [_value(type, size_of) for type in arguments]
    if function in _VALUES and len(values) == 1:
        return values[0]
    if function in _TWO_VALUES and len(values) == 2 and values[0] and values[1]:
        return _behind(values[0], values[1])
    return None


def _is_decimal(type: str, size_of: Callable[[str], int | None]) -> bool:
    return type.startswith("Decimal") and size_of(type) in (4, 8, 16)


def _fixed(size: int) -> End:
    return lambda data, at: at + size


def _behind(first: End, second: End) -> End:
    return lambda data, at: second(data, first(data, at))


def _number(data: bytes, at: int) -> int:
    return varint(data, at)[1]


def _hashes(data: bytes, at: int) -> int:
    """How many bits of the hashes are passed over, how many hashes, the hashes."""
    count, at = varint(data, at + 1)
    return at + 4 * count


def _value(type: str, size_of: Callable[[str], int | None]) -> End | None:
    """Of one value: whether there is one, and the value."""
    if type == "String":
        return _text
    size = size_of(type)
    return None if size is None else lambda data, at: at + 1 + (size if data[at] else 0)


def _text(data: bytes, at: int) -> int:
    """The length with a zero at the end, or -1 for none."""
    length: int = struct.unpack_from("<i", data, at)[0]
    return at + 4 + max(0, length)


class States:
    """See Column."""

    def __init__(self, end: End) -> None:
        self._end = end

    def prefix(self, data: bytes, at: int) -> tuple[int, None]:
        """There is none."""
        return at, None

    def data(self, data: bytes, at: int, rows: int, said: object) -> int:
        """Each row's state."""
        for _ in range(rows):
            at = self._end(data, at)
        return at
