"""What the consumers' tests share: processes, topics that are followed, triggers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from warm_processes import Popen

from headrace.bus.kafka import KafkaConsumer, KafkaProducer
from headrace.contract import ids
from headrace.contract.control import Trigger, TriggerKind
from headrace.contract.events import Record
from headrace.contract.topics import Topic
from headrace.process.readiness import ready_file
from headrace.settings import Settings

R = TypeVar("R", bound=Record)


async def until(condition: Callable[[], Any], timeout_s: float = 90.0) -> Any:
    """The first true value of a condition. Fails after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
    return value


class Process:
    """A consumer as its own process."""

    def __init__(self, settings: Settings, argv: Sequence[str], name: str, log: Path) -> None:
        self.name, self.log = name, log
        self._ready = ready_file(settings.home, name)
        self._ready.unlink(missing_ok=True)
        with log.open("ab") as out:
            environ = os.environ | settings.environ()
            self.popen = Popen("consumers", [*argv, "--name", name], env=environ, stdout=out, stderr=out)

    async def ready(self) -> Process:
        await until(lambda: self._ready.exists() or self.popen.poll() is not None, 150)
        assert self.popen.poll() is None, self.log.read_text()
        return self

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    async def ended(self, timeout_s: float = 90.0) -> int:
        await until(lambda: self.popen.poll() is not None, timeout_s)
        return int(self.popen.returncode)


class Tail:
    """Everything on a topic so far, in order."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self.records: list[Any] = []
        self._consumer = consumer

    async def until(self, condition: Callable[[list[Any]], Any], timeout_s: float = 90.0) -> Any:
        """The first true value of a condition over the records. Fails after the timeout."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition(self.records)):
            assert time.monotonic() < deadline, [str(record)[:300] for record in self.records[-8:]]
            await self.more(0.2)
        return value

    async def more(self, timeout_s: float) -> None:
        for message in await self._consumer.read(timeout_s):
            assert message.value is not None
            self.records.append(self._model.model_validate_json(message.value))

    _model: type[Record]


@contextlib.asynccontextmanager
async def tail(settings: Settings, topic: Topic) -> AsyncIterator[Tail]:
    """Follow a topic from its beginning."""
    consumer = KafkaConsumer(settings, [topic])
    await consumer.start()
    following = Tail(consumer)
    following._model = topic.model
    try:
        yield following
    finally:
        await consumer.stop()


async def send(settings: Settings, topic: Topic, *records: Record) -> None:
    """Write records under their own keys."""
    producer = KafkaProducer(settings)
    await producer.start()
    for record in records:
        await producer.send(topic, record.to_json(), str(getattr(record, topic.key)).encode())
    await producer.stop()


def trigger(task: str, **fields: Any) -> Trigger:
    """A trigger of now."""
    at = datetime.now(UTC)
    given = {"kind": TriggerKind.MANUAL, "reason": "asked", "test_from": at, "decided_at": at} | fields
    return Trigger(trigger_id=ids.uuid7(at), task=task, **given)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
