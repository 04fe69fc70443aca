"""The stage: the embedded Kafka and ClickHouse, the processes that are measured, and what is read off them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.ingesting.events import TASK, VERSION
from benchmarks.waiting import process_cpu_s, until
from headrace.bus.kafka import ensure_topics
from headrace.bus.kafka.security import client_options
from headrace.contract.control import Promotion, Served, Step
from headrace.contract.topics import INFERENCES, MIB, PROMOTIONS
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.embedded.kafka import KafkaServer
from headrace.embedded.server import free_port
from headrace.process.readiness import PART_VARIABLE, ready_file
from headrace.settings import Settings
from headrace.warehouse import Warehouse

REPOSITORY = Path(__file__).parents[2]
PARTITIONS = INFERENCES.partitions
WORKER = "streams-0"


@dataclass(frozen=True, slots=True)
class Process:
    """A child and its log."""

    popen: subprocess.Popen[bytes]
    log: Path

    def peak_mb(self) -> int:
        """Most resident memory that it had, MiB."""
        return self._status_mb("VmHWM")

    def resident_mb(self) -> int:
        """Resident memory that it has, MiB."""
        return self._status_mb("VmRSS")

    def cpu_s(self) -> float:
        """Processor time that it has used so far."""
        return process_cpu_s(self.popen.pid)

    def _status_mb(self, name: str) -> int:
        lines = Path(f"/proc/{self.popen.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


@dataclass(frozen=True, slots=True)
class Stage:
    """Running servers with topics and tables.

    servers: process ids of Kafka and ClickHouse
    """

    settings: Settings
    warehouse: Warehouse
    servers: tuple[int, ...]

    def cpu_s(self) -> float:
        """Processor time that Kafka and ClickHouse have used so far."""
        return sum(process_cpu_s(pid) for pid in self.servers)

    @contextmanager
    def process(self, name: str, *argv: str) -> Iterator[Process]:
        """Run `python -m …` for the length of a block; SIGTERM at the end. Its log is below home/log."""
        log = self.settings.home / "log" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, **self.settings.environ(), PART_VARIABLE: name, "PYTHONPATH": str(REPOSITORY)}
        with log.open("ab") as out:
            child = subprocess.Popen([sys.executable, "-m", *argv], env=env, stdout=out, stderr=out)
        try:
            yield Process(child, log)
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    @contextmanager
    def worker(self, *options: str) -> Iterator[Process]:
        """The real worker, with its monitor; returns once it reads its partitions."""
        ready = ready_file(self.settings.home, WORKER)
        ready.unlink(missing_ok=True)
        with self.process(WORKER, "streams", "--name", WORKER, *options) as found:
            until(ready.exists, "the worker to be ready", 60.0)
            yield found

    def promote(self) -> None:
        """Tell the worker which version is live, so that its monitor has something to look at."""
        now = datetime.now(UTC)
        told = Promotion(task=TASK, generation=1, step=Step.STEADY, live=Served(version=VERSION), since=now, at=now)

        async def send() -> None:
            async with self.producer() as producer:
                await producer.send_and_wait(PROMOTIONS.name, told.to_json(), key=TASK.encode())

        asyncio.run(send())

    def stored(self) -> int:
        """Rows of `inferences`: of metadata alone, so asking costs nothing."""
        return int(self.warehouse.rows("SELECT count() AS n FROM inferences")[0]["n"])

    def distinct(self) -> int:
        """Events in `inferences`."""
        return int(self.warehouse.rows("SELECT uniqExact(inference_id) AS n FROM inferences")[0]["n"])

    def dead(self) -> int:
        """Dead letters, of all cases so far."""
        return int(self.warehouse.rows("SELECT count() AS n FROM dead_letters")[0]["n"])

    def empty(self) -> None:
        """Forget the events of the case before."""
        for table in ("inferences", "feedback", "windows"):
            self.warehouse.command(f"TRUNCATE TABLE {table} SYNC")

    def topic(self, name: str) -> None:
        """Create a topic like the inferences' own."""

        async def create() -> None:
            admin = AIOKafkaAdminClient(**client_options(self.settings))
            await admin.start()
            try:
                config = {"max.message.bytes": str(4 * MIB)}
                await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=config)])
            finally:
                await admin.close()

        asyncio.run(create())

    def produce(self, topic: str, values: Iterable[bytes]) -> None:
        """Send all records, spread evenly over the partitions; returns when the broker has them."""

        async def send() -> None:
            async with self.producer() as producer:
                for partition, value in zip(cycle(range(PARTITIONS)), values, strict=False):
                    await producer.send(topic, value, partition=partition)

        asyncio.run(send())

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """As the SDK's; flushed at the end."""
        async with AIOKafkaProducer(
            **client_options(self.settings),
            acks="all",
            compression_type="lz4",
            max_batch_size=MIB,
            linger_ms=5,
            max_request_size=8 * MIB,
        ) as producer:
            yield producer


@contextmanager
def raised(home: Path, cache: Path, plan: str) -> Iterator[Stage]:
    """Start the servers below `home` on free ports, with topics, tables, the plan and a live version."""
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        broker = stack.enter_context(KafkaServer(home, cache=cache))
        server = stack.enter_context(ClickHouseServer(home))
        settings = Settings(home=home, plan=home / "flywheel.toml").replaced(
            kafka=broker.bootstrap,
            clickhouse=server.url,
            gateway=f"http://127.0.0.1:{free_port()}",
            otlp_grpc="",
        )
        settings.plan.write_text(plan)
        asyncio.run(ensure_topics(settings))
        warehouse = Warehouse.connect(settings)
        stack.callback(warehouse.close)
        warehouse.prepare()
        stage = Stage(settings, warehouse, tuple(found.pid for found in (broker, server) if found.pid))
        stage.promote()
        yield stage
