"""How a part says that it is at work: over HTTP, or by a file that it writes when it begins to consume.

Afterwards a part shows that it is alive: over HTTP too, or by touching that file again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from headrace.process.host import host_name
from headrace.settings import Settings

# Which of several like it a part is (`streams-0`, `streams-1`); set by the supervisor.
PART_VARIABLE = "PART_NAME"
BEAT_S = 5.0
"""How often a consumer touches its ready file."""


def part_name(default: str) -> str:
    """The supervisor's name for this process, or the default where it runs by itself."""
    return os.environ.get(PART_VARIABLE) or default


def member_name(default: str) -> str:
    """A name that no process of another machine has, `<host>-<part>`: two members of one group may not share one."""
    return f"{host_name()}-{part_name(default)}"


def ready_file(home: Path, name: str) -> Path:
    return home / "run" / f"{name}.ready"


def ready(settings: Settings, name: str) -> None:
    """Say that this part is consuming. Under a supervisor its name for the process goes before `name`."""
    path = ready_file(settings.home, part_name(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{os.getpid()}\n")


async def beat(settings: Settings, name: str) -> None:
    """Touch the ready file until cancelled, once it is there: whoever runs this has an event loop that turns."""
    path = ready_file(settings.home, part_name(name))
    while True:
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)
        await asyncio.sleep(BEAT_S)


def beats(file: Path) -> bool:
    """Whether a ready file was touched lately."""
    with contextlib.suppress(FileNotFoundError):
        return time.time() - file.stat().st_mtime < 3 * BEAT_S
    return False


def health_file(home: Path, name: str) -> Path:
    """Where a part writes the address of its own at which it tells its health."""
    return home / "run" / f"{name}.health"


def tell_address(settings: Settings, name: str, url: str) -> Path:
    """Write a part's health file; returns it, to be removed in the end. name: where no supervisor gave another one"""
    file = health_file(settings.home, part_name(name))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{url}\n")
    return file


def responds_at(file: Path, path: str) -> bool:
    """Whether the address that a part wrote to `file` answers with 200, as `responds`."""
    with contextlib.suppress(FileNotFoundError):
        return responds(f"{file.read_text().strip()}{path}")
    return False


def responds(url: str) -> bool:
    """Whether a GET is answered with 200 within two seconds, by no proxy."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (URLError, OSError, ValueError):
        return False
