"""The records of a file that a person gives: JSON lines, CSV or Parquet, column by name."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headrace.contract.job_file import JobError

MAX_FIELD_BYTES = 1 << 24


def records(path: Path) -> Iterator[Mapping[str, Any]]:
    """Each row's columns. Raises JobError in one sentence."""
    kinds = {".jsonl": _jsonl, ".ndjson": _jsonl, ".csv": _csv, ".parquet": _parquet}
    read = kinds.get(path.suffix.lower())
    if read is None:
        raise JobError(f"{path} is none of {', '.join(kinds)}")
    try:
        yield from read(path)
    except FileNotFoundError:
        raise JobError(f"there is no file {path}") from None
    except OSError as error:
        raise JobError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise JobError(f"{path} is not UTF-8") from None


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                raise JobError(f"{path}, line {number} is not a JSON object")
            yield record


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(MAX_FIELD_BYTES)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            twice = [name for name, count in Counter(reader.fieldnames or ()).items() if name and count > 1]
            if twice:
                raise JobError(f"{path} has several columns {twice[0]!r}; give each a name of its own")
            for record in reader:
                # The reader keeps what the header does not name under None. The row's own columns are shifted then.
                if any(record.pop(None, ())):
                    raise JobError(
                        f"{path}, line {reader.line_num} has more fields than the header; put a field that holds a"
                        " comma into double quotes"
                    )
                yield record
        except csv.Error as error:
            raise JobError(f"{path}, line {reader.line_num} is not CSV: {error}") from None


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise JobError(f"{path}: to read Parquet, pip install 'headrace[import]', or write it as .jsonl") from None
    try:
        for batch in ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except ArrowInvalid as error:
        raise JobError(f"{path} is not Parquet: {error}") from None
