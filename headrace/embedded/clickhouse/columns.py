"""Where a column of a Native block ends, by its type.

A type gives a column two parts: a prefix (`LowCardinality`, `Dynamic`, … say there how they are written) and, where the
block has rows, the data. Sources: ClickHouse, src/DataTypes/Serializations/Serialization*.cpp.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Protocol

from headrace.embedded.clickhouse.errors import Refused, refuse
from headrace.embedded.clickhouse.states import States, state_of
from headrace.embedded.clickhouse.type_names import is_setting, parts, split_name
from headrace.embedded.clickhouse.varints import text, varint

_SIZES = {
    1: "Bool Int8 UInt8 Enum8 Nothing",
    2: "Int16 UInt16 Enum16 Date BFloat16",
    4: "Int32 UInt32 Float32 Date32 DateTime Time IPv4 Decimal32",
    8: "Int64 UInt64 Float64 DateTime64 Time64 Decimal64",
    16: "Int128 UInt128 UUID IPv6 Decimal128",
    32: "Int256 UInt256 Decimal256",
}
_SIZE = {name: size for size, names in _SIZES.items() for name in names.split()}
_GEOMETRIES = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiLineString": "Array(LineString)",
    "MultiPolygon": "Array(Polygon)",
    "Geometry": "Variant(LineString, MultiLineString, MultiPolygon, Point, Polygon, Ring)",
}
_BITS = {"BFloat16": 16, "Float32": 32, "Float64": 64}
_SHARED = "SharedVariant"
# JSON within JSON within …: a type of the data, not of the statement.
_DEEPEST = 100


class Column(Protocol):
    """How a type is written. Raises Refused, struct.error or IndexError where the data is not of this type."""

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        """Where the prefix that begins at `at` ends, and what it says."""

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        """Where the data of this many rows ends; rows is at least 1."""


def end(data: bytes, at: int, rows: int, type: str) -> int:
    """Where the column of this type ends whose prefix begins at `at`. Raises Refused (48) where that cannot be told."""
    if not rows:
        return at
    column = column_of(type)
    at, said = column.prefix(data, at)
    return column.data(data, at, rows, said)


@lru_cache(maxsize=1000)
def column_of(type: str) -> Column:
    """The column of a type as `toTypeName` writes it. Raises Refused (48) for a type that is not known."""
    return _column(type, 0)


def _column(type: str, depth: int) -> Column:
    if depth > _DEEPEST:
        raise _unknown(type)
    name, given = parts(type)
    inner = [_of_argument(argument, depth) for argument in given] if name in _COMPOSED else []
    match name:
        case "String":
            return Text()
        case "FixedString":
            return Fixed(int(given[0]))
        case "Nullable":
            return Nullable(inner[0])
        case "Array":
            return Array(inner[0])
        case "Nested" | "Map":
            return Array(Tuple(inner))
        case "Tuple":
            return Tuple(inner) if inner else Fixed(1)
        case "Variant":
            return Variant(inner)
        case "LowCardinality":
            key = parts(given[0])
            return LowCardinality(_column(key[1][0], depth + 1) if key[0] == "Nullable" else inner[0])
        case "SimpleAggregateFunction":
            return _column(given[1], depth + 1)
        case "AggregateFunction" if (ends := state_of(given[0], given[1:], _fixed_size)) is not None:
            return States(ends)
        case "Decimal":
            precision = int(given[0])
            return Fixed(4 if precision <= 9 else 8 if precision <= 18 else 16 if precision <= 38 else 32)
        case "QBit":
            return Fixed(_BITS[given[0]] * ((int(given[1]) + 7) // 8))
        case "Dynamic":
            return Dynamic()
        case "JSON":
            typed = dict(split_name(one) for one in given if not is_setting(one))
            return Json([_column(typed[path], depth + 1) for path in sorted(typed)])
    if name in _GEOMETRIES:
        return _column(_GEOMETRIES[name], depth + 1)
    if name.startswith("Interval"):
        return Fixed(8)
    if name in _SIZE:
        return Fixed(_SIZE[name])
    raise _unknown(type)


_COMPOSED = frozenset({"Nullable", "Array", "Nested", "Map", "Tuple", "Variant", "LowCardinality"})


def _of_argument(argument: str, depth: int) -> Column:
    return _column(split_name(argument)[1], depth + 1)


def _unknown(type: str) -> Refused:
    return refuse(
        48,
        "NOT_IMPLEMENTED",
        f"The embedded server cannot send a column of type {type} in Native to this client's version of the protocol; "
        "convert it (finalizeAggregation, toString) or ask for another FORMAT",
    )


def _fixed_size(type: str) -> int | None:
    try:
        column = column_of(type)
    except Refused:
        return None
    return column.size if isinstance(column, Fixed) else None


class Fixed:
    def __init__(self, size: int) -> None:
        self.size = size

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        return at, None

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        return at + rows * self.size


class Text:
    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        return at, None

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        for _ in range(rows):
            length = data[at]
            if length < 0x80:
                at += length + 1
            else:
                length, at = varint(data, at)
                at += length
        return at


class Nullable:
    """A byte a row, then the values, of nulls too."""

    def __init__(self, inner: Column) -> None:
        self._inner = inner

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        return self._inner.prefix(data, at)

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        return self._inner.data(data, at + rows, rows, said)


class Array:
    """Where each row's elements end, then all elements."""

    def __init__(self, inner: Column) -> None:
        self._inner = inner

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        return self._inner.prefix(data, at)

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        at += 8 * rows
        elements = _u64(data, at - 8)
        return self._inner.data(data, at, elements, said) if elements else at


