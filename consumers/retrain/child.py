"""The trainer's process: dies with its parent, is bounded in memory, and is gone, with its group, when `end` returns.

It stands in a process group of its own. SIGKILL reaches it when this process dies (PR_SET_PDEATHSIG, set by
process/parent_death.py before the trainer's first instruction), and its standard input is a pipe whose other end nobody
else holds, so that it can see the same for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from consumers.retrain.progress import Lines
from headrace.process.child import PARENT_DEATH
from headrace.process.memory import resident_bytes

MAX_LOG_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 65_536
LAST_WORDS = 500


class Child:
    """One run of a command.

    log: what it prints on stderr, up to MAX_LOG_BYTES
    """

    def __init__(self, process: Process, log: BinaryIO) -> None:
        self._process = process
        self._log = log
        self._last = b""
        self._gone = False
        self._errors = asyncio.create_task(self._keep_errors())
        self.ended = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, argv: Sequence[str], log: Path, environ: Mapping[str, str]) -> Child:
        """Start it. Raises OSError where its log cannot be written or the system starts no more processes."""
        wrapper = [sys.executable, "-I", "-S", str(PARENT_DEATH), str(os.getpid())]
        log.touch(mode=0o600)
        written = log.open("wb")
        try:
            process = await asyncio.create_subprocess_exec(
                *wrapper, *argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True, env=dict(environ)
            )
        except OSError:
            written.close()
            raise
        return cls(process, written)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The last line on stderr, shortened."""
        lines = [line for line in self._last.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:LAST_WORDS] if lines else ""

    async def lines(self) -> AsyncIterator[bytes]:
        """What it prints on stdout, line by line, until it closes it."""
        assert self._process.stdout is not None
        lines = Lines()
        while chunk := await self._process.stdout.read(CHUNK_BYTES):
            for line in lines.feed(chunk):
                yield line

    def memory_bytes(self) -> int:
        """Resident memory of its process group; 0 where the system has no /proc."""
        return resident_bytes(self.pid)

    async def end(self, grace_s: float = 0.0) -> int:
        """Stop it (SIGTERM and end of input, SIGKILL after the grace) and return its exit code."""
        if self._gone:
            return self.ended.result()
        if not self.ended.done() and grace_s:
            self._signal(signal.SIGTERM)
            if self._process.stdin is not None:
                self._process.stdin.close()
            await asyncio.wait({self.ended}, timeout=grace_s)
        # The trainer itself may be gone and have left something behind in its group.
        self._signal(signal.SIGKILL)
        code = await self.ended
        self._gone = True
        await asyncio.wait({self._errors}, timeout=1.0)
        self._errors.cancel()
        return code

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _keep_errors(self) -> None:
        assert self._process.stderr is not None
        written = 0
        with self._log as log:
            while chunk := await self._process.stderr.read(CHUNK_BYTES):
                self._last = (self._last + chunk)[-CHUNK_BYTES:]
                log.write(chunk[: max(0, MAX_LOG_BYTES - written)])
                log.flush()
                written += len(chunk)
