"""A worker's health: alive by progress, on the real Kafka and with a warehouse that goes away and comes back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from router_story import PLAN
from warm_processes import Popen

from headrace.bus.kafka import KafkaProducer
from headrace.bus.kafka.lag import Lag, lag_reader
from headrace.contract.events import new_inference, pack
from headrace.contract.topics import INFERENCES, PROMOTIONS
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.errors import SettingsError
from headrace.process.readiness import health_file
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.health import PartitionProgress, port_of, url_of

ONE, TWO = ("headrace.inferences", 1), ("headrace.jobs", 0)


def test_nothing_to_consume_is_alive() -> None:
    """Hours without a record are no stall."""
    progress = PartitionProgress(stall_s=10)
    for at in (0.0, 3600.0):
        progress.see({ONE: Lag(0, 7, 7)}, at)
    assert progress.stalled(7200.0) == ""


def test_records_that_wait_while_none_is_acknowledged_are_a_stall() -> None:
    """It counts from the first look at which they waited, ends with the first one acknowledged, and says where."""
    progress = PartitionProgress(stall_s=10)
    progress.see({ONE: Lag(0, 7, 7), TWO: Lag(0, 1, 1)}, 0.0)
    progress.see({ONE: Lag(0, 7, 9), TWO: Lag(0, 1, 1)}, 100.0)
    progress.see({ONE: Lag(0, 7, 12), TWO: Lag(0, 1, 1)}, 109.0)
    assert progress.stalled(109.0) == ""
    assert "headrace.inferences/1" in progress.stalled(110.0)
    progress.see({ONE: Lag(0, 8, 12), TWO: Lag(0, 1, 1)}, 111.0)
    assert progress.stalled(115.0) == ""


def test_a_partition_that_waits_for_a_person_is_no_stall() -> None:
    """A new process would not help a stopped partition."""
    progress = PartitionProgress(stall_s=10)
    for at in (0.0, 60.0):
        progress.see({ONE: Lag(0, 7, 9)}, at)
    assert progress.stalled(60.0) != ""
    assert progress.stalled(60.0, {ONE}) == ""


def test_time_that_was_excused_does_not_count_afterwards() -> None:
    """When the warehouse takes rows again, the minutes that it refused them are no stall, not even for a moment."""
    progress = PartitionProgress(stall_s=10)
    for at in (0.0, 30.0, 60.0):
        progress.see({ONE: Lag(0, 7, 9)}, at, {ONE})
    assert progress.stalled(69.0) == ""
    progress.see({ONE: Lag(0, 7, 9)}, 62.0)
    assert progress.stalled(70.0) != ""


def test_a_partition_that_moved_away_is_forgotten() -> None:
    """What another worker has now is that worker's progress."""
    progress = PartitionProgress(stall_s=10)
    progress.see({ONE: Lag(0, 7, 9)}, 0.0)
    progress.see({}, 60.0)
    assert progress.stalled(60.0) == ""


def test_each_slot_has_a_port() -> None:
    """Workers of one machine listen one above the other, or each on any free port."""
    assert [port_of(9460, name) for name in ("streams-0", "streams-3", "alone")] == [9460, 9463, 9460]
    assert port_of(0, "streams-3") == 0


def test_health_is_told_where_the_setting_says() -> None:
    """Loopback where nothing is said; an address that others reach is one setting, and no other text is one."""
    assert Settings().health_host == "127.0.0.1"
    assert Settings.from_environ({"HEADRACE_HEALTH_HOST": "0.0.0.0"}).health_host == "0.0.0.0"
    with pytest.raises(SettingsError, match="HEADRACE_HEALTH_HOST is 'here'; it takes an IP address"):
        Settings.from_environ({"HEADRACE_HEALTH_HOST": "here"})
    assert [url_of("0.0.0.0", 1), url_of("::", 2), url_of("10.0.0.7", 3)] == [
        "http://127.0.0.1:1", "http://[::1]:2", "http://10.0.0.7:3"
    ]  # fmt: skip


