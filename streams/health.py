"""What a worker says about itself over HTTP: alive by progress, ready, and its figures for Prometheus.

    /livez    200, or 503 with a sentence: records wait and none was acknowledged for `stall_s`, though the warehouse
              refused none of their topic meanwhile; a refusal is no reason to end the worker, and 200 names it
    /readyz   200 once it has its partitions
    /metrics  Prometheus text

It listens at HEADRACE_HEALTH_HOST (loopback where nothing is said) and HEADRACE_HEALTH_PORT plus the number of the
worker's slot (0: any free port), and writes its address to <home>/run/<name>.health; below `headrace up` the name is
the part's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from headrace.bus.kafka.lag import Lag, Place, lag_reader
from headrace.contract.given_ids import Given
from headrace.contract.topics import TOPICS
from headrace.errors import HeadraceError
from headrace.process.readiness import tell_address
from headrace.settings import Settings
from headrace.warehouse import Sink
from streams.pressure import Lane, Pressure

STALL_S = 60.0
ATTEMPTS_S = 15.0
"""A refused block is tried again more often than this (streams.patience); one that is not any more hangs."""
LOOK_EVERY_S = 2.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PartitionProgress:
    """What a worker's partitions have done, look by look. Pure.

    stall_s: records that wait for so long, while none is acknowledged, are a stall
    """

    stall_s: float
    _waits: dict[Place, tuple[int, float]] = field(default_factory=dict)

    def see(self, lags: Mapping[Place, Lag], now: float, excused: Set[Place] = frozenset()) -> None:
        """A look at the partitions that this worker has, at a time of a monotonic clock.

        excused: those that wait for a reason which a new process would not end; their time counts from its end
        """
        waits: dict[Place, tuple[int, float]] = {}
        for place, lag in lags.items():
            committed, since = self._waits.get(place, (lag.committed, now))
            if lag.records:
                waits[place] = (lag.committed, since if committed == lag.committed and place not in excused else now)
        self._waits = waits

    def stalled(self, now: float, stopped: Set[Place] = frozenset()) -> str:
        """Why the worker is not alive, or nothing; a partition that waits for a person is no reason to end it."""
        stuck = {
            place: now - since
            for place, (_, since) in self._waits.items()
            if place not in stopped and now - since >= self.stall_s
        }
        if not stuck:
            return ""
        (topic, partition), waited = max(stuck.items(), key=lambda item: item[1])
        return (
            f"{len(stuck)} partitions have records waiting and none was acknowledged for {waited:.0f} s,"
            f" {topic}/{partition} for one; the log says what the worker waits for"
        )


class Metrics:
    """A worker's figures, and the Sink through which it sees what it inserts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rows = Counter(
            "headrace_rows", "Rows or records given to the warehouse", ["table"], registry=self.registry
        )
        self.inserts = Histogram(
            "headrace_insert_seconds", "One insert into the warehouse", ["table"], registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )  # fmt: skip
        self.failures = Counter("headrace_insert_failures", "Inserts refused", ["table"], registry=self.registry)
        self.dead = Counter("headrace_dead_letters", "Dead letters published", ["topic"], registry=self.registry)
        self.empty = Counter(
            "headrace_records_without_events", "Records that hold no event: tombstones, deletions of change streams",
            ["topic"], registry=self.registry,
        )  # fmt: skip
        self.unproven = Counter(
            "headrace_unproven_answers", "Answers whose arm or signature did not hold; why: missing or wrong", ["why"],
            registry=self.registry,
        )  # fmt: skip
        self.lag_records = self._gauge("headrace_lag_records", "Records not acknowledged", "topic", "partition")
        self.lag_seconds = self._gauge(
            "headrace_lag_seconds", "Age of the oldest record not acknowledged", "topic", "partition"
        )
        self.lag_events = self._gauge(
            "headrace_lag_events", "Events not acknowledged, each record taken to hold as many as the oldest", "topic"
        )
        self.held = self._gauge("headrace_held_bytes", "Bytes of records polled and not yet stored", "topic")
        self.paused = self._gauge("headrace_paused", "1 where a topic is not read until fewer bytes are held", "topic")
        self.refused = self._gauge("headrace_refused", "1 where the warehouse refuses a topic's rows", "topic")
        self.stopped = self._gauge("headrace_stopped_partitions", "Partitions stopped because of poison", "topic")
        self.parked = self._gauge("headrace_parked_feedback", "Feedback without its inference, at the last pass")
        self.missing = self._gauge("headrace_missing_events", "Events that emitters counted and nobody found")
        self.duplicated = self._gauge("headrace_duplicated_events", "Events that are counted twice")
        self.ahead = self._gauge(
            "headrace_clock_ahead_seconds", "How far the clock of a task's furthest emitter is ahead", "task"
        )
        self.alive = self._gauge("headrace_alive", "1, or 0 where records wait and none is acknowledged")

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def see(self, lags: Mapping[Place, Lag], stopped: Set[Place]) -> None:
        """Take over a look at the partitions. Ages go on growing until the next one, which may be late."""
        for gauge in (self.lag_records, self.lag_seconds, self.stopped, self.lag_events):
            gauge.clear()
        for (topic, partition), lag in lags.items():
            self.lag_records.labels(topic, partition).set(lag.records)
            self.lag_seconds.labels(topic, partition).set_function(partial(_age_s, lag))
        for topic in {topic for topic, _ in lags}:
            self.lag_events.labels(topic).set(sum(lag.events for place, lag in lags.items() if place[0] == topic))
            self.stopped.labels(topic).set(sum(place[0] == topic for place in stopped))

    def watch(self, pressure: Pressure) -> None:
        """Tell, whenever somebody asks, how much of each topic is held and why."""
        for name, lane in pressure.lanes.items():
            self.held.labels(name).set_function(partial(getattr, lane, "held"))
            self.paused.labels(name).set_function(partial(_flag, lane, "paused"))
            self.refused.labels(name).set_function(partial(_flag, lane, "refusal"))


