"""The broker's cache of classes is made once, by one start, and no start depends on it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.embedded import class_cache
from headrace.embedded.kafka import _java
from headrace.errors import StackError

OPTION = "-XX:AOTCacheOutput="


def recorder(said: list[str], content: bytes = b"classes") -> Callable[[str, Path], None]:
    """Writes what Java would."""

    def record(option: str, home: Path) -> None:
        assert home.is_dir() and not any(home.iterdir())
        said.append(option)
        Path(option.removeprefix(OPTION)).write_bytes(content)

    return record


def test_it_is_made_once(tmp_path: Path) -> None:
    """The first start makes it, whole before it has its name; other options of Java's have another one."""
    said: list[str] = []
    jars = tmp_path / "broker-1"
    for _ in range(2):
        cached, *_ = class_cache.options(jars, ["-Xmx1m"], recorder(said))
        file = Path(cached.removeprefix("-XX:AOTCache="))
        assert file.read_bytes() == b"classes" and said == [f"{OPTION}{file.with_suffix('.part')}"]
    assert class_cache.options(jars, ["-Xmx2m"], recorder(said))[0] != cached and len(said) == 2


def test_of_two_starts_one_makes_it_and_none_waits(tmp_path: Path) -> None:
    """While it is made, another start goes on without it."""
    beside: list[list[str]] = []

    def record(option: str, home: Path) -> None:
        beside.append(class_cache.options(tmp_path / "broker-1", [], recorder([])))
        Path(option.removeprefix(OPTION)).write_bytes(b"classes")

    assert class_cache.options(tmp_path / "broker-1", [], record)
    assert beside == [[]]


def test_one_that_was_ended_while_it_made_it_is_followed_by_the_next(tmp_path: Path) -> None:
    """What it had written is no cache, and its broker's folder does not stay."""
    if not (killed := os.fork()):

        def ended(option: str, home: Path) -> None:
            Path(option.removeprefix(OPTION)).write_bytes(b"cla")
            (home / "kafka.out").touch()
            os._exit(0)

        class_cache.options(tmp_path / "broker-1", [], ended)
    os.waitpid(killed, 0)
    (lock,) = tmp_path.glob("*.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    said: list[str] = []
    assert class_cache.options(tmp_path / "broker-1", [], recorder(said)) and said
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".aot", ".lock"]


def test_where_it_cannot_be_made_the_broker_starts_without_it(tmp_path: Path) -> None:
    """A broker that does not stop makes none, nor one that writes nothing; neither is tried again."""

    def fails(option: str, home: Path) -> None:
        Path(option.removeprefix(OPTION)).write_bytes(b"cla")
        raise StackError("it did not stop")

    said: list[str] = []
    for name, record in (("broker-1", fails), ("broker-2", lambda option, home: None)):
        assert class_cache.options(tmp_path / name, [], record) == []
        assert class_cache.options(tmp_path / name, [], recorder(said)) == []
    assert class_cache.options(tmp_path / "nowhere" / "broker-1", [], recorder(said)) == [] and not said


@pytest.mark.stack
def test_java_does_without_a_damaged_one(tmp_path: Path) -> None:
    """It runs, and says nothing of it: not of one that is none, nor of one with a hole."""

    def real(option: str, home: Path) -> None:
        subprocess.run([_java(), option, "-version"], capture_output=True, check=True)
        with Path(option.removeprefix(OPTION)).open("r+b") as file:
            file.seek(file.seek(0, os.SEEK_END) // 2)
            file.write(bytes(100_000))

    for name, record in (("broker-1", recorder([], b"no classes" * 10_000)), ("broker-2", real)):
        damaged = class_cache.options(tmp_path / name, [], record)
        done = subprocess.run([_java(), *damaged, "-version"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "Runtime" in done.stderr and not done.stdout