class Tuple:
    """The elements' columns, one after another."""

    def __init__(self, inner: list[Column]) -> None:
        self._inner = inner

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        said = []
        for column in self._inner:
            at, one = column.prefix(data, at)
            said.append(one)
        return at, said

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        for column, one in zip(self._inner, said, strict=True):
            at = column.data(data, at, rows, one)
        return at


class LowCardinality:
    """Flags with the width of an index, the distinct values, an index a row."""

    def __init__(self, inner: Column) -> None:
        self._inner = inner

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        return at + 8, None

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        flags, keys = _u64(data, at), _u64(data, at + 8)
        at += 16
        if keys:
            at = self._inner.data(data, at, keys, None)
        return at + 8 + (rows << (flags & 0xFF))


class Variant:
    """A byte a row that says which of the types it has, then the rows of each type."""

    def __init__(self, inner: list[Column]) -> None:
        self._inner = inner

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        if _u64(data, at) != 0:
            raise _unknown("Variant, compact")
        return Tuple(self._inner).prefix(data, at + 8)

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        kinds = data[at : at + rows]
        at += rows
        for number, (column, one) in enumerate(zip(self._inner, said, strict=True)):
            if count := kinds.count(number):
                at = column.data(data, at, count, one)
        return at


class Flattened:
    """As Variant, with all types by number and as many bytes a row as the number of types takes."""

    def __init__(self, inner: list[Column]) -> None:
        self._inner = inner
        self._width = next(width for width in (1, 2, 4, 8) if len(inner) < 1 << (8 * width))

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        return Tuple(self._inner).prefix(data, at)

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        kinds = struct.unpack_from(f"<{rows}{'xBHxIxxxQ'[self._width]}", data, at)
        at += rows * self._width
        for number, (column, one) in enumerate(zip(self._inner, said, strict=True)):
            if count := kinds.count(number):
                at = column.data(data, at, count, one)
        return at


class Dynamic:
    """The types are named in the prefix; what it says is the column that they make, and what that one's says."""

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        version = _u64(data, at)
        at += 8
        if version not in (1, 2, 3):
            raise _unknown(f"Dynamic, version {version}")
        if version == 1:
            _, at = varint(data, at)
        count, at = varint(data, at)
        types = []
        for _ in range(count):
            one, at = text(data, at)
            types.append(one)
        if version == 3:
            column: Column = Flattened([column_of(type) for type in types])
        else:
            variants = sorted([*types, _SHARED])
            column = Variant([Text() if type == _SHARED else column_of(type) for type in variants])
        at, said = column.prefix(data, at)
        return at, (column, said)

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        column, one = said
        end: int = column.data(data, at, rows, one)
        return end


class Json:
    """Columns of the paths: those that the type names, those that the prefix names, and one of all others."""

    def __init__(self, typed: list[Column]) -> None:
        self._typed = typed

    def prefix(self, data: bytes, at: int) -> tuple[int, Any]:
        version = _u64(data, at)
        at += 8
        if version not in (0, 1, 2, 3):
            raise _unknown(f"JSON, version {version}")
        if version == 1:
            return at, (Text(), None)
        if version == 0:
            _, at = varint(data, at)
        count, at = varint(data, at)
        for _ in range(count):
            _, at = text(data, at)
        # Names and values of the other paths; a flattened column has no others.
        others: list[Column] = [] if version == 3 else [Array(Tuple([Text(), Text()]))]
        column = Tuple([*self._typed, *(Dynamic() for _ in range(count)), *others])
        at, said = column.prefix(data, at)
        return at, (column, said)

    def data(self, data: bytes, at: int, rows: int, said: Any) -> int:
        column, one = said
        end: int = column.data(data, at, rows, one)
        return end


def _u64(data: bytes, at: int) -> int:
    number: int = struct.unpack_from("<Q", data, at)[0]
    return number
