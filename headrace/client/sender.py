"""The background half of a client: takes what the buffer holds, packs it, sends it until it is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from dataclasses import replace

from headrace.client.buffer import Buffer
from headrace.client.counts import Counts
from headrace.client.packing import Entry, Packed, entry, kind_of, pack, topic_of
from headrace.client.transport import Refused, Transport
from headrace.events import Event

LINGER_S = 0.025
COUNT_EVERY_S = 5.0
ROUND_EVENTS = 20_000
FIRST_RETRY_S, LAST_RETRY_S = 0.1, 5.0

log = logging.getLogger("headrace.client")


class Sender:
    """Runs in one event loop. `offer` may be called from any thread; everything else belongs to the loop.

    A round takes what waits and ends when all of it is stored or given up, so rounds keep the order of a bucket.
    """

    def __init__(self, transport: Transport, buffer: Buffer, counts: Counts) -> None:
        self._transport = transport
        self._buffer = buffer
        self._counts = counts
        self._arrived = asyncio.Event()
        self._hurry = asyncio.Event()
        self._progress = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self._warned: set[str] = set()

    def offer(self, event: Event) -> bool:
        """Buffer an event, or count it as dropped. True: the sender may sleep and wants `wake`."""
        event = self._signed(event)
        made = entry(event)
        kind = kind_of(made.topic)
        first = self._counts.first(event)
        self._counts.add(kind, emitted=int(first))
        if waiting := self._buffer.add(made if first else replace(made, counted=False)):
            return waiting == 1
        self._counts.add(kind, dropped=int(first))
        self._counts.forget(event)
        self._warn("full", "the buffer is full or closed: events are dropped and counted (said once)")
        return False

    def wake(self) -> None:
        """Something was offered."""
        self._arrived.set()

    def start(self) -> None:
        """Begin to send."""
        self._tasks = [asyncio.create_task(self._send_for_ever()), asyncio.create_task(self._count_for_ever())]
        self.wake()

    async def flush(self, timeout_s: float) -> bool:
        """True once everything offered so far is stored or given up, False when the time is up before."""
        target = self._buffer.accepted
        self._hurry.set()
        self.wake()
        try:
            async with asyncio.timeout(timeout_s), self._progress:
                await self._progress.wait_for(lambda: self._buffer.released >= target)
        except TimeoutError:
            return False
        finally:
            self._hurry.clear()
        return True

    async def close(self, timeout_s: float) -> bool:
        """Flush, stop, count what is left as dropped, publish the last counts and disconnect."""
        self._buffer.close()
        flushed = await self.flush(timeout_s)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        self._give_up(self._buffer.take(ROUND_EVENTS * 1000))
        # Where events did not get through counts hardly will, but a refusal or a short bound are other cases.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0 if flushed else 1.0):
                await self._publish_counts()
        await self._transport.close()
        return flushed

    async def send(self, events: Sequence[Event]) -> None:
        """Store events now, past the buffer. Raises HeadraceError where not all of them are known to be stored."""
        events = [self._signed(event) for event in events]
        buckets = pack(entry(event) for event in events)
        outcomes = await asyncio.gather(*[self._in_order(bucket) for bucket in buckets], return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            # Only what is stored counts as emitted: whoever asked learns of the rest, and asks again or not.
            raise errors[0]
        for event in events:
            if self._counts.first(event):
                self._counts.add(kind_of(topic_of(event)), emitted=1, acknowledged=1)

    def _signed(self, event: Event) -> Event:
        """The event with this emitter's name, by which reconciliation finds who counted it."""
        if event.emitter == self._counts.emitter:
            return event
        extra = event.extra | {"emitter": event.emitter} if event.emitter else event.extra
        return event.model_copy(update={"emitter": self._counts.emitter, "extra": extra})

    async def _in_order(self, bucket: list[Packed]) -> None:
        for record in bucket:
            await self._transport.send(record)

    async def _send_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            # Not wait_for: before Python 3.12 it may swallow the cancellation that ends this task.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._hurry.wait()
            while entries := self._buffer.take(ROUND_EVENTS):
                await self._round(entries)

    async def _round(self, entries: list[Entry]) -> None:
        unsent: set[Packed] = set()
        try:
            await asyncio.gather(*[self._persist(bucket, unsent) for bucket in pack(entries)])
        finally:
            for record in unsent:
                self._counts.add(kind_of(record.topic), dropped=record.counted)
            self._buffer.release(entries)
            async with self._progress:
                self._progress.notify_all()
        if not unsent:
            self._warned.clear()

    async def _persist(self, bucket: list[Packed], unsent: set[Packed]) -> None:
        """Send a bucket's records one after the other, each until it is stored or refused."""
        unsent.update(bucket)
        for record in bucket:
            delay = FIRST_RETRY_S
            while True:
                try:
                    await self._transport.send(record)
                except Refused as error:
                    self._warn("refused", f"{error}; such events are dropped and counted (said once)")
                    break
                except Exception as error:  # whatever it is, the caller must not notice and the event must not be lost
                    self._warn("away", f"{error}; events wait in a bounded buffer (said once)")
                    await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                    delay = min(2 * delay, LAST_RETRY_S)
                else:
                    unsent.discard(record)
                    self._counts.add(kind_of(record.topic), acknowledged=record.counted)
                    break

    async def _count_for_ever(self) -> None:
        while True:
            await asyncio.sleep(COUNT_EVERY_S)
            await self._publish_counts()

    async def _publish_counts(self) -> None:
        for counter in self._counts.changed():
            try:
                await self._transport.count(counter)
            except Exception as error:
                self._warn("away", f"{error}; events wait in a bounded buffer (said once)")
                return
            self._counts.published(counter)

    def _give_up(self, entries: list[Entry]) -> None:
        for one in entries:
            self._counts.add(kind_of(one.topic), dropped=int(one.counted))
        self._buffer.release(entries)

    def _warn(self, what: str, text: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            log.warning("%s: %s", self._counts.emitter, text)
