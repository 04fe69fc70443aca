"""What the producer, the consumer and the topics share: errors as one sentence, a stop that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from headrace.bus.kafka.security import client_options, refusal
from headrace.errors import Fenced, HeadraceError
from headrace.settings import Settings

STOP_TIMEOUT_S = 2.0
UNAUTHORIZED = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
FENCED = (ProducerFenced, InvalidProducerEpoch)


@contextlib.asynccontextmanager
async def reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of no group and no topic, for offsets and metadata."""
    kafka = AIOKafkaConsumer(
        **client_options(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=15_000,
    )
    try:
        try:
            await kafka.start()
        except (KafkaError, OSError) as error:
            raise await explained(error, settings) from error
        yield kafka
    except (KafkaError, OSError) as error:
        raise translated(error, settings) from error
    finally:
        await stop(kafka)


@contextlib.asynccontextmanager
async def administration(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for topics and rights. Raises HeadraceError where no broker answers, or it refuses what is asked."""
    admin = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=15_000)
    try:
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            raise await explained(error, settings) from error
        yield admin
    except (KafkaError, TimeoutError, OSError) as error:
        raise translated(error, settings) from error
    finally:
        with _cancelled_after_all():
            await admin.close()


def by_partition(offsets: Mapping[tuple[str, int], int]) -> dict[TopicPartition, int]:
    """Offsets by (topic, partition), as aiokafka takes them."""
    return {TopicPartition(topic, partition): offset for (topic, partition), offset in offsets.items()}


async def explained(error: BaseException, settings: Settings) -> HeadraceError:
    """As `translated`, of an error at a start: where a broker is there and refuses the login, that is what it says."""
    if isinstance(error, KafkaConnectionError) and (said := await refusal(settings)):
        return said
    return translated(error, settings)


def translated(error: BaseException, settings: Settings) -> HeadraceError:
    """One of headrace's errors for one of aiokafka's."""
    if isinstance(error, FENCED):
        return Fenced("another process owns this transactional id")
    if isinstance(error, UNAUTHORIZED):
        return HeadraceError(
            f"Kafka at {settings.kafka} does not let this client do that ({error}); `headrace acls` says what it needs"
        )
    if isinstance(error, (KafkaConnectionError, TimeoutError, OSError)):
        return HeadraceError(
            f"no Kafka broker answers at {settings.kafka}; start one with `headrace up` or set HEADRACE_KAFKA"
        )
    return HeadraceError(f"Kafka at {settings.kafka} refused: {error}")


async def stop(kafka: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Stop within STOP_TIMEOUT_S: an idempotent producer would wait for ever for a broker that is gone."""
    with _cancelled_after_all():
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await kafka.stop()
        except TimeoutError:
            if isinstance(kafka, AIOKafkaProducer):
                await kafka._sender.close()
                await kafka.client.close()
        except (KafkaError, OSError):
            return


@contextlib.contextmanager
def _cancelled_after_all() -> Iterator[None]:
    """Raises CancelledError at the end where this task was cancelled within, whatever else failed there.

    aiokafka's clients end tasks of their own while they close, and take the cancellation of whoever closes them for
    the end of those: a task that loops around a client would go on, and an await of its end would never return.
    """
    task = asyncio.current_task()
    assert task is not None, "clients are closed by a task"
    before = task.cancelling()
    try:
        yield
    except Exception as error:
        if task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if task.cancelling() > before:
        raise asyncio.CancelledError
