"""The cases of the ingest benchmark: each returns events_per_s, rss_mb and what else it measured."""

from __future__ import annotations

import asyncio
import json
import time
from bisect import bisect_left
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from benchmarks.ingesting.events import Emitter, thumbs
from benchmarks.ingesting.stage import PARTITIONS, Process, Stage
from benchmarks.waiting import Late, calm, until
from headrace.contract.topics import FEEDBACK, INFERENCES
from headrace.process.readiness import responds
from headrace.settings import address

WITHIN_S = 120.0
PACED_S = 12.0
FEEDBACK_SHARE = 50  # one feedback for so many inferences
CONNECTIONS = 16

PLAN = """\
version = 1
[tasks.router]
labels = ["hr", "it", "finance", "product", "out_of_scope"]
[tasks.router.incumbent]
version = "router@0"
url = "http://127.0.0.1:9/v1"
model = "incumbent"
[tasks.router.windows]
size_s = 60
lateness_s = 5
refresh_s = 5
[tasks.router.candidates.probe]
method = "probe"
"""


def sizes() -> str:
    """Bytes of a full and of a short event."""
    return " / ".join(str(sum(map(len, Emitter(short).some(512))) // 512) for short in (False, True))


def plain(stage: Stage, name: str, events: int, packed: int, short: bool = False) -> dict[str, Any]:
    """The plain loop on a topic of its own."""
    topic = f"bench.{name}"
    stage.empty()
    stage.topic(topic)
    stage.produce(topic, Emitter(short).records(events, packed))
    with stage.process(name, "benchmarks.ingesting.loops", "plain", topic) as process:
        return _drained(stage, events, process)


def faust_empty(stage: Stage, name: str, events: int) -> dict[str, Any]:
    """Faust's own rate, one event a record."""
    topic = f"bench.{name}"
    stage.topic(topic)
    stage.produce(topic, Emitter().records(events, 1))
    with stage.process(name, "benchmarks.ingesting.loops", "faust-empty", topic, "--records", str(events)) as process:
        until(lambda: b"events_per_s" in process.log.read_bytes(), f"{name} to end", WITHIN_S)
        line = next(line for line in process.log.read_text().splitlines() if "events_per_s" in line)
        return {"events_per_s": round(json.loads(line)["events_per_s"]), "rss_mb": process.peak_mb()}


def headrace(stage: Stage, name: str, events: int, packed: int, short: bool = False, paced: int = 0) -> dict[str, Any]:
    """The worker on a backlog; then, where `paced` is given, so many events a second as they are emitted."""
    stage.empty()
    emitter, dead = Emitter(short), stage.dead()
    stage.produce(FEEDBACK.name, (thumbs(packed) for _ in range(events // packed // FEEDBACK_SHARE)))
    stage.produce(INFERENCES.name, emitter.records(events, packed))
    with stage.worker() as worker:
        found = _drained(stage, events, worker)
        if paced:
            found |= asyncio.run(_visible(stage, emitter, paced, packed)) | {"rss_mb": worker.peak_mb()}
        found["wrong"] += stage.dead() - dead
        return found


def collector(stage: Stage, name: str, events: int, batch: int) -> dict[str, Any]:
    """The gateway's collector, until every batch is answered with 202, the worker storing meanwhile."""
    stage.empty()
    bodies = list(Emitter().records(events, batch))
    with stage.worker(), stage.process("gateway", "serving", "--name", "bench") as gateway:
        url = stage.settings.gateway
        until(lambda: responds(f"{url}/readyz"), "the gateway to be ready", 120.0)
        calm(gateway.cpu_s)
        asyncio.run(_post(url, bodies[: CONNECTIONS * 2]))
        began, own, servers = time.monotonic(), gateway.cpu_s(), stage.cpu_s()
        asyncio.run(_post(url, bodies[CONNECTIONS * 2 :]))
        took = time.monotonic() - began
        own, servers = gateway.cpu_s() - own, stage.cpu_s() - servers
        until(lambda: stage.stored() >= events, "the events to be stored", WITHIN_S)
        posted = events - CONNECTIONS * 2 * batch
        return {
            "events_per_s": round(posted / took),
            "rss_mb": gateway.peak_mb(),
            "cpu_us": round(own / posted * 1e6, 1),
            "servers_cpu_us": round(servers / posted * 1e6, 1),
            "wrong": abs(stage.distinct() - events),
        }


def _drained(stage: Stage, events: int, process: Process) -> dict[str, Any]:
    """The rate from the first rows to the last."""
    deadline = time.monotonic() + WITHIN_S
    first: tuple[float, int, float, float] | None = None
    while (count := stage.stored()) < events:
        now = time.monotonic()
        if count and first is None:
            first = now, count, process.cpu_s(), stage.cpu_s()
        if now > deadline or process.popen.poll() is not None:
            raise Late(f"{count} of {events} events were stored; see {process.log}")
        time.sleep(0.1)
    if first is None:
        raise Late("all events came at once: too few to measure a rate")
    began, before, own, servers = first
    measured = events - before
    return {
        "events_per_s": round(measured / (time.monotonic() - began)),
        "rss_mb": process.peak_mb(),
        "cpu_us": round((process.cpu_s() - own) / measured * 1e6, 1),
        "servers_cpu_us": round((stage.cpu_s() - servers) / measured * 1e6, 1),
        "wrong": abs(stage.distinct() - events),
    }


async def _visible(stage: Stage, emitter: Emitter, rate: int, packed: int) -> dict[str, Any]:
    """Emit at `rate` events a second; the 99th percentile of emitted -> found by a query."""
    began, sent = time.monotonic(), 0
    emitted: dict[int, tuple[list[int], list[float]]] = {partition: ([], []) for partition in range(PARTITIONS)}
    latencies: list[float] = []
    waiting = 0
    positions = cycle(range(PARTITIONS))
    acknowledged: list[asyncio.Task[None]] = []

    async def emit(producer: Any, partition: int) -> None:
        nonlocal waiting
        at = time.monotonic()
        value = next(emitter.records(packed, packed))
        metadata = await (await producer.send(INFERENCES.name, value, partition=partition))
        offsets, times = emitted[partition]
        offsets.append(metadata.offset)
        times.append(at)
        waiting += 1

    async with stage.producer() as producer:
        while waiting or sent < rate * PACED_S or not all(task.done() for task in acknowledged):
            while sent < min(rate * PACED_S, (time.monotonic() - began) * rate):
                acknowledged.append(asyncio.create_task(emit(producer, next(positions))))
                sent += packed
            found = await asyncio.to_thread(_newest, stage)
            now = time.monotonic()
            for partition, newest in found:
                offsets, times = emitted[partition]
                done = bisect_left(offsets, newest + 1)
                latencies += [now - at for at in times[:done]]
                waiting -= done
                del offsets[:done], times[:done]
            if now > began + PACED_S + WITHIN_S:
                raise Late(f"{waiting} records were not found")
    latencies.sort()
    return {"visible_p99_s": round(latencies[int(len(latencies) * 0.99)], 3)}


def _newest(stage: Stage) -> list[tuple[int, int]]:
    """The newest offset of each partition among the rows of the last seconds."""
    sql = """SELECT kafka_partition AS partition, max(kafka_offset) AS newest FROM inferences
             WHERE ingested_at > now64(3) - INTERVAL 10 SECOND GROUP BY partition"""
    return [(row["partition"], row["newest"]) for row in stage.warehouse.rows(sql)]


async def _post(url: str, bodies: list[bytes]) -> None:
    """Post every body over CONNECTIONS connections. Raises Late for an answer other than 202."""
    host, port = address(url)
    left: Iterator[bytes] = iter(bodies)

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for body in left:
            head = f"POST /v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            lines = answer.lower().split(b"\r\n")
            said = await reader.readexactly(
                next(int(line[15:]) for line in lines if line.startswith(b"content-length"))
            )
            if b" 202 " not in answer[:20]:
                raise Late(f"the gateway answered {answer[:40]!r} {said[:200]!r}")
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
