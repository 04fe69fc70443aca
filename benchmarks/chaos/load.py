"""Events that keep coming through every fault, by four ways, each of them counted.

    sdk     headrace.client over Kafka: inferences, and feedback about half of them
    http    the collector: batches posted to the gateway until it says that it has them
    kafka   a plain aiokafka producer: packed records, sent until they are acknowledged

An event's `task` is the tag of the fault during which it was emitted; nothing is counted that its emitter did not take
or that was not acknowledged in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from headrace.bus.kafka.security import client_options
from headrace.client import AsyncClient
from headrace.client.packing import bucket_keys
from headrace.contract.events import Event, Inference, new_feedback, new_inference, pack
from headrace.contract.topics import INFERENCES, Topic
from headrace.errors import HeadraceError
from headrace.settings import Settings

TICK_S = 0.05
PACKED = 50
QUESTION = "I cannot reach the invoice system from the branch office since this morning, who can help me with that?"
OUT_OF_STEP_S = 60.0

T = TypeVar("T")


class Load:
    """Emits at `rate` events a second under the current tag, from an event loop in a thread of its own.

    emitted: events by tag; kept after the load has ended
    """

    def __init__(self, settings: Settings, rate: float) -> None:
        self.tag = ""
        self.emitted: Counter[str] = Counter()
        self._settings, self._rate = settings, rate
        self._client = AsyncClient(settings, emitter="chaos", max_events=400_000, max_bytes=1 << 30)
        self._http: set[asyncio.Task[None]] = set()
        self._kafka: AIOKafkaProducer | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._error: BaseException | None = None

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Start and, at the end, see everything acknowledged."""
        thread = threading.Thread(target=self._run, name="load", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(180)
        if self._error is not None:
            raise self._error

    def begin(self, tag: str) -> None:
        """Emit under this tag from now on; "" emits nothing."""
        self._loop.call_soon_threadsafe(setattr, self, "tag", tag)

    def settled(self, timeout_s: float) -> bool:
        """Stop emitting; True once everything so far is acknowledged."""

        async def wait() -> bool:
            self.tag = ""
            await asyncio.sleep(2 * TICK_S)
            if self._http:
                await asyncio.wait(set(self._http), timeout=timeout_s)
            return await self._client.flush(timeout_s) and not self._http

        return self.call(wait(), timeout_s + 10)

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Run a coroutine in the load's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    async def record(self, value: bytes, events: int, tag: str) -> None:
        """One record of the inferences' topic, sent until it is acknowledged, and counted."""
        self.emitted[tag] += events
        await self.send(INFERENCES, value, bucket_keys(INFERENCES.partitions)[events % INFERENCES.partitions])

    async def by_another(self, settings: Settings, events: int, tag: str) -> None:
        """Events by a client that starts now, with settings of its own; returns when they are acknowledged."""
        async with AsyncClient(settings, emitter="another") as client:
            for answer in _answers(events, tag):
                client.inference(answer)
            while not await client.flush(OUT_OF_STEP_S):
                pass
        self.emitted[tag] += events

    async def answers(self, questions: int, tag: str) -> list[UUID]:
        """Ask the gateway; the ids of the answers that came back. Those that did not come are nobody's."""
        url = f"{self._settings.gateway}/v1/route"

        async def ask(client: httpx.AsyncClient, number: int) -> UUID | None:
            with contextlib.suppress(httpx.HTTPError):
                reply = await client.post(url, json={"task": "router", "input": f"{QUESTION} ({tag}, {number})"})
                if reply.is_success:
                    return UUID(reply.json()["inference_id"])
            return None

        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
            found = await asyncio.gather(*(ask(client, number) for number in range(questions)))
        return [answer for answer in found if answer is not None]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._emit())
        except BaseException as error:
            self._error = error

    async def _emit(self) -> None:
        await self._client.start()
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as http:
            turn, debt, last = 0, 0.0, time.monotonic()
            while not self._stop.is_set():
                await asyncio.sleep(TICK_S)
                now = time.monotonic()
                debt, last = min(debt + (now - last) * self._rate, 4 * TICK_S * self._rate), now
                while self.tag and debt >= PACKED:
                    debt -= PACKED
                    turn += 1
                    self._emit_some(turn, http)
            if self._http:
                await asyncio.wait(self._http, timeout=OUT_OF_STEP_S)
        await self._client.close(OUT_OF_STEP_S)
        if self._kafka is not None:
            await self._kafka.stop()

    def _emit_some(self, turn: int, http: httpx.AsyncClient) -> None:
        """PACKED events by one of the ways."""
        tag = self.tag
        match turn % 4:
            case 0:
                self._start(self._post(http, _answers(PACKED, tag)))
                self.emitted[tag] += PACKED
            case 1:
                self._start(self.record(pack(_answers(PACKED, tag)), PACKED, tag))
            case _:
                for answer in _answers(PACKED // 2, tag):
                    said = new_feedback(answer.inference_id, "user", "thumb", value=1.0, task=tag)
                    self._offer(answer, tag)
                    self._offer(said, tag)

    def _offer(self, event: Event, tag: str) -> None:
        dropped = self._client.count("inferences").dropped + self._client.count("feedback").dropped
        if isinstance(event, Inference):
            self._client.inference(event)
        else:
            self._client.feedback(event)  # type: ignore[arg-type]
        if self._client.count("inferences").dropped + self._client.count("feedback").dropped == dropped:
            self.emitted[tag] += 1

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._http.add(task)
        task.add_done_callback(self._http.discard)

    async def _post(self, http: httpx.AsyncClient, events: list[Inference]) -> None:
        body = pack(events)
        while True:
            with contextlib.suppress(httpx.HTTPError):
                reply = await http.post(f"{self._settings.gateway}/v1/events", content=body)
                if reply.status_code == 202:
                    return
            await asyncio.sleep(0.3)

    async def send(self, topic: Topic, value: bytes, key: bytes | None = None) -> None:
        """One record, sent until it is acknowledged."""
        while True:
            try:
                async with asyncio.timeout(15):
                    if self._kafka is None:
                        self._kafka = await _producer(self._settings)
                    await self._kafka.send_and_wait(topic.name, value, key=key)
                    return
            except (KafkaError, HeadraceError, TimeoutError, OSError):
                await asyncio.sleep(0.3)


def _answers(count: int, tag: str) -> list[Inference]:
    return [
        new_inference(
            tag, "router@0", input=QUESTION, label="it", scores={"it": 0.9, "hr": 0.1}, latency_ms=12.5, emitter="raw"
        )
        for _ in range(count)
    ]


async def _producer(settings: Settings) -> AIOKafkaProducer:
    # Not idempotent: an idempotent one cannot go on past a batch that a broker's death cut off.
    producer = AIOKafkaProducer(**client_options(settings), acks="all", request_timeout_ms=8_000)
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer
