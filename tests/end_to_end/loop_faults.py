"""Kills parts of a running loop at the worst moments, and counts trainers all the while."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from headrace.embedded.supervisor import Supervisor

LOOK_S = 0.05
# A process that was forked runs its own program by then.
PROGRAM_WITHIN_S = 5.0


@dataclass
class Faults:
    """Runs beside the loop in a thread of its own.

    home: only trainers whose job file lies below it count
    most_trainers: the greatest number seen alive at one moment
    orphan_s: how long the killed consumer's trainer outlived it
    """

    home: Path
    most_trainers: int = 0
    trainers: set[int] = field(default_factory=set)
    killed: list[str] = field(default_factory=list)
    orphan_s: float = 0.0
    error: BaseException | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    # Processes that are no trainers: asked twenty times a second, all of the machine's took a tenth of a core.
    _others: set[int] = field(default_factory=set)

    def begin(self, supervisor: Supervisor) -> None:
        """Start injecting; `end` stops it."""
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._inject, supervisor), daemon=True),
            threading.Thread(target=self._guarded, args=(self._count, supervisor), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Stop, and raise what went wrong in the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        if self.error is not None:
            raise self.error

    def _guarded(self, work, supervisor: Supervisor) -> None:
        try:
            work(supervisor)
        except BaseException as error:
            self.error = error

    def _count(self, _: Supervisor) -> None:
        while not self._stop.wait(LOOK_S):
            alive = self._alive()
            self.trainers |= alive
            self.most_trainers = max(self.most_trainers, len(alive))

    def _inject(self, supervisor: Supervisor) -> None:
        if self._stop.wait(6):
            return
        supervisor.kill("streams-0")
        self.killed.append("streams")
        first = self._trainer_for(2.0)
        supervisor.kill("retrain")
        self.killed.append("retrain")
        since = time.monotonic()
        while psutil.pid_exists(first) and _running(first) and time.monotonic() - since < 30:
            time.sleep(0.01)
        self.orphan_s = time.monotonic() - since
        second = self._trainer_for(2.0, other_than=first)
        os.kill(second, signal.SIGKILL)
        self.killed.append("trainer")

    def _trainer_for(self, alive_s: float, other_than: int = 0) -> int:
        """A trainer that has been at work for a while."""
        seen: dict[int, float] = {}
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and not self._stop.wait(LOOK_S):
            for pid in self._alive() - {other_than}:
                if time.monotonic() - seen.setdefault(pid, time.monotonic()) > alive_s:
                    return pid
        raise AssertionError("no trainer was seen")

    def _alive(self) -> set[int]:
        found = {}
        pids = set(psutil.pids())
        self._others &= pids
        for pid in pids - self._others:
            try:
                process = psutil.Process(pid)
                line, parent, born = process.cmdline(), process.ppid(), process.create_time()
            except psutil.NoSuchProcess:
                continue
            if "trainer" in line and any(str(self.home) in part for part in line):
                if _running(pid):
                    found[pid] = parent
            elif time.time() - born > PROGRAM_WITHIN_S:
                self._others.add(pid)
        # A trainer's child has its command line until it runs a program of its own.
        return {pid for pid, parent in found.items() if parent not in found}


def _running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
