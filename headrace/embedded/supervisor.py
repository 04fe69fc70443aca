"""Keeps parts running: started in order of readiness, restarted with back-off, stopped in reverse, nothing left.

    waiting ──needs ready──▶ starting ──probe passes──▶ ready
                                │  ▲                      │
                    ends, or    │  │ delay over           │ ends
                    too slow    ▼  │                      │
                              backing off ◀───────────────┘

Before the whole stack was ready once, a part that ends with exit code 2 (a sentence for a person), or that ends
PATIENCE times, ends the start. Afterwards a part is restarted for ever.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.embedded import state
from headrace.embedded.part import Kept, Part, Step
from headrace.embedded.state import Phase, StackState
from headrace.errors import StackError
from headrace.process.child import Child
from headrace.process.guard import Guard
from headrace.process.pulse import Pulse

PATIENCE = 3
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 30.0
# Ready for this long, a part's back-off begins anew.
STEADY_S = 60.0
LOG_LIMIT_BYTES = 20 << 20
TICK_S = 0.05


class Supervisor:
    """Runs parts under one home: in this thread with `run`, or beside it with `start`, `wait_ready`, `stop`.

    on_change: called with each new state, from the thread that supervises
    """

    def __init__(
        self, parts: Sequence[Part | Step], home: Path, on_change: Callable[[StackState], None] | None = None
    ) -> None:
        self._home = home
        self._steps = [part for part in parts if isinstance(part, Step)]
        self._kept = {
            part.name: Kept(part, Child(part.name, part.argv, home / "log" / f"{part.name}.log", part.env))
            for part in parts
            if isinstance(part, Part)
        }
        known = [part.name for part in parts]
        for part in parts:
            for need in part.needs:
                if need not in known[: known.index(part.name)]:
                    raise ValueError(f"{part.name} needs {need}, which does not stand before it")
        self._done: set[str] = set()
        self._on_change = on_change
        self._phase = Phase.STARTING
        self._reason = ""
        self._last: StackState | None = None
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._settled = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._guard: Guard | None = None

    # From outside

    def start(self) -> Self:
        """Supervise in a thread of its own. Raises StackError when the home is taken or cannot be written."""
        lock = state.take_lock(self._home)

        def run() -> None:
            with lock, suppress(BaseException):  # kept in _error for wait_ready
                self._supervise()

        self._thread = threading.Thread(target=run, name="supervisor")
        self._thread.start()
        return self

    def wait_ready(self, timeout_s: float = 180.0) -> None:
        """Return when every part is ready. Raises what ended the start, or StackError when the time is up."""
        if not self._settled.wait(timeout_s):
            raise StackError(f"{self._waiting_for()} not ready after {timeout_s:.0f} s; the logs are in {self._log}")
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stop every part and return when all have ended."""
        self._stopping.set()
        self._ended.wait()
        if self._thread is not None:
            self._thread.join()

    def kill(self, name: str) -> int:
        """SIGKILL one part's process group, as a crash would; returns the pid it had."""
        pid = self._kept[name].child.pid
        if pid is None:
            raise StackError(f"{name} is not running")
        os.killpg(pid, signal.SIGKILL)
        return pid

    def status(self) -> StackState:
        parts = tuple(kept.seen() for kept in self._kept.values())
        return StackState(os.getpid(), self._phase, parts, self._reason)

    def run(self) -> None:
        """Supervise in this, the main, thread until SIGINT or SIGTERM; a second one does not wait for anybody.

        Raises what ended the start, after everything has stopped.
        """
        with state.take_lock(self._home), ExitStack() as stack:
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, self._asked_to_stop))
            self._supervise()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _asked_to_stop(self, *_: object) -> None:
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    # The loop

    def _supervise(self) -> None:
        try:
            (self._home / "run").mkdir(parents=True, exist_ok=True)
            self._guard = Guard()
            trimmed = time.monotonic()
            while not self._stopping.is_set():
                self._tick()
                self._publish()
                if self._phase is Phase.READY:
                    # After the state file says so: who waited may read it.
                    self._settled.set()
                if time.monotonic() - trimmed > 5:
                    trimmed = time.monotonic()
                    for kept in self._kept.values():
                        kept.child.trim(LOG_LIMIT_BYTES)
                self._stopping.wait(TICK_S)
        except BaseException as error:
            self._phase, self._reason, self._error = Phase.FAILED, str(error), error
        finally:
            self._stop_all()
            if self._phase is not Phase.FAILED:
                self._phase = Phase.STOPPED
                if not self._settled.is_set():
                    self._error = StackError("the start was interrupted")
            self._publish()
            if self._guard is not None:
                self._guard.close()
            self._settled.set()
            self._ended.set()

    def _tick(self) -> None:
        for step in self._steps:
            if step.name not in self._done and self._met(step.needs):
                step.run()
                self._done.add(step.name)
        for kept in self._kept.values():
            match kept.phase:
                case Phase.WAITING if self._met(kept.part.needs):
                    self._launch(kept)
                case Phase.STARTING:
                    self._watch_start(kept)
                case Phase.READY:
                    self._watch_ready(kept)
                case Phase.BACKOFF if time.monotonic() >= kept.due:
                    kept.restarts += 1
                    self._launch(kept)
        if self._phase is Phase.STARTING and self._all_ready():
            self._phase = Phase.READY

    def _met(self, needs: Sequence[str]) -> bool:
        return all(
            need in self._done or (need in self._kept and self._kept[need].phase is Phase.READY) for need in needs
        )

    def _all_ready(self) -> bool:
        parts_ready = all(kept.phase is Phase.READY for kept in self._kept.values())
        return parts_ready and len(self._done) == len(self._steps)

    def _launch(self, kept: Kept) -> None:
        if kept.part.ready_file is not None:
            kept.part.ready_file.unlink(missing_ok=True)
        kept.child.start()
        assert self._guard is not None and kept.child.pid is not None
        self._guard.watch(kept.child.pid)
        kept.due = time.monotonic() + kept.part.start_s
        kept.enter(Phase.STARTING)

    def _watch_start(self, kept: Kept) -> None:
        if not kept.child.alive:
            self._fell(kept, kept.child.last_words())
        elif kept.part.probe():
            if kept.part.alive is not None:
                kept.pulse = Pulse(kept.part.alive, kept.part.hang_s)
            kept.enter(Phase.READY)
        elif time.monotonic() > kept.due:
            self._fell(kept, f"{kept.part.name} was not ready after {kept.part.start_s:.0f} s; see {kept.child.log}")

    def _watch_ready(self, kept: Kept) -> None:
        if not kept.child.alive:
            self._fell(kept, kept.child.last_words())
        elif kept.pulse is not None and (silent_s := kept.pulse.silent_s):
            name, log = kept.part.name, kept.child.log
            self._fell(kept, f"{name} hung: it did not show for {silent_s:.0f} s that it is alive; its log is {log}")

    def _fell(self, kept: Kept, reason: str) -> None:
        """It ended, hangs, or never got ready: its whole group goes, and it is due again after a delay."""
        steady = kept.phase is Phase.READY and time.time() - kept.since > STEADY_S
        kept.failures = 1 if steady else kept.failures + 1
        kept.reason = reason
        self._end(kept)
        if self._phase is Phase.STARTING and (kept.child.exit_code == 2 or kept.failures >= PATIENCE):
            raise StackError(reason)
        kept.due = time.monotonic() + min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (kept.failures - 1))
        kept.enter(Phase.BACKOFF)

    # The end

    def _stop_all(self) -> None:
        """Who needs others stops before them; those that stop together are asked together."""
        remaining = {name for name, kept in self._kept.items() if kept.child.pid is not None}
        while remaining:
            needed = {need for name in remaining for need in self._all_needs(name)}
            layer = [self._kept[name] for name in remaining - needed]
            for kept in layer:
                kept.child.terminate()
            deadline = time.monotonic() + max((kept.part.grace_s for kept in layer), default=0.0)
            while any(kept.child.alive for kept in layer) and time.monotonic() < deadline and not self._hurry.is_set():
                time.sleep(0.02)
            for kept in layer:
                self._end(kept)
                kept.enter(Phase.STOPPED)
                remaining.discard(kept.part.name)
            self._publish()

    def _all_needs(self, name: str) -> set[str]:
        """The parts it needs, through steps too."""
        steps = {step.name: step.needs for step in self._steps}
        found: set[str] = set()
        todo = list(self._kept[name].part.needs)
        while todo:
            need = todo.pop()
            found.add(need)
            todo.extend(steps.get(need, ()))
        return found

    def _end(self, kept: Kept) -> None:
        if kept.pulse is not None:
            kept.pulse.stop()
            kept.pulse = None
        kept.child.kill()
        if self._guard is not None and kept.child.pid is not None:
            self._guard.forget(kept.child.pid)

    # What others see

    def _publish(self) -> None:
        now = self.status()
        if now != self._last:
            self._last = now
            state.write(self._home, now)
            if self._on_change is not None:
                self._on_change(now)

    @property
    def _log(self) -> Path:
        return self._home / "log"

    def _waiting_for(self) -> str:
        late = [name for name, kept in self._kept.items() if kept.phase is not Phase.READY]
        return ", ".join(late) or "the stack"
