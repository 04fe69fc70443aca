"""From the file into a flywheel that has nothing yet: what is there already is never mixed with it or overwritten."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.access import secrets
from headrace.backup.archive import ArchiveReader, BackupError, reading
from headrace.bus.kafka import KafkaProducer, ensure_topics, snapshot
from headrace.contract.topics import TOPICS, Topic
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from headrace.warehouse.migration import migrations
from headrace.warehouse.tables import dumped_migrations, dumped_tables, load

Told = Callable[[str], None]
# Written by every start, so that a flywheel is still empty that has them.
OF_EVERY_START = frozenset({"schema_migrations"})


def restore(settings: Settings, path: Path, tell: Told) -> None:
    """Bring everything back: files, then tables, then topics, since who reads a promotion looks for its model.

    The parts must not run yet, Kafka and ClickHouse must. Raises BackupError where anything is there already.
    """
    with reading(path) as given:
        asyncio.run(ensure_topics(settings))
        warehouse = Warehouse.connect(settings)
        warehouse.prepare()
        try:
            _refuse_another_version(warehouse, given, path)
            _refuse_what_is_there(settings, warehouse, given)
            tell(_files(settings, given))
            for name in given.names("warehouse"):
                with given.open(name) as data:
                    load(warehouse, name.split("/")[1], data)
            tell(f"{len(given.names('warehouse'))} pieces of tables")
            tell(f"{asyncio.run(_topics(settings, given))} control records")
        finally:
            warehouse.close()


def _refuse_another_version(warehouse: Warehouse, given: ArchiveReader, path: Path) -> None:
    """A new database runs no migration any more, so what an older one holds would stay as it is."""
    if not given.names("warehouse"):
        return
    seen: set[str] = set()
    for name in given.names("warehouse/schema_migrations"):
        with given.open(name) as data:
            seen |= dumped_migrations(warehouse, data)
    known = {migration.name for migration in migrations()}
    if newer := sorted(seen - known):
        raise BackupError(
            f"{path} holds tables of a newer headrace, which has the migration {newer[-1]}; restore it with that one"
        )
    if missing := sorted(known - seen):
        raise BackupError(
            f"{path} holds tables that had not seen the migration {missing[0]}; restore it with the headrace that wrote"
            f" it ({given.manifest.headrace}), then install this one and run `headrace prepare`"
        )
    tables = {table.name for table in dumped_tables(warehouse)}
    if unknown := sorted({name.split("/")[1] for name in given.names("warehouse")} - tables):
        raise BackupError(
            f"{path} holds the table {unknown[0]}, which this headrace does not have; run `headrace prepare` where the"
            " backup was made, and make another"
        )


def _refuse_what_is_there(settings: Settings, warehouse: Warehouse, given: ArchiveReader) -> None:
    if given.names("artifacts") and settings.artifacts.is_dir() and any(settings.artifacts.iterdir()):
        raise BackupError(f"{settings.artifacts} holds models already; restore into an empty HEADRACE_ARTIFACTS")
    if "keys.json" in given.manifest.files and settings.keys.exists():
        raise BackupError(f"{settings.keys} is there already; restore into an empty home, or move it away")
    for topic in _compacted():
        if asyncio.run(snapshot(settings, topic)):
            raise BackupError(
                f"{topic.name} holds records already; restore into a Kafka without this flywheel's topics"
            )
    if given.names("warehouse"):
        for table in dumped_tables(warehouse):
            if table.rows and table.name not in OF_EVERY_START:
                raise BackupError(
                    f"table {table.name} of {warehouse.database} has rows already; restore into an empty one"
                )


def _files(settings: Settings, given: ArchiveReader) -> str:
    targets = {name: settings.artifacts / name.removeprefix("artifacts/") for name in given.names("artifacts")}
    # Servers that run already have a password each, which the backup's would lock everybody out with.
    folder = settings.home / secrets.FOLDER
    targets |= {name: folder / name.removeprefix("secrets/") for name in given.names("secrets")}
    if "keys.json" in given.manifest.files:
        targets["keys.json"] = settings.keys
    kept = [target for target in targets.values() if target.exists()]
    for name, target in targets.items():
        if target in kept:
            continue
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out, given.open(name) as data:
            shutil.copyfileobj(data, out)
    said = f"; left as they are: {', '.join(file.name for file in kept)}" if kept else ""
    return f"{len(targets) - len(kept)} files of keys, secrets and models{said}"


async def _topics(settings: Settings, given: ArchiveReader) -> int:
    producer = KafkaProducer(settings, client_id="headrace-restore")
    await producer.start()
    records = 0
    try:
        for topic in _compacted():
            name = f"control/{topic.name}.jsonl"
            for line in given.open(name).read().splitlines() if name in given.manifest.files else ():
                key, value = (b64decode(text) for text in json.loads(line))
                await producer.send(topic, _moved(value, given.manifest.artifacts, settings.artifacts.resolve()), key)
                records += 1
    finally:
        await producer.stop()
    return records


def _moved(value: bytes, old: Path, new: Path) -> bytes:
    """A control record whose models stand where they stand now; as it was where it names none of the old place."""
    if old == new or str(old).encode() not in value:
        return value

    def moved(found: Any) -> Any:
        if isinstance(found, dict):
            return {name: moved(one) for name, one in found.items()}
        if isinstance(found, list):
            return [moved(one) for one in found]
        if isinstance(found, str) and Path(found).is_relative_to(old):
            return str(new / Path(found).relative_to(old))
        return found

    return json.dumps(moved(json.loads(value))).encode()


def _compacted() -> list[Topic]:
    return [topic for topic in TOPICS if topic.compact]
