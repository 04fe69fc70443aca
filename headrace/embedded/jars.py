"""The broker's jars: resolved once by jgo, checked against locks/broker.lock, kept in a cache that homes share.

`python -m headrace.embedded.jars` resolves them afresh and prints a new lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from headrace.errors import StackError

KAFKA = "org.apache.kafka:kafka_2.13:4.1.0"
# Without a binding slf4j drops every line the broker logs.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
LOCK = Path(__file__).parents[2] / "locks" / "broker.lock"
CACHE_VARIABLE = "BROKER_CACHE"


def cache_of(home: Path, cache: Path | None = None) -> Path:
    """Where the jars are kept: the argument, else $BROKER_CACHE, else `home/cache`."""
    return cache or Path(os.environ.get(CACHE_VARIABLE) or home / "cache")


def read_lock(path: Path = LOCK) -> dict[str, str]:
    """SHA-256 by file name. Raises StackError when the lock is missing or holds no line."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise StackError(f"The broker's lock {path} cannot be read ({error.strerror}); restore it from git") from None
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise StackError(f"The broker's lock {path} is damaged; restore it from git")
    return {name: digest for digest, name in pairs}


def folder_of(cache: Path, lock: dict[str, str] | None = None) -> Path:
    """The folder of the jars that the lock names."""
    return cache / f"broker-{digest_of(read_lock() if lock is None else lock)}"


def class_path(cache: Path, lock: dict[str, str] | None = None) -> str:
    """The broker's class path; downloads what is missing. Raises StackError on a jar that is not the locked one."""
    lock = read_lock() if lock is None else lock
    folder = folder_of(cache, lock)
    if not _complete(folder, lock):
        _fill(folder, lock)
    _verify(folder, lock)
    return os.pathsep.join(str((folder / name).resolve()) for name in sorted(lock))


def _complete(folder: Path, lock: dict[str, str]) -> bool:
    return all((folder / name).is_file() for name in lock)


def _fill(folder: Path, lock: dict[str, str]) -> None:
    """Resolve into a folder beside it and rename, under a lock file: two stacks share one download."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        guard = (folder.parent / f"{folder.name}.lock").open("w")
    except OSError as error:
        raise StackError(
            f"The folder {folder.parent} for the broker's jars cannot be written ({error.strerror}); "
            f"set {CACHE_VARIABLE} to one that can"
        ) from None
    with guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if _complete(folder, lock):
            return
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="resolving-") as scratch:
            jars = {jar.name: jar for jar in _resolve(Path(scratch))}
            missing = sorted(set(lock) - set(jars))
            if missing:
                raise StackError(f"jgo did not resolve {missing[0]}, which locks/broker.lock names; update the lock")
            folder.mkdir(exist_ok=True)
            for name in lock:
                shutil.move(jars[name], folder / name)


def _resolve(scratch: Path) -> list[Path]:
    try:
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.env import EnvironmentBuilder, LinkStrategy
        from jgo.maven import MavenContext
    except ImportError:
        raise StackError("Kafka's jars need the package jgo; install headrace[embedded]") from None
    # Not jgo.build(): that one keeps what it downloads in the user's ~/.m2.
    context = MavenContext(repo_cache=scratch / "repository", remote_repos={"central": MAVEN_CENTRAL_URL})
    builder = EnvironmentBuilder(context=context, cache_dir=scratch / "cache", link_strategy=LinkStrategy.COPY)
    try:
        # One after the other: resolved together, the binding's own parent would set the versions of Kafka's jars.
        binding = [jar for jar in builder.from_endpoint(LOGGING).all_jars if jar.name.startswith("log4j-slf4j-impl-")]
        return [*builder.from_endpoint(KAFKA).all_jars, *binding]
    except Exception as error:  # the resolver's own errors are many; a person needs one sentence
        raise StackError(
            f"Kafka's jars could not be downloaded ({type(error).__name__}: {str(error).splitlines()[0]}); check the "
            f"network, or point {CACHE_VARIABLE} at a folder that has them"
        ) from error


def _verify(folder: Path, lock: dict[str, str]) -> None:
    for name, digest in lock.items():
        with (folder / name).open("rb") as jar:
            found = hashlib.file_digest(jar, "sha256").hexdigest()
        if found != digest:
            raise StackError(
                f"{folder / name} is not the jar that locks/broker.lock names (SHA-256 {found[:12]}…, expected "
                f"{digest[:12]}…); delete the file and start again"
            )


def digest_of(lock: dict[str, str]) -> str:
    lines = "".join(f"{digest} {name}\n" for name, digest in sorted(lock.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def _print_lock() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        print(f"# SHA-256 and name of every jar of {KAFKA} and {LOGGING}.")
        print("# Written by: python -m headrace.embedded.jars > locks/broker.lock")
        for jar in sorted(_resolve(Path(scratch)), key=lambda path: path.name):
            print(hashlib.sha256(jar.read_bytes()).hexdigest(), jar.name)


if __name__ == "__main__":
    _print_lock()
