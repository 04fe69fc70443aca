"""Writes a data set with its texts to a file: whole or not at all, and for its owner alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.cli.clickhouse import ask
from headrace.errors import SettingsError

if TYPE_CHECKING:
    from headrace.settings import Settings
    from headrace.warehouse import Warehouse

FORMATS = {"jsonl": "JSONEachRow", "csv": "CSVWithNames", "parquet": "Parquet"}


def export(
    settings: Settings,
    warehouse: Warehouse,
    digest: str,
    to: Path,
    *,
    split: str,
    format: str,
    force: bool,
    bounds: dict[str, Any],
) -> dict[str, int]:
    """How many rows were written, by hole; those with a text under "".

    ClickHouse joins, sorts and writes the format, so that no more than a piece of the file is ever held here.
    bounds: what the plan says of texts today (cli.dataset.privacy)
    Raises SettingsError, WarehouseError; then the file is what it was.
    """
    from headrace.warehouse import query_text

    written = _format(to, format)
    if to.exists() and not force:
        raise SettingsError(f"{to} is there already; name another file, or replace it with --force")
    rows = warehouse.query("datasets/written", dataset=digest, split=split, **bounds)
    parameters = {"dataset": digest, "split": split} | {name: _bound(value) for name, value in bounds.items()}
    part = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            ask(settings, query_text("datasets/export"), written, parameters, out, as_owner=True, where="the export")
        part.replace(to)
    except OSError as error:
        raise SettingsError(f"{to} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return {str(row["hole"]): int(row["rows"]) for row in rows}


def _format(to: Path, asked: str) -> str:
    """ClickHouse's name of the format. Raises SettingsError."""
    name = asked or to.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise SettingsError(
            f"there is no format {asked!r}; there are {known}"
            if asked
            else f"{to} does not say what it shall hold: name it .{', .'.join(FORMATS)}, or give --format"
        )
    return FORMATS[name]


def _bound(value: Any) -> str:
    """As ClickHouse takes a parameter over HTTP."""
    return str(value).lower() if isinstance(value, bool) else str(value)
