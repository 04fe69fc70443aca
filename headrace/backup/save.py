"""From a running flywheel into the file. Nothing stops meanwhile: each part is as of the moment that it is read."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

from headrace.access import secrets
from headrace.backup.archive import BackupError, Manifest, Writer, writing
from headrace.bus.kafka import snapshot
from headrace.contract.topics import TOPICS
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from headrace.warehouse.migration import migrations
from headrace.warehouse.tables import Dumped, dump, dumped_tables

# What a piece of a table may hold: the embedded server takes an insert of four times as much.
CHUNK_BYTES = 64 * 1024 * 1024
IN_MEMORY_BYTES = 8 * 1024 * 1024

Told = Callable[[str], None]


def save(settings: Settings, path: Path, warehouse: bool, tell: Told) -> None:
    """Write everything into a new file.

    warehouse: also the tables; tell: is given a sentence as each thing is done
    Raises BackupError, HeadraceError where Kafka or ClickHouse does not answer: then there is no file.
    """
    manifest = Manifest(
        made_at=datetime.now(UTC),
        headrace=version("headrace"),
        database=settings.database,
        artifacts=settings.artifacts.resolve(),
    )
    with writing(path, manifest) as out:
        tell(_topics(settings, out))
        tell(_files(settings, out))
        if warehouse:
            for sentence in _tables(settings, out):
                tell(sentence)


def _topics(settings: Settings, out: Writer) -> str:
    compacted = [topic for topic in TOPICS if topic.compact]
    records = 0
    for topic in compacted:
        found = asyncio.run(snapshot(settings, topic))
        lines = [json.dumps([b64encode(key).decode(), b64encode(value).decode()]) for key, value in found.items()]
        out.put(f"control/{topic.name}.jsonl", io.BytesIO("\n".join(lines).encode()))
        records += len(lines)
    return f"{records} records of {', '.join(topic.name for topic in compacted)}"


def _files(settings: Settings, out: Writer) -> str:
    folder = settings.home / secrets.FOLDER
    given = {f"secrets/{file.name}": file for file in _below(folder) if not file.name.startswith(".")}
    if settings.keys.is_file():
        given["keys.json"] = settings.keys
    models = settings.artifacts
    given |= {f"artifacts/{file.relative_to(models).as_posix()}": file for file in _below(models)}
    sizes = []
    for name, file in given.items():
        # A model that is removed meanwhile, as a candidate that did not win, is no part of the copy.
        vanishes = (FileNotFoundError,) if name.startswith("artifacts/") else ()
        with suppress(*vanishes), file.open("rb") as opened:
            sizes.append(out.put(name, opened))
    return f"{len(sizes)} files of keys, secrets and models, {sum(sizes):,} bytes"


def _below(folder: Path) -> list[Path]:
    """The files of a folder, links left out; folders may vanish meanwhile. Raises OSError."""
    files = (Path(parent, name) for parent, _, names in os.walk(folder, onerror=_unless_gone) for name in names)
    return sorted(file for file in files if file.is_file() and not file.is_symlink())


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _tables(settings: Settings, out: Writer) -> Iterator[str]:
    warehouse = Warehouse.connect(settings)
    try:
        for table in _prepared_tables(warehouse):
            size = sum(_chunk(warehouse, table, number, out) for number in range(table.chunks(CHUNK_BYTES)))
            if table.rows:
                yield f"table {table.name}: {table.rows:,} rows, {size:,} bytes"
    finally:
        warehouse.close()


def _prepared_tables(warehouse: Warehouse) -> list[Dumped]:
    """Raises BackupError where this version has not prepared them: nobody could restore what they hold."""
    tables, database = dumped_tables(warehouse), warehouse.database
    seen = (
        warehouse.query("warehouse/migrations_applied")
        if "schema_migrations" in {table.name for table in tables}
        else []
    )
    if tables and (missing := sorted({found.name for found in migrations()} - {row["name"] for row in seen})):
        raise BackupError(
            f"the database {database} has not seen the migration {missing[0]}; run `headrace prepare`, or back up with"
            " the version that runs on it"
        )
    if half := [table.name for table in tables if table.half]:
        raise BackupError(
            f"the database {database} is half prepared: rows of {half[0]} are still in {half[0]}_copy; run"
            " `headrace prepare`, then back up again"
        )
    return tables


def _chunk(warehouse: Warehouse, table: Dumped, number: int, out: Writer) -> int:
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=str(out.folder)) as held:
        data: IO[bytes] = held
        for piece in dump(warehouse, table, number, table.chunks(CHUNK_BYTES)):
            data.write(piece)
        return out.put(f"warehouse/{table.name}/{number:06d}.native", data)
