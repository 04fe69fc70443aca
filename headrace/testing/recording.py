"""The client that keeps what it is given."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from headrace.client.counts import Count, Counts
from headrace.client.options import Options
from headrace.client.packing import entry, kind_of
from headrace.client.typed import Meaningless
from headrace.contract.events import Event, Feedback, Inference
from headrace.spool import SpoolState

# Nothing is sent there.
_NOWHERE = "http://127.0.0.1:1"


class _Recording:
    """What both clients share.

    events: what was recorded, in order, one of each identity; an event given again is the same event
    full: from now on events are dropped and counted, as by a client whose gateway is away for long
    """

    def __init__(self, *, emitter: str = "sdk", tenant: str = "default") -> None:
        self._options = Options(url=_NOWHERE, emitter=emitter, tenant=tenant)
        self._counts = Counts(f"{emitter}.testing")
        self._lock = threading.Lock()
        self.events: list[Event] = []
        self.full = False

    @property
    def inferences(self) -> list[Inference]:
        """The answers recorded."""
        return [event for event in self.events if isinstance(event, Inference)]

    @property
    def feedbacks(self) -> list[Feedback]:
        """The feedback recorded."""
        return [event for event in self.events if isinstance(event, Feedback)]

    def feedback_on(self, answer: UUID | Inference) -> list[Feedback]:
        """Feedback that names this answer by its inference_id."""
        named = answer.inference_id if isinstance(answer, Inference) else answer
        return [event for event in self.feedbacks if event.inference_id == named]

    def clear(self) -> None:
        """Forget what was recorded; counts go on."""
        self.events.clear()

    @property
    def emitter(self) -> str:
        """The name that counts go by."""
        return self._counts.emitter

    @property
    def spooled(self) -> SpoolState:
        """Zeros: there is no spool."""
        return SpoolState()

    def count(self, kind: str) -> Count:
        """How many `inferences`, or how much `feedback`, was emitted, acknowledged and dropped."""
        return self._counts.of(kind)

    def inference(self, event: Inference | None = None, /, **fields: Any) -> UUID:
        """Record an answer and return its id. Raises EventError that names a wrong field, nothing else."""
        return self._keep(self._options.inference(event, fields))

    def feedback(self, event: Feedback | None = None, /, **fields: Any) -> UUID:
        """Record a sign of how good an answer was; see `inference`."""
        try:
            return self._keep(self._options.feedback(event, fields))
        except Meaningless as typed:
            return self._keep(typed.event, True)

    def _keep(self, event: Event, dropped: bool = False) -> UUID:
        kind = kind_of(entry(event).topic)
        with self._lock:
            first = int(self._counts.first(event))
            dropped = dropped or self.full
            self._counts.add(kind, emitted=first, acknowledged=0 if dropped else first, dropped=first * dropped)
            if dropped:
                self._counts.forget(event)
            elif first:
                self.events.append(event)
        return event.event_id


class RecordingClient(_Recording):
    """Stands for headrace.client.Client."""

    def flush(self, timeout_s: float = 5.0) -> bool:
        """True."""
        return True

    def close(self, timeout_s: float = 5.0) -> bool:
        """True; from now on events are dropped and counted."""
        self.full = True
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncRecordingClient(_Recording):
    """Stands for headrace.client.AsyncClient."""

    async def start(self) -> None:
        """Nothing has to begin."""

    async def send(self, events: Sequence[Event]) -> None:
        """Record these events."""
        for event in events:
            self._keep(event)

    async def flush(self, timeout_s: float = 5.0) -> bool:
        """True."""
        return True

    async def close(self, timeout_s: float = 5.0) -> bool:
        """True; from now on events are dropped and counted."""
        self.full = True
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()
