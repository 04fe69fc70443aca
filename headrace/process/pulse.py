"""Whether a part that runs still answers: asked again and again, in a thread of its own, until MISSES in a row."""

from __future__ import annotations

import threading
import time

from headrace.process.child import Probe

MISSES = 3
"""A part that misses once may be busy; one that misses so often in a row, over its whole time, hangs."""


class Pulse:
    """Asks `alive` MISSES times within each hang_s, from now until `stop`.

    A probe that does not return at all counts as a miss each time that it was due.
    """

    def __init__(self, alive: Probe, hang_s: float) -> None:
        self._alive, self._every_s = alive, hang_s / MISSES
        self._answered = time.monotonic()
        self._limit_s = hang_s
        self._misses = 0
        self._stopping = threading.Event()
        threading.Thread(target=self._ask, name="pulse", daemon=True).start()

    @property
    def silent_s(self) -> float:
        """For how long it has not shown that it is alive; 0 while that is not long enough to say that it hangs."""
        silent = time.monotonic() - self._answered
        return silent if silent >= self._limit_s and (self._misses >= MISSES or silent > 2 * self._limit_s) else 0.0

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()

    def _ask(self) -> None:
        while not self._stopping.wait(self._every_s):
            if self._alive():
                self._answered, self._misses = time.monotonic(), 0
            else:
                self._misses += 1
