"""What a supervisor runs: processes to keep, and steps to do once between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.embedded.state import PartState, Phase
from headrace.process.child import Child, Probe
from headrace.process.pulse import Pulse


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep running.

    needs: names of parts and steps that come first
    probe: whether it is ready
    ready_file: one that it writes when it is ready; removed before each start
    alive: whether it still works once it is ready; asked beside the supervisor's own thread, and bounded by itself
    start_s: how long it may take to become ready
    hang_s: how long a ready part may fail to show that it is alive before it is ended
    grace_s: how long it may take to end after SIGTERM
    """

    name: str
    argv: Sequence[str]
    probe: Probe
    env: Mapping[str, str] | None = None
    needs: tuple[str, ...] = ()
    address: str = ""
    ready_file: Path | None = None
    alive: Probe | None = None
    start_s: float = 120.0
    hang_s: float = 60.0
    grace_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Step:
    """Something done once between parts, such as applying the schema; an exception ends the start."""

    name: str
    run: Callable[[], None]
    needs: tuple[str, ...] = ()


@dataclass(slots=True)
class Kept:
    """A part and what has happened to it.

    pulse: of a ready part that can say whether it is alive
    """

    part: Part
    child: Child
    phase: Phase = Phase.WAITING
    since: float = field(default_factory=time.time)
    restarts: int = 0
    failures: int = 0
    due: float = 0.0
    reason: str = ""
    pulse: Pulse | None = None

    def enter(self, phase: Phase) -> None:
        self.phase, self.since = phase, time.time()

    def seen(self) -> PartState:
        pid = self.child.pid if self.child.alive else None
        return PartState(self.part.name, self.phase, pid, self.restarts, self.part.address, self.since, self.reason)