class MeasuredSink:
    """A Sink that measures another."""

    def __init__(self, sink: Sink, metrics: Metrics) -> None:
        self._sink, self._metrics = sink, metrics

    def insert(self, table: str, rows: Sequence[bytes]) -> None:
        """See Sink.insert."""
        with self._measured(table, len(rows)):
            self._sink.insert(table, rows)

    def insert_records(self, table: str, records: Sequence[bytes]) -> None:
        """See Sink.insert_records."""
        with self._measured(table, len(records)):
            self._sink.insert_records(table, records)

    def identify(self, given: Sequence[Given]) -> Mapping[int, UUID]:
        """See Sink.identify."""
        return self._sink.identify(given)

    @contextlib.contextmanager
    def _measured(self, table: str, rows: int) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        except Exception:
            self._metrics.failures.labels(table).inc()
            raise
        self._metrics.inserts.labels(table).observe(time.perf_counter() - began)
        self._metrics.rows.labels(table).inc(rows)


class Health:
    """Serves a worker's health until it is cancelled.

    name: the worker's slot
    pressure: what it holds and what is refused
    owned: the partitions that it has now
    stopped: those of them that wait for a person
    """

    def __init__(
        self, settings: Settings, name: str, metrics: Metrics, pressure: Pressure, stall_s: float = STALL_S
    ) -> None:
        self._settings, self._name, self.metrics, self._pressure = settings, name, metrics, pressure
        metrics.watch(pressure)
        self.progress = PartitionProgress(stall_s)
        self.owned: Set[Place] = frozenset()
        self.stopped: Set[Place] = frozenset()

    @property
    def trouble(self) -> str:
        """Why the worker is not alive, or nothing."""
        return self.progress.stalled(time.monotonic(), self.stopped | self._waiting())

    def _waiting(self) -> Set[Place]:
        refused = self._refused()
        return {place for place in self.owned if place[0] in refused}

    def _refused(self) -> Mapping[str, str]:
        return self._pressure.refused(max(ATTEMPTS_S, self.progress.stall_s))

    async def serve(self) -> None:
        """Answer until cancelled."""
        app = web.Application()
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, self._settings.health_host, port_of(self._settings.health_port, self._name)).start()
        file = tell_address(self._settings, self._name, url_of(*runner.addresses[0][:2]))
        try:
            await asyncio.Event().wait()
        finally:
            file.unlink(missing_ok=True)
            await runner.cleanup()

    async def watch(self, group: str) -> None:
        """Look at the group's offsets for ever, through a connection of its own: the worker's may be what hangs."""
        while True:
            try:
                async with lag_reader(self._settings, group) as reader:
                    while True:
                        lags = await reader.read(TOPICS)
                        self.see({place: lag for place, lag in lags.items() if place in self.owned})
                        await asyncio.sleep(LOOK_EVERY_S)
            except HeadraceError as error:
                log.warning("the lag cannot be read: %s", error)
                await asyncio.sleep(LOOK_EVERY_S)

    def see(self, lags: Mapping[Place, Lag]) -> None:
        """Take over a look at this worker's partitions."""
        self.progress.see(lags, time.monotonic(), self._waiting())
        self.metrics.see(lags, self.stopped)
        self.metrics.alive.set(not self.trouble)

    async def _livez(self, request: web.Request) -> web.Response:
        trouble = self.trouble
        if trouble:
            return web.Response(text=trouble, status=503)
        waits = [f"{topic} waits, {why}" for topic, why in sorted(self._refused().items())]
        return web.Response(text="; ".join(["alive", *waits]))

    async def _readyz(self, request: web.Request) -> web.Response:
        return web.Response(text="ready" if self.owned else "has no partitions yet", status=200 if self.owned else 503)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.metrics.registry), content_type="text/plain")


def _age_s(lag: Lag) -> float:
    return lag.age_s(time.time())


def _flag(lane: Lane, name: str) -> float:
    return float(bool(getattr(lane, name)))


def url_of(host: str, port: int) -> str:
    """Where this machine reaches what listens at that address; one that means every address is asked on loopback."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def port_of(base: int, name: str) -> int:
    """The port of a worker's slot: streams-2 listens two above the base; 0, any free one, stays 0."""
    number = name.rsplit("-", 1)[-1]
    return base + int(number) if base and number.isdigit() else base
