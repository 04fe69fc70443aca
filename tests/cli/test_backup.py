"""`headrace backup` of a flywheel with a past, and `headrace restore` into an empty home, Kafka and database."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import pytest
from formatted_storage import formatted

from headrace.access import secrets
from headrace.backup.archive import BackupError, Writer
from headrace.backup.save import save
from headrace.bus.kafka import KafkaProducer, snapshot
from headrace.contract.control import Promotion, Served, Step
from headrace.contract.events import new_inference
from headrace.contract.topics import PROMOTIONS
from headrace.embedded.kafka import KafkaServer
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from headrace.warehouse.migration import migrations
from headrace.warehouse.tables import dumped_tables

pytestmark = pytest.mark.stack

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CACHE = Path(__file__).parents[2] / "var" / "cache"


@pytest.fixture(scope="module")
def past(stack: Settings, warehouse: Warehouse) -> Settings:
    """A flywheel with a promotion, a model, keys, and answers in three months."""
    model = stack.artifacts / "router" / "7-a1"
    model.mkdir(parents=True)
    (model / "manifest.json").write_text('{"made": "up"}')
    live = Served(version="router@7", artifact=str(model.resolve()))
    promotion = Promotion(task="router", generation=9, step=Step.STEADY, live=live, since=AT, at=AT)

    async def promote() -> None:
        producer = KafkaProducer(stack)
        await producer.start()
        await producer.send(PROMOTIONS, promotion.to_json(), b"router")
        await producer.stop()

    asyncio.run(promote())
    stack.keys.write_text('{"keys": []}')
    stack.keys.chmod(0o600)
    secrets.of_home(stack.home, "gateway")
    origin = ',"kafka_topic":"headrace.inferences","kafka_partition":0,"kafka_offset":1,"kafka_index":0}'
    rows = [
        new_inference("router", "router@7", occurred_at=AT.replace(month=month), scores={"hr": 0.3, "it": 1 / 3})
        for month in (1, 2, 3) for _ in range(20)
    ]  # fmt: skip
    warehouse.insert("inferences", [(row.model_dump_json(exclude={"proof"})[:-1] + origin).encode() for row in rows])
    return stack


@pytest.fixture(scope="module")
def empty(past: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Another home, another broker, another database."""
    home = tmp_path_factory.mktemp("empty")
    with KafkaServer(formatted(home), cache=CACHE) as broker:
        yield past.replaced(home=home, **broker.login(), database=f"restored_{uuid4().hex[:12]}")


