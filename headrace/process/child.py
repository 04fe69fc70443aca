"""One supervised process: its own process group, its log, its end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from headrace.errors import StackError

PARENT_DEATH = Path(__file__).with_name("parent_death.py")
Probe = Callable[[], bool]


class Child:
    """A command that runs in its own process group and dies with this process.

    log: what it prints, appended; bounded by `trim`
    """

    def __init__(self, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.env = dict(os.environ if env is None else env)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs or before it was started; −N when signal N ended it."""
        return self._process.poll() if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-I", "-S", str(PARENT_DEATH), str(os.getpid()), *self.argv]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_ready(self, probe: Probe, timeout_s: float) -> None:
        """Return once the probe passes. Raises StackError when the process ends or the time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            if not self.alive:
                raise StackError(self.last_words())
            if probe():
                return
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready after {timeout_s:.0f} s; its log is {self.log}")
            time.sleep(0.03)

    def last_words(self) -> str:
        """Why it ended: its own sentence when it exited with 2 (a UserError), else where to look."""
        if self.exit_code == 2 and (line := _last_line(self.log)):
            return line
        return f"{self.name} ended with {_meaning(self.exit_code)}; its log is {self.log}"

    def stop(self, grace_s: float = 15.0) -> None:
        """SIGTERM, then SIGKILL after the grace; the whole process group is gone when this returns."""
        if self._process is None:
            return
        self.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self.kill()

    def terminate(self) -> None:
        """SIGTERM to the process itself: it ends its own children as it sees fit."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to the process group."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def trim(self, limit_bytes: int) -> None:
        """Keep the log below the limit: the file so far becomes `<log>.1`, of which there is one."""
        with suppress(FileNotFoundError):
            if self.log.stat().st_size > limit_bytes:
                shutil.copyfile(self.log, self.log.with_name(self.log.name + ".1"))
                # The process appends, so it goes on at the start of the emptied file.
                os.truncate(self.log, 0)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _meaning(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"
