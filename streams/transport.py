"""Faust's Kafka driver, with four changes.

It reads committed records only: an aborted claim on a control topic is no claim.

It polls a bounded number of bytes, of the partitions whose topic is not paused (streams.pressure). What was polled is
always delivered, and a delivery never waits for room: a topic that is not stored holds up no other one.

It reads a partition whose offsets went back, because its topic was made again. Faust would drop each record below the
offset that it had read, without a word, and then acknowledge from there on.

It spares four tasks a record: Faust races the delivery of each record against three reasons to stop, though it waits
for nothing outside a rebalance. Here it is run until it waits, and raced only then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Coroutine, Generator, Mapping
from types import coroutine
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.services import WaitResults

from headrace.bus.kafka.security import client_options
from headrace.settings import Settings
from streams.pressure import POLL_BYTES, MeasuredQueue, Pressure, weight

FETCH_WAIT_MS = 100
"""How long a fetch may wait for a first record. Until it ends no partition of its broker is fetched again, those among
them that were left out because they had records waiting: at Faust's 1,500 ms a busy topic stood behind empty ones."""
GROWTH = 3
"""How many times as many records as a poll has of a partition it takes of it at once, by the size of those."""
WHILE_PAUSED_S = 0.1
"""How long a poll waits while a topic is paused: until it ends the topic cannot be resumed."""
NOTHING = frozenset({TP("", 0)})
"""A poll of no partition at all. Without polls aiokafka would leave the group after `broker_max_poll_interval`."""
NO_BOUND = 2**31
"""Records that may wait for an agent: bytes are bounded instead."""

log = logging.getLogger("streams")


def broker_options(settings: Settings) -> dict[str, Any]:
    """Faust's options for the brokers and the login that every other client of these settings has.

    Raises SettingsError as `client_options` does.
    """
    options = client_options(settings)
    protocol, context = options["security_protocol"], options.get("ssl_context")
    login: faust.Credentials | None = None
    if "sasl_oauth_token_provider" in options:
        login = faust.OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    elif protocol.startswith("SASL"):
        login = faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    elif protocol == "SSL":
        login = faust.SSLCredentials(context)
    return {
        "broker": [f"kafka://{server}" for server in options["bootstrap_servers"]],
        "broker_credentials": login,
    }


class CommittedThread(driver.AIOKafkaConsumerThread):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._polls = 0
        self._turns: dict[Any, int] = {}

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust sets this for its own exactly-once mode alone, which has open bugs; aiokafka reads it at start.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: float | None = None, max_records: int | None = None
    ) -> dict[Any, list[Any]]:
        """What was fetched, up to POLL_BYTES, of all partitions alike; the rest is there for the next poll.

        Alike, because partitions hold events of the same time: where one is read ahead of others, blocks overlap, and
        ClickHouse takes twice as long to merge their parts and to read them with FINAL. (aiokafka fetches partitions of
        one broker together once all of them are empty, so one that had a record too many left would fall behind.)
        """
        found: dict[Any, list[Any]] = {}
        taken: Counter[Any] = Counter()
        largest: dict[Any, int] = {}

        async def take(places: Any, most: int, wait_s: float | None = 0) -> None:
            records = await super(CommittedThread, self)._fetch_records(consumer, places, wait_s, most)
            for place, more in records.items():
                weights = [weight(record.value) for record in more]
                found.setdefault(place, []).extend(more)
                taken[place] += sum(weights)
                largest[place] = max([largest.get(place, 1), *weights])

        async def fill() -> None:
            before = -1
            while before < (size := taken.total()) < POLL_BYTES:
                before = size
                places = [place for place in consumer._fetcher._records if place in active_partitions]
                # What each may have in all, so that those with less catch up.
                level = (POLL_BYTES - size + sum(taken[place] for place in places)) // max(1, len(places))
                # Where records are so large that not all partitions have their turn, the others begin the next poll.
                for place in sorted(places, key=lambda place: self._turns.get(place, 0)):
                    if (left := POLL_BYTES - taken.total()) <= 0:
                        return
                    most = 1  # to know its size
                    if place in largest:
                        # As many as there is room for, if they are like those before; a few small ones say nothing
                        # about thousands.
                        room = min(level - taken[place], left) // largest[place]
                        most = min(room, GROWTH * len(found[place]))
                    if most > 0:
                        await take({place}, most)

        await fill()
        if not found:
            await take(active_partitions, 1, timeout)
            await fill()
        self._polls += 1
        self._turns |= dict.fromkeys(found, self._polls)
        return found