@pytest.fixture(scope="module")
def file(past: Settings, headrace_with: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The backup of the past."""
    path = tmp_path_factory.mktemp("backup") / "monday.tar"
    said = headrace_with(past)("backup", str(path))
    assert said.code == 0, said.err
    return path


def test_a_backup_is_its_owners_alone(file: Path) -> None:
    """It holds secrets, so nobody else may read it, and nothing half-written is left beside it."""
    assert file.stat().st_mode & 0o077 == 0
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_a_damaged_backup_is_refused(file: Path, empty: Settings, headrace_with: Any, tmp_path: Path) -> None:
    """A cut file, and one with a changed byte, bring nothing back."""
    whole = file.read_bytes()
    at = whole.index(b"router@7")
    for number, (text, says) in enumerate(
        ((whole[:-20_000], "whole"), (whole[:at] + b"x" + whole[at + 1 :], "damaged"))
    ):
        bad = tmp_path / f"{number}.tar"
        bad.write_bytes(text)
        said = headrace_with(empty)("restore", str(bad))
        assert (said.code, says in said.err) == (2, True), said.err
    assert not empty.artifacts.exists()


def test_a_backup_of_another_version_is_refused(
    past: Settings, empty: Settings, warehouse: Warehouse, headrace_with: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Tables that have not seen a migration, or have seen a newer one, are not loaded: nothing would migrate them."""
    forget = "ALTER TABLE schema_migrations DELETE WHERE name = {name:String} SETTINGS mutations_sync = 2"
    (seen,) = [found for found in migrations() if found.name == "039_labels_are_ids"]
    warehouse.command(forget, name=seen.name)
    with pytest.raises(BackupError, match="not seen the migration 039_labels_are_ids; run `headrace prepare`"):
        save(past, tmp_path / "refused.tar", warehouse=True, tell=lambda _: None)
    with monkeypatch.context() as older:
        older.setattr("headrace.backup.save.migrations", list)
        save(past, tmp_path / "older.tar", warehouse=True, tell=lambda _: None)
    warehouse.insert("schema_migrations", [seen.row, b'{"name": "999_of_tomorrow", "digest": "f00"}'])
    save(past, tmp_path / "newer.tar", warehouse=True, tell=lambda _: None)
    warehouse.command(forget, name="999_of_tomorrow")
    for name, says in (("older", "had not seen the migration 039_"), ("newer", "a newer headrace, which has")):
        said = headrace_with(empty)("restore", str(tmp_path / f"{name}.tar"))
        assert (said.code, says in said.err) == (2, True), said.err
    assert not empty.artifacts.exists()
    assert Warehouse.connect(empty).rows("SELECT count() AS n FROM inferences") == [{"n": 0}]


def test_copies_of_tables_are_no_part_of_a_backup(
    past: Settings, empty: Settings, warehouse: Warehouse, headrace_with: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What a killed preparation left is left out; once it has taken the table's place a backup is refused."""
    warehouse.command("CREATE TABLE inferences_copy AS inferences")
    warehouse.command("ALTER TABLE inferences_copy MODIFY COMMENT 'filled since 2026-01-01 00:00:00 up to 5'")
    warehouse.command("INSERT INTO inferences_copy SELECT * FROM inferences LIMIT 20")
    save(past, tmp_path / "left_out.tar", warehouse=True, tell=lambda _: None)
    with tarfile.open(tmp_path / "left_out.tar") as copy:
        assert not [name for name in copy.getnames() if "_copy" in name]
    with monkeypatch.context() as former:
        # As versions did that took every table.
        tables = dumped_tables(warehouse)
        tables += [replace(table, name="inferences_copy") for table in tables if table.name == "inferences"]
        former.setattr("headrace.backup.save.dumped_tables", lambda _: tables)
        save(past, tmp_path / "taken.tar", warehouse=True, tell=lambda _: None)
    said = headrace_with(empty)("restore", str(tmp_path / "taken.tar"))
    assert (said.code, "holds the table inferences_copy" in said.err) == (2, True), said.err
    assert not empty.artifacts.exists()
    warehouse.command("EXCHANGE TABLES inferences AND inferences_copy")
    with pytest.raises(BackupError, match="half prepared: rows of inferences are still in inferences_copy"):
        save(past, tmp_path / "half.tar", warehouse=True, tell=lambda _: None)
    warehouse.command("EXCHANGE TABLES inferences AND inferences_copy")
    warehouse.command("DROP TABLE inferences_copy")


def test_everything_is_back(file: Path, past: Settings, empty: Settings, headrace_with: Any) -> None:
    """Promotions name models where they stand now; keys, secrets and every row are what they were."""
    said = headrace_with(empty)("restore", str(file))
    assert said.code == 0, said.err
    promotion = Promotion.model_validate_json(asyncio.run(snapshot(empty, PROMOTIONS))[b"router"])
    assert promotion.generation == 9
    assert Path(promotion.live.artifact, "manifest.json").read_text() == '{"made": "up"}'
    assert Path(promotion.live.artifact).is_relative_to(empty.artifacts.resolve())
    assert empty.keys.read_text() == past.keys.read_text()
    assert empty.keys.stat().st_mode & 0o077 == 0
    assert secrets.of_home(empty.home, "gateway") == secrets.of_home(past.home, "gateway")
    sums = [
        Warehouse.connect(one).rows("SELECT count() AS n, sum(cityHash64(*)) AS digest FROM inferences")[0]
        for one in (past, empty)
    ]
    assert sums[0] == sums[1]
    assert sums[0]["n"] == 60


def test_what_is_there_is_not_overwritten(file: Path, empty: Settings, headrace_with: Any) -> None:
    """A second restore names what is there already and changes nothing; a backup takes no file that exists."""
    headrace = headrace_with(empty)
    assert headrace("restore", str(file)).code == 2
    said = headrace("backup", str(file))
    assert (said.code, "is there already" in said.err) == (2, True)


def test_what_cannot_be_read_is_never_left_out_in_silence(
    past: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk below the models, or a secret that goes away, ends the backup, and no file is left."""
    scandir, put, last = os.scandir, Writer.put, past.home / "secrets" / "zz"

    def broken(path: Any = ".") -> Any:
        if str(path).endswith("7-a1"):
            raise OSError(errno.EIO, "Input/output error")
        return scandir(path)

    def removing(self: Writer, name: str, data: IO[bytes]) -> int:
        if name.startswith("secrets/"):
            last.unlink(missing_ok=True)
        return put(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", broken)
        with pytest.raises(BackupError, match="Input/output error"):
            save(past, tmp_path / "copy.tar", warehouse=False, tell=lambda _: None)
    last.write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "put", removing)
        with pytest.raises(BackupError, match="No such file"):
            save(past, tmp_path / "copy.tar", warehouse=False, tell=lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_what_vanishes_meanwhile_costs_nothing_else(
    past: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candidate that a trainer removes while the models are copied is left out; the others are there."""
    doomed = past.artifacts / "router" / "8-a1"
    doomed.mkdir()
    (doomed / "manifest.json").write_text("{}")
    put = Writer.put

    def removing(self: Writer, name: str, data: IO[bytes]) -> int:
        if name.startswith("artifacts/"):
            shutil.rmtree(doomed, ignore_errors=True)
        return put(self, name, data)

    monkeypatch.setattr(Writer, "put", removing)
    save(past, tmp_path / "copy.tar", warehouse=False, tell=lambda _: None)
    with tarfile.open(tmp_path / "copy.tar") as copy:
        models = [name for name in copy.getnames() if name.startswith("artifacts/")]
    assert models == ["artifacts/router/7-a1/manifest.json"]
