"""Storage of a broker, formatted once a process: each formatting starts a Java of its own, 0.8 s of processor time."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from headrace.embedded import kafka
from headrace.embedded.jars import cache_of
from headrace.embedded.server import free_port


def formatted(home: Path) -> Path:
    """A new broker's home, in which there is nothing left to format."""
    shutil.copytree(Path(_made().name) / "kafka" / "data", home / "kafka" / "data")
    return home


@cache
def _made() -> tempfile.TemporaryDirectory[str]:
    """A home that was prepared; it leaves with the process."""
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    home = Path(folder.name)
    kafka.prepare(home, kafka.HOST, free_port(), cache_of(home))
    return folder