async def test_lag_grows_while_the_warehouse_is_down_and_liveness_says_why(stack: Settings, tmp_path: Path) -> None:
    """Lag in records, events and seconds, and why; the worker is alive; with the warehouse back all of it ends."""
    (tmp_path / "flywheel.toml").write_text(PLAN)
    server = ClickHouseServer(tmp_path)
    server.start()
    settings = stack.replaced(home=tmp_path, database="health", plan=tmp_path / "flywheel.toml", **server.login())
    Warehouse.connect(settings).prepare()
    producer = KafkaProducer(settings)
    await producer.start()
    transactional = KafkaProducer(settings, transactional_id="test-health")
    child = start(settings)
    try:
        await until(lambda: answer(settings, "/readyz")[0] == 200)
        await producer.send_to(INFERENCES, 1, pack([new_inference("router", "router@0") for _ in range(20)]))
        await until(lambda: figure(settings, 'headrace_rows_total{table="inferences"}') > 0)
        await until(lambda: figure(settings, LAG_RECORDS) == 0)
        assert answer(settings, "/livez") == (200, "alive")
        # The mark that ends a transaction is nothing to consume.
        await transactional.start()
        await transactional.transact([(PROMOTIONS, b"no promotion", b"router")])
        await until(lambda: figure(settings, 'headrace_dead_letters_total{topic="headrace.promotions"}') == 1)
        await until(lambda: figure(settings, 'headrace_lag_records{partition="0",topic="headrace.promotions"}') == 0)
        server.kill()
        for _ in range(5):
            await producer.send_to(INFERENCES, 1, pack([new_inference("router", "router@0") for _ in range(20)]))
        await until(lambda: figure(settings, 'headrace_lag_seconds{partition="1",topic="headrace.inferences"}') >= 4)
        # More than --stall-s. A new process would not be answered either.
        code, text = answer(settings, "/livez")
        assert code == 200 and "headrace.inferences waits, the warehouse does not answer" in text
        assert figure(settings, 'headrace_refused{topic="headrace.inferences"}') == 1
        await until(lambda: figure(settings, LAG_RECORDS) == 5)
        assert figure(settings, 'headrace_lag_events{topic="headrace.inferences"}') == 100
        async with lag_reader(settings, "headrace-streams") as reader:
            lag = (await reader.read([INFERENCES]))[INFERENCES.name, 1]
        assert (lag.records, lag.packed) == (5, 20) and lag.age_s(time.time()) > 2
        server.start()
        await until(lambda: answer(settings, "/livez") == (200, "alive") and figure(settings, LAG_RECORDS) == 0)
        assert child.poll() is None
    finally:
        child.terminate()
        child.wait(30)
        await producer.stop()
        await transactional.stop()
        server.stop()
    assert not health_file(settings.home, "streams-0").exists()


LAG_RECORDS = 'headrace_lag_records{partition="1",topic="headrace.inferences"}'


def start(settings: Settings) -> Popen:
    argv = ["-m", "streams", "--name", "streams-0", "--stall-s", "3"]
    with (settings.home / "worker.log").open("ab") as log:
        return Popen("streams", argv, env=os.environ | settings.environ(), stdout=log, stderr=log)


def answer(settings: Settings, path: str) -> tuple[int, str]:
    try:
        url = health_file(settings.home, "streams-0").read_text().strip()
        found = httpx.get(url + path, trust_env=False, timeout=2)
    except (OSError, httpx.HTTPError):
        return 0, ""
    return found.status_code, found.text


def figure(settings: Settings, name: str) -> float:
    """The metric of that name and labels; -1 where it is not told."""
    lines = answer(settings, "/metrics")[1].splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == name), -1.0)


async def until(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline, f"not within {within_s} s"
        await asyncio.sleep(0.1)
