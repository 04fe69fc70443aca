"""Rows of Parquet and Arrow files, as Spark, pandas, DuckDB and others write them; batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import EventError
from headrace.importing.headers import printable
from headrace.importing.nested import columns_of
from headrace.importing.sources import FileRow
from headrace.importing.values import Coarse, OutOfRange

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 2000


class ParquetRows:
    """See Rows."""

    appendable = False
    decimal = "."

    def __init__(self, path: Path) -> None:
        """Raises EventError where it is damaged, encrypted or not whole."""
        _pyarrow(path)
        self._path = path
        self._file = _guarded(path, "Parquet", lambda: _parquet(path))
        self._rows: int = max(1, self._file.metadata.num_rows)
        self._number = 0
        self.columns = _guarded(path, "Parquet", lambda: _columns(self._file.schema_arrow))
        self.found = ["Parquet"]

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """See Rows.read."""
        self._number = 0
        batches = _stepped(self._path, "Parquet", self._file.iter_batches(ROWS))
        for row in _rows(batches, after):
            self._number = row.number
            yield row

    def done(self) -> float:
        """See Rows.done."""
        return min(1.0, self._number / self._rows)


class ArrowRows:
    """See Rows: the Arrow file format, which Feather is too."""

    appendable = False
    decimal = "."

    def __init__(self, path: Path) -> None:
        """Raises EventError where it is damaged."""
        pa = _pyarrow(path)
        self._path = path
        self._file = _guarded(path, "Arrow", lambda: pa.ipc.open_file(pa.OSFile(str(path))))
        self._batch = 0
        self._batches_in_all: int = max(1, self._file.num_record_batches)
        self.columns = _guarded(path, "Arrow", lambda: _columns(self._file.schema))
        self.found = ["Arrow"]

    def read(self, after: int = 0) -> Iterator[FileRow]:
        """See Rows.read."""
        yield from _rows(_stepped(self._path, "Arrow", self._batches()), after)

    def done(self) -> float:
        """See Rows.done."""
        return self._batch / self._batches_in_all

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for place in range(self._file.num_record_batches):
            self._batch = place
            whole = self._file.get_batch(place)
            whole.validate(full=True)
            for begin in range(0, whole.num_rows, ROWS):
                yield whole.slice(begin, ROWS)


def _rows(batches: Iterable[pa.RecordBatch], after: int) -> Iterator[FileRow]:
    number = 0
    for batch in batches:
        if number + batch.num_rows <= after:
            number += batch.num_rows
            continue
        names = batch.schema.names
        for values in zip(*[_values(column) for column in batch.columns], strict=True):
            number += 1
            if number > after:
                yield FileRow(number, dict(zip(names, values, strict=True)))


def _values(column: pa.Array[Any]) -> list[Any]:
    """A column's values as Python has them: microseconds where it has nanoseconds, names for what is out of range."""
    import pyarrow as pa

    try:
        kind = _microseconds(column.type)
        column = column if kind == column.type else column.cast(kind, safe=False)
        found: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    except (ValueError, OverflowError, KeyError, UnicodeDecodeError, pa.ArrowException):
        return [_one(value) for value in column]
    return [_marked(value, kind) for value in found] if _has_short_floats(kind) else found


def _one(value: Any) -> Any:
    import pyarrow as pa

    try:
        return _marked(value.as_py(maps_as_pydicts="lossy"), value.type)
    except (ValueError, OverflowError, KeyError, UnicodeDecodeError, pa.ArrowException):
        return OutOfRange(f"a {value.type}")


def _exact_below(kind: pa.DataType) -> int:
    """Below which whole number each is a float of its own, for floats of 16 and 32 bits; 0 for other types."""
    import pyarrow as pa

    return 2**24 if pa.types.is_float32(kind) else 2**11 if pa.types.is_float16(kind) else 0


def _has_short_floats(kind: pa.DataType) -> bool:
    """Whether a type is, or holds, floats of 16 or 32 bits."""
    return bool(_exact_below(kind)) or any(_has_short_floats(kind.field(at).type) for at in range(kind.num_fields))


def _marked(value: Any, kind: pa.DataType) -> Any:
    """The same with numbers that a short float may have rounded as Coarse."""
    if isinstance(value, float) and (bound := _exact_below(kind)):
        return Coarse(value) if abs(value) >= bound else value
    if isinstance(value, dict) and str(kind).startswith("struct"):
        return {name: _marked(one, kind.field(name).type) for name, one in value.items()}
    if isinstance(value, list) and kind.num_fields == 1:
        return [_marked(one, kind.field(0).type) for one in value]
    return value


def _microseconds(kind: pa.DataType) -> pa.DataType:
    """The type with microseconds instead of nanoseconds, which Python's times do not have."""
    import pyarrow as pa

    types = pa.types
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if types.is_dictionary(kind):
        return _microseconds(kind.value_type)
    if types.is_struct(kind):
        return pa.struct([field.with_type(_microseconds(field.type)) for field in kind])
    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_microseconds(kind.value_type)))
    if types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_microseconds(kind.value_type)))
    return kind


def _columns(schema: pa.Schema) -> tuple[str, ...]:
    """Names, those within structures and lists by their path."""
    twice = next((name for name, count in Counter(schema.names).items() if count > 1), None)
    if twice is not None:
        raise EventError(f"the file has two columns {twice!r}; give each a name of its own")
    return columns_of([{field.name: _shape(field.type) for field in schema}])


def _shape(kind: pa.DataType, depth: int = 0) -> Any:
    """A value of a type, for its names alone."""
    import pyarrow as pa

    if depth < 8 and pa.types.is_struct(kind):
        return {field.name: _shape(field.type, depth + 1) for field in kind}
    if depth < 8 and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return [_shape(kind.value_type, depth + 1)]
    return None


def _parquet(path: Path) -> Any:
    from pyarrow.parquet import ParquetFile

    # Impala's and Spark's old times reach beyond what nanoseconds can say; what a damaged file claims is bounded.
    return ParquetFile(
        path,
        coerce_int96_timestamp_unit="us",
        thrift_string_size_limit=64 * 1024 * 1024,
        thrift_container_size_limit=1_000_000,
    )


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.ipc
    except ImportError:
        raise EventError(f"{path}: Parquet and Arrow need pyarrow; pip install 'headrace[import]'") from None
    return pyarrow


def _stepped(path: Path, kind: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    steps = iter(batches)
    while (batch := _guarded(path, kind, lambda: next(steps, None))) is not None:
        yield batch


def _guarded(path: Path, kind: str, read: Any) -> Any:
    from pyarrow import ArrowException

    try:
        return read()
    except (ArrowException, OSError, ValueError, MemoryError, KeyError) as error:
        said = printable(" ".join(str(error).split()))[:200]
        if "ncrypt" in said:
            raise EventError(f"{path} is encrypted {kind}; write it without encryption") from None
        raise EventError(f"{path} cannot be read as {kind}: {said}; it is damaged, or still being written") from None
