"""Kills what a dead supervisor left behind, its children's children too.

This file is also the guard's program, run by its path: it reads process groups on standard input, one to a line
(`+123` adds one, `-123` takes it off), and when the input ends (the supervisor is gone, however it went) it kills
every group still listed. PR_SET_PDEATHSIG alone reaches only the supervisor's own children.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


class Guard:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", str(Path(__file__))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Let it end; it kills what is still listed."""
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):
            pipe.write(line.encode())
            pipe.flush()


def _main() -> None:
    # Only the end of the input ends it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    _main()
