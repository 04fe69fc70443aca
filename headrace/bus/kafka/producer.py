"""Writes to Kafka: every in-sync replica, idempotent, compressed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError

from headrace.bus.kafka.connection import (
    FENCED,
    STOP_TIMEOUT_S,
    UNAUTHORIZED,
    by_partition,
    explained,
    stop,
    translated,
)
from headrace.bus.kafka.security import client_options
from headrace.contract.topics import MIB, TOPICS, Topic
from headrace.errors import Fenced, HeadraceError
from headrace.settings import Settings

# Room for the headers of a record batch around the largest record of any topic.
MAX_REQUEST_BYTES = max(topic.max_record_bytes for topic in TOPICS) + MIB

Record = tuple[Topic, bytes | None, bytes | None]
"""What a transaction writes: a topic, a value and a key."""


class KafkaProducer:
    """Writes records; see headrace.bus.protocol.Producer.

    client_id: what the broker's logs call it
    transactional_id: names the owner of a job or rollout; a second producer of the same id fences this one. With it
        only `transact` writes, without it only `send`; after an error other than Fenced its owner, if it still is
        one, starts it again
    timeout_s: after it a record counts as not known to be stored
    max_request_bytes: a record that is larger before compression is refused here
    """

    def __init__(
        self,
        settings: Settings,
        client_id: str = "headrace",
        transactional_id: str = "",
        timeout_s: float = 30.0,
        max_request_bytes: int = MAX_REQUEST_BYTES,
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._transactional_id = transactional_id
        self._timeout_s = timeout_s
        self._max_request_bytes = max_request_bytes
        self._kafka: AIOKafkaProducer | None = None
        self._broken = False
        self._opening = asyncio.Lock()

    async def start(self) -> None:
        """See Producer.start. A transactional producer fences its predecessors here."""
        async with self._opening:
            await self._close()
            await self._open()

    async def send(self, topic: Topic, value: bytes | None, key: bytes | None = None) -> None:
        """See Producer.send. A record larger than the topic takes is refused here, before it blocks others."""
        if value is not None and len(value) > topic.max_record_bytes:
            raise HeadraceError(
                f"a record of {len(value)} bytes is too large for {topic.name}, which takes {topic.max_record_bytes}"
            )
        kafka = await self._working()
        with self._failures(f"a record for {topic.name}"):
            async with asyncio.timeout(self._timeout_s):
                await kafka.send_and_wait(topic.name, value, key=key)

    async def send_to(self, topic: Topic, partition: int, value: bytes) -> int:
        """Returns the offset of the record once every in-sync replica has it, at a partition of the caller's choice.

        Raises HeadraceError where it is not known to be stored.
        """
        kafka = await self._working()
        with self._failures(f"a record for {topic.name}"):
            async with asyncio.timeout(self._timeout_s):
                return int((await kafka.send_and_wait(topic.name, value, partition=partition)).offset)

    async def transact(
        self, records: Sequence[Record], offsets: Mapping[tuple[str, int], int] | None = None, group: str = ""
    ) -> None:
        """Write records and commit a group's next offsets as one: all of it becomes visible, or nothing.

        Raises Fenced where a later producer of the same transactional id took over, HeadraceError where the
        transaction is not known to be committed.
        """
        kafka = await self._working()
        with self._failures("a transaction"):
            try:
                async with asyncio.timeout(self._timeout_s):
                    await kafka.begin_transaction()
                    await asyncio.gather(
                        *[await kafka.send(topic.name, value, key=key) for topic, value, key in records]
                    )
                    if offsets:
                        await kafka.send_offsets_to_transaction(by_partition(offsets), group)
                    await kafka.commit_transaction()
            except FENCED:
                raise
            except (KafkaError, TimeoutError):
                await self._abort(kafka)
                raise

    async def stop(self) -> None:
        """See Producer.stop. Bounded by STOP_TIMEOUT_S where no broker answers any more."""
        async with self._opening:
            await self._close()

    async def _abort(self, kafka: AIOKafkaProducer) -> None:
        """End the transaction now: readers would wait for its time-out. The first error is the one to tell."""
        # aiokafka asserts its transitions: a transaction may be beyond aborting.
        with contextlib.suppress(KafkaError, IllegalOperation, TimeoutError, AssertionError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await kafka.abort_transaction()

    async def _working(self) -> AIOKafkaProducer:
        """The connection, opened anew after a failure: an idempotent producer cannot go on past a lost batch."""
        if self._transactional_id:
            # Opening it anew would fence a rightful successor: only an owner who knows that it is one may do that.
            if self._kafka is None or self._broken:
                raise HeadraceError(f"the producer {self._transactional_id!r} is not started, or failed before")
            return self._kafka
        if self._kafka is None or self._broken:
            async with self._opening:
                if self._kafka is None or self._broken:
                    await self._close()
                    await self._open()
        assert self._kafka is not None
        return self._kafka

    async def _open(self) -> None:
        kafka = AIOKafkaProducer(
            **client_options(self._settings),
            client_id=self._client_id,
            transactional_id=self._transactional_id or None,
            enable_idempotence=True,
            acks="all",
            # aiokafka packs lz4 at its highest level: ten times the time for a fourth less.
            compression_type="snappy",
            max_request_size=self._max_request_bytes,
            max_batch_size=MIB,
            request_timeout_ms=15_000,
            metadata_max_age_ms=30_000,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                await kafka.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await stop(kafka)
            raise await explained(error, self._settings) from error
        except BaseException:
            await stop(kafka)
            raise
        self._kafka, self._broken = kafka, False

    async def _close(self) -> None:
        kafka, self._kafka = self._kafka, None
        if kafka is not None:
            await stop(kafka)

    @contextlib.contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        try:
            yield
        except FENCED as error:
            raise Fenced(f"another process took over {self._transactional_id!r}") from error
        except TimeoutError as error:
            self._broken = True
            raise HeadraceError(
                f"{what} was not acknowledged by Kafka at {self._settings.kafka} within {self._timeout_s:.0f} s"
            ) from error
        except UNAUTHORIZED as error:
            self._broken = True
            raise HeadraceError(f"{what} was not stored: {translated(error, self._settings)}") from error
        except (KafkaError, IllegalOperation) as error:
            self._broken = True
            raise HeadraceError(f"{what} was not stored by Kafka at {self._settings.kafka}: {error}") from error
