"""Waiting for what other processes do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from headrace.errors import HeadraceError

T = TypeVar("T")


class Late(HeadraceError):
    """What was waited for did not come in time."""


def until(look: Callable[[], T | None], what: str, within_s: float = 120.0, every_s: float = 0.1) -> T:
    """What `look` returns once it is true. Raises Late."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(every_s)
    raise Late(f"waited {within_s:.0f} s for {what} in vain")


def calm(cpu_s: Callable[[], float]) -> None:
    """Wait until a process has imported what it imports behind its first answers.

    cpu_s: the processor time that it has used so far
    """
    seen = -1.0
    while cpu_s() - seen > 0.1:
        seen = cpu_s()
        time.sleep(1.0)


def process_cpu_s(pid: int) -> float:
    """User and system time of a process, its threads and those of its children that have ended (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> int:
    """Memory of a process now (proc(5), VmRSS)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024
