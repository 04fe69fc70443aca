"""The background half of a client: takes what waits, packs it, sends it until it is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from headrace.client.buffer import Buffer
from headrace.client.counts import Counts
from headrace.client.packing import BUCKETS, Entry, Packed, counted_of, entry, kind_of, merge, pack, topic_of
from headrace.client.reports import publish, publish_last
from headrace.client.shipping import Shipment, Shipper
from headrace.client.source import InMemory, Source, Spooled, frames
from headrace.client.transport import SomeRefused, Transport
from headrace.client.waiters import Waiters
from headrace.contract import ids
from headrace.contract.events import Event, Inference
from headrace.errors import EventError
from headrace.spool import Journal, Spool, SpoolFull

if TYPE_CHECKING:
    from headrace.contract.fast_reading import Read

LINGER_S, AWAITED_LINGER_S = 0.025, 0.012
"""How long an event waits for others to be packed with; the second while somebody waits for it to be stored."""
ROUND_S, ENOUGH = 0.1, 1000
"""Rounds begin no more often while nobody waits and the last one shipped fewer events than ENOUGH: a record costs as
much with four of them as with forty."""
COUNT_EVERY_S = 5.0
AGAIN_S = 1.0
"""How long after an unexpected error sending goes on."""

log = logging.getLogger("headrace.client")


class Sender:
    """Runs in one event loop. `offer` may be called from any thread; everything else belongs to the loop.

    A round takes what waits and ends when all of it is stored or given up, so rounds keep the order of a bucket.
    With a spool, what dead processes left goes first, then its own events, then those it had no room for.
    An unexpected error ends a round, which the log says, and not the loop: what the spool has is taken again.
    """

    def __init__(
        self, transport: Transport, buffer: Buffer, counts: Counts, spool: Spool | None = None, buckets: int = BUCKETS
    ) -> None:
        self._transport = transport
        self._shipper = Shipper(transport, counts.emitter, "the spool" if spool else "a bounded buffer")
        self._buffer = buffer
        self._counts = counts
        self._spool = spool
        self._buckets = buckets
        self._arrived = asyncio.Event()
        self._hurry = asyncio.Event()
        self._progress = asyncio.Condition()
        self._waiters = Waiters()
        self._tasks: list[asyncio.Task[None]] = []
        self._look = True
        self._began = 0.0
        self._shipped = 0

    def mind(self, answer: Inference) -> None:
        """Warn of an answer whose id is of another time: it is stored, and no window counts it."""
        if not answer.given_id and not ids.fits(answer.inference_id, answer.occurred_at):
            at = ids.time_of(answer.inference_id)
            self._shipper.warn(
                "apart",
                f"the id of answer {answer.inference_id} is of {at:%Y-%m-%d %H:%M}, more than a day from its"
                " occurred_at: it is stored, and is in no window and no accuracy; leave inference_id out, and it is"
                " made of occurred_at (said once a minute)",
            )

    def drop(self, event: Event, what: str, why: str) -> None:
        """Count an event as dropped, and say so; what: the kind of reason, of which each is said once a minute"""
        self._dropped(event, int(self._counts.first(event)), what, why)

    def _dropped(self, event: Event | Read, counted: int, what: str, why: str) -> None:
        kind = kind_of(topic_of(event))
        self._outside(kind, emitted=counted, dropped=counted)
        self._counts.add(kind, emitted=counted, dropped=counted)
        self._counts.forget(event)
        self._shipper.warn(what, f"{why} (said once a minute)")

    def offer(self, event: Event | Read, given: bytes = b"") -> bool:
        """Keep an event, or count it as dropped. True: the sender may sleep and wants `wake`.

        given: its JSON, see `entry`
        """
        made = entry(event, self._counts.owner(event), given=given, buckets=self._buckets)
        kind = kind_of(made.topic)
        counted = int(self._counts.first(event))
        made = made if counted else made._replace(counted=0)
        kept = self._spooled([made]) is not None
        if not kept and (kept := self._buffer.add(made) > 0):
            self._outside(kind, emitted=counted)
        if kept:
            self._counts.add(kind, emitted=counted)
            return not self._arrived.is_set()
        self._dropped(event, counted, "full", "the buffer is full or closed: events are dropped and counted")
        return False

    def wake(self) -> None:
        """Something was offered."""
        self._arrived.set()

    def start(self) -> None:
        """Begin to send."""
        self._tasks = [asyncio.create_task(self._send_for_ever()), asyncio.create_task(self._tend())]
        self.wake()

    async def flush(self, timeout_s: float) -> bool:
        """True once everything offered so far is stored or given up, False when the time is up before."""
        own = self._own()
        target, appended = self._buffer.accepted, own.appended if own else 0
        self._hurry.set()
        self.wake()
        try:
            async with asyncio.timeout(timeout_s), self._progress:
                await self._progress.wait_for(
                    lambda: self._buffer.released >= target and (own is None or own.settled >= appended)
                )
        except TimeoutError:
            return False
        finally:
            self._hurry.clear()
        return True

    async def close(self, timeout_s: float) -> bool:
        """Flush, stop, publish the last counts and disconnect. What is left stays in the spool, or is dropped."""
        self._buffer.close()
        safe = self._spool is not None and self._buffer.released == self._buffer.accepted
        # What nobody takes and the spool has need not hold up the end of a program.
        flushed = await self.flush(0.0 if safe and self._shipper.away else timeout_s)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        self._give_up()
        # Where events did not get through counts hardly will, but a refusal or a short bound are other cases.
        published = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0 if flushed else 1.0):
                published = await self._publish_counts()
        if self._spool is not None:
            self._spool.close(finished=flushed and published)
        await self._transport.close()
        return flushed

    async def send(self, events: Sequence[Event | Read], given: Sequence[bytes] = ()) -> None:
        """Store events now, past the buffer; `given` as for `keep`.

        Raises HeadraceError where not all of them are known to be stored.
        """
        buckets = pack(self._entries(events, repeat(True), given))
        outcomes = await asyncio.gather(*[self._in_order(bucket) for bucket in buckets], return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            # Only what is stored counts as emitted: whoever asked learns of the rest, and asks again or not.
            raise errors[0]
        for event in events:
            if self._counts.first(event):
                self._outside(kind_of(topic_of(event)), emitted=1, acknowledged=1)
                self._counts.add(kind_of(topic_of(event)), emitted=1, acknowledged=1)

    async def keep(self, events: Sequence[Event | Read], wait_s: float, given: Sequence[bytes] = ()) -> bool:
        """Append events to the spool with one write. True: stored within `wait_s`; False: later, from the spool.

        given: for each event the bytes it was read from, see `entry`; or none
        While the other side is known not to answer nobody waits for it.
        What the spool has no room for is sent at once, see `send`; so is everything where there is no spool.
        """
        fresh = self._counts.firsts(events)
        try:
            made = self._entries(events, fresh, given)
            target = self._spooled(merge(made)) if made else 0
        except EventError:
            self._forget(events, fresh)
            raise
        if target is None:
            self._forget(events, fresh)
            await self.send(events, given)
            return True
        for kind, counted in counted_of(made).items():
            self._counts.add(kind, emitted=counted)
        self.wake()
        return await self._waiters.wait(target, 0.0 if self._shipper.away else wait_s)

    def _entries(self, events: Sequence[Event | Read], counted: Iterable[bool], given: Sequence[bytes]) -> list[Entry]:
        return [
            entry(event, self._counts.owner(event), first, body, self._buckets)
            for event, first, body in zip(events, counted, given or repeat(b""), strict=False)
        ]

    def _forget(self, events: Sequence[Event | Read], fresh: Sequence[bool]) -> None:
        for event, first in zip(events, fresh, strict=True):
            if first:
                self._counts.forget(event)

    def _own(self) -> Journal | None:
        return self._spool.own if self._spool else None

    def _spooled(self, entries: Sequence[Entry]) -> int | None:
        """See Journal.append; None where there is no spool, or no room in it."""
        if self._spool is None:
            return None
        try:
            return self._spool.append(frames(entries))
        except SpoolFull as error:
            self._shipper.warn("spool", f"{error}; events go past it, and a crash may lose them (said once a minute)")
            return None

    def _outside(self, kind: str, emitted: int = 0, acknowledged: int = 0, dropped: int = 0) -> None:
        """Count what is not in the spool beside it, for whoever takes over."""
        if (own := self._own()) is not None:
            own.count(kind, emitted, acknowledged, dropped)

    async def _in_order(self, bucket: list[Packed]) -> None:
        for record in bucket:
            if rejected := await self._transport.send(record):
                raise SomeRefused(
                    f"{len(rejected)} of {record.events} events were refused: {next(iter(rejected.values()))}"
                )

    async def _send_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            await self._linger()
            self._arrived.clear()
            if self._spool is not None and self._look:
                await self._inherit(self._spool)
            own = self._own()
            with self._going_on(own):
                await self._send_own(own)
                continue
            await asyncio.sleep(AGAIN_S)
            self.wake()

    async def _linger(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not self._hurry.is_set():
            # Somebody may begin to wait meanwhile.
            due = began + (AWAITED_LINGER_S if self._waiters else LINGER_S)
            if not self._waiters and self._shipped < ENOUGH:
                due = max(due, self._began + ROUND_S)
            if (left := due - loop.time()) <= 0:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, AWAITED_LINGER_S)):
                    await self._hurry.wait()
        self._began, self._shipped = loop.time(), 0

    async def _send_own(self, own: Journal | None) -> None:
        while (own and await self._round(Spooled(own))) or await self._round(InMemory(self._buffer, own)):
            # Under load a round would follow the other with a few events in each record.
            if self._arrived.is_set() and not self._waiters:
                await self._round(InMemory(self._buffer, own))
                break

    async def _inherit(self, spool: Spool) -> None:
        """Ship what dead processes left; where that fails it is tried again at the next look."""
        self._look = False
        with self._going_on():
            for journal in spool.inherit():
                with self._going_on(journal):
                    await self._ship_left(spool, journal)
            spool.tidy()

    async def _ship_left(self, spool: Spool, journal: Journal) -> None:
        """Ship what a dead process left, and say how much it had emitted in all."""
        while await self._round(Spooled(journal), inherited=True):
            pass
        if journal.reported or not journal.empty:
            return
        try:
            await publish_last(self._transport, journal)
        except Exception as error:
            self._shipper.warn("away", f"{error}; events wait in the spool (said once a minute)")
        else:
            log.info("%s: shipped what %s had left in the spool", self._counts.emitter, journal.emitter)
            spool.report(journal)

    @contextlib.contextmanager
    def _going_on(self, journal: Journal | None = None) -> Iterator[None]:
        """An error that is not the transport's is said and goes no further; what a round took is taken again."""
        try:
            yield
        except Exception as error:  # whatever it is, the events that wait or come later must not be lost for it
            if journal is not None:
                journal.put_back()
            self._shipper.warn("error", f"sending was held up, it goes on: {error!r} (said once a minute)", error)

    async def _round(self, source: Source, inherited: bool = False) -> bool:
        """Send what a source has next. False where it has nothing."""
        entries = source.take()
        if not entries:
            return False
        self._shipped += sum(one.events for one in entries)
        shipment = Shipment(entries)
        counts = None if inherited else self._counts
        done = False
        try:
            await self._shipper.ship(shipment, counts)
            done = True
        finally:
            # Cancelled, what is in memory is lost and what is in the spool is not.
            if done or isinstance(source, InMemory):
                self._settle(source, entries, shipment.refused + shipment.left, counts)
            async with self._progress:
                self._progress.notify_all()
        return True

    def _settle(self, source: Source, entries: list[Entry], dropped: Counter[str], counts: Counts | None) -> None:
        if counts is not None:
            for kind, events in dropped.items():
                counts.add(kind, dropped=events)
        source.settle(entries, dropped)
        if (own := self._own()) is not None:
            self._waiters.reached(own.settled)

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(COUNT_EVERY_S)
            await self._publish_counts()
            if self._spool is not None:
                # Another process may have died meanwhile.
                self._look = True
                self.wake()

    async def _publish_counts(self) -> bool:
        try:
            await publish(self._transport, self._counts, self._own())
        except Exception as error:
            self._shipper.warn("away", f"{error}; counts are published later (said once a minute)")
            return False
        return True

    def _give_up(self) -> None:
        """Count as dropped what is in memory alone."""
        source = InMemory(self._buffer, self._own())
        while entries := source.take():
            self._settle(source, entries, counted_of(entries), self._counts)