class CommittedConsumer(driver.Consumer):
    _began_again: frozenset[TP] = frozenset()
    """Partitions whose offsets went back since the last commit began."""

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:
        """Records by partition, and the partitions that were asked for.

        Faust hands out its own set of partitions, which changes while the poll waits: records of a partition that is
        paused meanwhile would be skipped and their offsets passed over, and an empty set means every partition.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        active = self._get_active_partitions()
        if not active:
            # Between two assignments.
            await self.sleep(1)
            return {}, frozenset()
        paused = self.app.pressure.paused()
        wanted = frozenset(tp for tp in active if tp.topic not in paused)
        records = await self._getmany(wanted or NOTHING, WHILE_PAUSED_S if paused else timeout)
        for tp, found in records.items():
            if found and found[0].offset < (self._read_offset.get(tp) or 0):
                self._begin_again(tp, found[0].offset)
        return records, wanted

    def _begin_again(self, tp: TP, offset: int) -> None:
        """Read on from an offset that is lower than the one read last; acknowledge nothing of what was read before."""
        log.warning(
            "%s[%d] is read from offset %d after %s: its topic was made again, or records were lost",
            *(tp.topic, tp.partition, offset, self._read_offset[tp]),
        )
        for message in [message for message in self._unacked_messages if message.tp == tp]:
            message.acked = True
            self._unacked_messages.discard(message)
        for kept in (self._acked, self._acked_index, self._gap):
            if tp in kept:
                kept[tp].clear()
        self._read_offset[tp] = self._committed_offset[tp] = None
        self._began_again |= {tp}

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """As Faust's; what a commit on its way says of a former topic is not taken for the new one's."""
        self._began_again = frozenset()
        committed = bool(await super()._commit_offsets(offsets, start_new_transaction))
        self._committed_offset.update(dict.fromkeys(self._began_again & offsets.keys()))
        return committed

    async def read_anew(self, topics: Collection[str]) -> None:
        """Read topics that were made again from offset 0 on, also where they hold more than was read of the former."""
        for tp in [tp for tp in self._get_active_partitions() if tp.topic in topics]:
            self._begin_again(tp, 0)
            await self._thread.call_thread(_seek_beginning, self._thread._consumer, tp)

    async def join_again(self) -> None:
        """Ask the group for partitions; where this member leads it, they are shared out."""
        await self._thread.call_thread(_join_again, self._thread._consumer)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's look at a partition that nothing is read from; a paused one is meant to rest."""
        if not self.app.pressure.is_paused(tp.topic):
            super().verify_event_path(now, tp)

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:
        """As Faust's; a delivery that ends at once is not made a task. Called for each record by `_drain_messages`."""
        if len(coros) != 2 or timeout is not None or not asyncio.iscoroutine(coros[0]) or self.should_stop:
            return await super().wait_first(*coros, timeout=timeout)
        delivery, suspended = coros
        try:
            waits_for = delivery.send(None)
        except StopIteration as done:
            suspended.close()
            return WaitResults([delivery], [done.value], False)
        except BaseException:
            suspended.close()
            raise
        return await super().wait_first(_rest(delivery, waits_for), suspended)


async def _seek_beginning(consumer: Any, tp: TP) -> None:
    consumer.seek(tp, 0)


async def _join_again(consumer: Any) -> None:
    consumer._coordinator.request_rejoin()


async def _rest(delivery: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    """The rest of a coroutine that was begun by hand and now waits for something."""
    return await _resumed(delivery, waits_for)


@coroutine
def _resumed(delivery: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """What `await` does (PEP 380)."""
    try:
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:
                waits_for = delivery.throw(error)
            else:
                waits_for = delivery.send(sent)
    except StopIteration as done:
        return done.value


class CommittedTransport(driver.Transport):
    Consumer = CommittedConsumer


class MeasuredTopic(faust.Topic):
    """A topic whose records wait in a queue that knows their bytes."""

    _queue: MeasuredQueue | None

    @property
    def queue(self) -> MeasuredQueue:
        """Of the clone that an agent reads, its own; made when it is first asked for."""
        if self._queue is None:
            self._queue = MeasuredQueue(NO_BOUND, flow_control=self.app.flow_control, clear_on_resume=True)
        return self._queue


class CommittedApp(faust.App):
    """A Faust app whose consumer reads committed records only, within the bounds of `pressure`."""

    def __init__(self, *arguments: Any, pressure: Pressure, **options: Any) -> None:
        self.pressure = pressure
        super().__init__(*arguments, Topic=MeasuredTopic, **options)

    def _new_transport(self) -> CommittedTransport:
        return CommittedTransport(self.conf.broker_consumer, self)
