"""The client for programs without an event loop: a daemon thread runs one for it."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401  (an ending interpreter can no longer import it, and asyncio needs it)
import contextlib
import os
import threading
import weakref
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from headrace.client.counts import Count
from headrace.client.options import Options
from headrace.client.transport import Transport
from headrace.client.typed import Meaningless
from headrace.contract.events import Event, Feedback, Inference
from headrace.settings import Settings
from headrace.spool import SpoolState

EXIT_TIMEOUT_S = 5.0


class Client:
    """Records events from any thread; see headrace.client. `with` closes it.

    transport: replaces Kafka and HTTP in tests
    The other arguments are those of headrace.client.options.Options.
    """

    def __init__(self, settings: Settings | None = None, *, transport: Transport | None = None, **options: Any) -> None:
        self._options = Options(settings, **options)
        self._transport = transport
        self._starting = threading.Lock()
        self._start()
        self._mind_forks_and_the_end()

    @property
    def emitter(self) -> str:
        """The name that events bear and counts go by: unique to this client and process."""
        return self._counts.emitter

    def count(self, kind: str) -> Count:
        """How many `inferences`, or how much `feedback`, was emitted, acknowledged and dropped."""
        return self._counts.of(kind)

    @property
    def spooled(self) -> SpoolState:
        """What the spool holds; zeros where there is none."""
        return self._spool.state if self._spool else SpoolState()

    def inference(self, event: Inference | None = None, /, **fields: Any) -> UUID | str:
        """Record an answer and return its id at once. Raises EventError that names a wrong field, nothing else."""
        answer = self._options.inference(event, fields)
        self._sender.mind(answer)
        return self._offer(answer)

    def feedback(self, event: Feedback | None = None, /, **fields: Any) -> UUID | str:
        """Record a sign of how good an answer was; see `inference`. Typed text that means nothing is dropped."""
        try:
            return self._offer(self._options.feedback(event, fields))
        except Meaningless as typed:
            return self._offer(typed.event, f"{typed}: it is dropped and counted")

    def flush(self, timeout_s: float = 5.0) -> bool:
        """True once everything recorded so far is stored or given up, False when the time is up before."""
        return self._in_loop(self._sender.flush(timeout_s), False)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Flush, then stop; True when nothing is left. What is left is dropped and counted, or stays in the spool."""
        flushed = self._in_loop(self._sender.close(timeout_s), True)
        atexit.unregister(self._exit)
        if not self._forked and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(1.0)
        return flushed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _offer(self, event: Event, meaningless: str = "") -> UUID | str:
        if self._forked:
            with self._starting:
                if self._forked:
                    self._start()
        if meaningless:
            self._sender.drop(event, "meaningless", meaningless)
        elif self._sender.offer(event):
            self._loop.call_soon_threadsafe(self._sender.wake)
        return event.called

    def _exit(self) -> None:
        self.close(self._exit_timeout_s)

    def _start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._sender, self._counts, self._spool = self._options.sender(self._transport)
        self._thread = threading.Thread(target=_run, args=(self._loop,), name="headrace-client", daemon=True)
        self._thread.start()
        self._loop.call_soon_threadsafe(self._sender.start)
        self._forked = False

    def _in_loop(self, coroutine: Coroutine[Any, Any, bool], otherwise: bool) -> bool:
        """What a coroutine of the sender returns; `otherwise` where its loop has ended or stayed with the parent."""
        if self._forked or not self._thread.is_alive():
            coroutine.close()
            return otherwise
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _mind_forks_and_the_end(self) -> None:
        client = weakref.ref(self)

        def after_fork() -> None:
            if (found := client()) is not None:
                # The child has none of its parent's threads, and perhaps a lock that one of them held.
                found._forked, found._starting = True, threading.Lock()

        def flush() -> None:
            if (found := client()) is not None:
                # Where nothing answered now nothing will in a moment: the program is not held up twice.
                found._exit_timeout_s = EXIT_TIMEOUT_S if found.flush(EXIT_TIMEOUT_S) else 0.0

        os.register_at_fork(after_in_child=after_fork)
        # Flushed when the main thread ends, while the interpreter still makes threads (host names are looked up in
        # one); closed when the others have ended too, for they may still record. The second is a strong reference:
        # a client that nobody holds any more still has events.
        with contextlib.suppress(AttributeError, RuntimeError):
            threading._register_atexit(flush)  # type: ignore[attr-defined]
        self._exit_timeout_s = EXIT_TIMEOUT_S
        atexit.register(self._exit)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
