"""What the supervisor says about itself in `home/run/stack.json`, and the lock that tells whether it lives."""

from __future__ import annotations

import fcntl
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from headrace.errors import StackError


class Phase(StrEnum):
    """Of a part, and of the whole."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backing off"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PartState:
    """One part as last seen.

    restarts: how often it was started again after it had ended by itself
    since: Unix time of the last change of phase
    reason: why it last ended, "" when it never did
    """

    name: str
    phase: Phase
    pid: int | None
    restarts: int
    address: str
    since: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StackState:
    """The whole stack. `ready` once every part has been ready; `failed` with the reason when it could not start."""

    pid: int
    phase: Phase
    parts: tuple[PartState, ...]
    reason: str = ""


def write(home: Path, state: StackState) -> None:
    """Replace the state file in one step: a reader sees a whole one."""
    path = _file(home)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(asdict(state), indent=1))
    scratch.replace(path)


def read(home: Path) -> StackState | None:
    """The last state written, None when there is none."""
    try:
        raw = json.loads(_file(home).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    parts = tuple(PartState(**{**part, "phase": Phase(part["phase"])}) for part in raw.pop("parts"))
    return StackState(pid=raw["pid"], phase=Phase(raw["phase"]), parts=parts, reason=raw["reason"])


def take_lock(home: Path) -> IO[str]:
    """Hold the home for this process's life. Raises StackError when a supervisor holds it, or it cannot be written."""
    try:
        (home / "run").mkdir(parents=True, exist_ok=True)
        # Questions lie below it in many files, Kafka's and ClickHouse's among them: the folder is its owner's alone.
        home.chmod(0o700)
        lock = (home / "run" / "stack.lock").open("w")
    except OSError as error:
        raise StackError(
            f"{home} cannot be written ({error.strerror}); set HEADRACE_HOME to a folder that can"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        held = read(home)
        pid = f" as process {held.pid}" if held else ""
        raise StackError(f"headrace is already up in {home}{pid}; run `headrace down` first") from None
    return lock


def is_up(home: Path) -> bool:
    """Whether a living supervisor holds the home."""
    try:
        with (home / "run" / "stack.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def clear(home: Path) -> None:
    """Forget the last run's state, so that nobody takes it for this one's."""
    _file(home).unlink(missing_ok=True)


def _file(home: Path) -> Path:
    return home / "run" / "stack.json"
