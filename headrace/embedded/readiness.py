"""How a part says that it is at work: over HTTP, or by a file that it writes when it begins to consume."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from headrace.settings import Settings

# Which of several like it a part is (`streams-0`, `streams-1`); set by the supervisor.
PART_VARIABLE = "PART_NAME"


def part_name(default: str) -> str:
    """The supervisor's name for this process, or the default where it runs by itself."""
    return os.environ.get(PART_VARIABLE) or default


def ready_file(home: Path, name: str) -> Path:
    return home / "run" / f"{name}.ready"


def ready(settings: Settings, name: str) -> None:
    """Say that this part is consuming. Under a supervisor its name for the process goes before `name`."""
    path = ready_file(settings.home, part_name(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{os.getpid()}\n")


def responds(url: str) -> bool:
    """Whether a GET is answered with 200 within two seconds, by no proxy."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
