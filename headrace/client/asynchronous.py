"""The client inside an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from headrace.client.counts import Count
from headrace.client.options import Options
from headrace.client.transport import Transport
from headrace.client.typed import Meaningless
from headrace.contract.events import Event, Feedback, Inference
from headrace.settings import Settings
from headrace.spool import SpoolState

if TYPE_CHECKING:
    from headrace.contract.fast_reading import Read


class AsyncClient:
    """Records events from a coroutine; see headrace.client. `async with` starts and closes it.

    transport: replaces Kafka and HTTP in tests
    The other arguments are those of headrace.client.options.Options.
    """

    def __init__(self, settings: Settings | None = None, *, transport: Transport | None = None, **options: Any) -> None:
        self._options = Options(settings, **options)
        self._sender, self._counts, self._spool = self._options.sender(transport)

    @property
    def emitter(self) -> str:
        """The name that events bear and counts go by: unique to this client."""
        return self._counts.emitter

    def count(self, kind: str) -> Count:
        """How many `inferences`, or how much `feedback`, was emitted, acknowledged and dropped."""
        return self._counts.of(kind)

    async def start(self) -> None:
        """Begin to send in the background. Never fails: where nothing answers, events wait."""
        self._sender.start()

    def inference(self, event: Inference | None = None, /, **fields: Any) -> UUID | str:
        """Record an answer and return its id at once. Raises EventError that names a wrong field, nothing else."""
        answer = self._options.inference(event, fields)
        self._sender.mind(answer)
        return self._offer(answer)

    def answered(self, event: Read, body: bytes) -> None:
        """Record an answer that headrace.contract.fast_reading made, by its JSON; see `inference`."""
        if self._sender.offer(event, body):
            self._sender.wake()

    def feedback(self, event: Feedback | None = None, /, **fields: Any) -> UUID | str:
        """Record a sign of how good an answer was; see `inference`. Typed text that means nothing is dropped."""
        try:
            return self._offer(self._options.feedback(event, fields))
        except Meaningless as typed:
            return self._offer(typed.event, f"{typed}: it is dropped and counted")

    async def send(self, events: Sequence[Event]) -> None:
        """Return when these events are stored. Raises HeadraceError where not all of them are known to be.

        Goes past the buffer, so it neither waits for what `inference` recorded nor keeps order with it. Events sent
        again after an error are the same events.
        """
        await self._sender.send(events)

    async def keep(self, events: Sequence[Event | Read], wait_s: float, given: Sequence[bytes] = ()) -> bool:
        """True when these events are stored, False when after `wait_s` only the spool has them: they follow.

        given: for each event the JSON object that it was read from in strict mode, to pass on; or none

        Raises HeadraceError where neither has all of them: the spool is full, or there is none, and sending failed.
        """
        return await self._sender.keep(events, wait_s, given)

    @property
    def spooled(self) -> SpoolState:
        """What the spool holds; zeros where there is none."""
        return self._spool.state if self._spool else SpoolState()

    async def flush(self, timeout_s: float = 5.0) -> bool:
        """True once everything recorded so far is stored or given up, False when the time is up before."""
        return await self._sender.flush(timeout_s)

    async def close(self, timeout_s: float = 5.0) -> bool:
        """Flush, then stop; True when nothing is left. What is left is dropped and counted, or stays in the spool."""
        return await self._sender.close(timeout_s)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def _offer(self, event: Event, meaningless: str = "") -> UUID | str:
        if meaningless:
            self._sender.drop(event, "meaningless", meaningless)
        elif self._sender.offer(event):
            self._sender.wake()
        return event.called
