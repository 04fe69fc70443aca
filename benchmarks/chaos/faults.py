"""What is done to the stack: a function a kind; each returns when the fault is over and the parts are let alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from os import environ

from benchmarks.chaos import changes
from benchmarks.chaos.scene import Scene, raw_event
from benchmarks.chaos.stage import WORKERS
from headrace.contract.events import Inference, pack

HOLD_S = 4.0
# Longer than the streams workers' session, see streams.worker.
PAST_SESSION_S = 50.0
MONTHS = 150


def worker_killed(scene: Scene) -> None:
    scene.stage.kill("streams-0")


def workers_killed(scene: Scene) -> None:
    for name in WORKERS:
        scene.stage.kill(name)


def worker_terminated(scene: Scene) -> None:
    scene.stage.terminate("streams-1")


def worker_paused(scene: Scene) -> None:
    with scene.stage.paused("streams-0"):
        time.sleep(HOLD_S)


def worker_paused_past_its_session(scene: Scene) -> None:
    """It wakes as nobody's member and must not acknowledge what others have taken over."""
    with scene.stage.paused("streams-0"):
        time.sleep(PAST_SESSION_S)


def rebalances(scene: Scene) -> None:
    """A third worker comes and goes: every partition moves each time."""
    env = {**environ, **scene.stage.settings.environ()}
    for _ in range(3):
        third = subprocess.Popen(
            [sys.executable, "-m", "streams", "--name", "streams-9"],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(HOLD_S)
        third.terminate()
        third.wait(60)


def broker_killed(scene: Scene) -> None:
    scene.stage.kill("kafka")


def broker_restarted(scene: Scene) -> None:
    scene.stage.terminate("kafka")


def broker_paused(scene: Scene) -> None:
    with scene.stage.paused("kafka"):
        time.sleep(HOLD_S)


def clickhouse_killed(scene: Scene) -> None:
    scene.stage.kill("clickhouse")


def clickhouse_restarted(scene: Scene) -> None:
    scene.stage.terminate("clickhouse")


def clickhouse_slow(scene: Scene) -> None:
    """It stops and goes: six times half a second each."""
    for _ in range(6):
        with scene.stage.paused("clickhouse"):
            time.sleep(0.5)
        time.sleep(0.2)


def clickhouse_read_only(scene: Scene) -> None:
    with _altered(scene, "table_readonly = 1", "table_readonly"):
        time.sleep(HOLD_S)


def clickhouse_disk_full(scene: Scene) -> None:
    """ClickHouse refuses inserts for want of free space."""
    with _altered(scene, f"min_free_disk_bytes_to_perform_insert = {1 << 60}", "min_free_disk_bytes_to_perform_insert"):
        time.sleep(HOLD_S)


def clickhouse_too_many_parts(scene: Scene) -> None:
    with _altered(
        scene, "parts_to_delay_insert = 1, parts_to_throw_insert = 1", "parts_to_throw_insert", "parts_to_delay_insert"
    ):
        time.sleep(HOLD_S)


def everything_killed(scene: Scene) -> None:
    """As when the machine's processes all die at once."""
    for part in ("kafka", "clickhouse", *WORKERS, "serving"):
        scene.stage.kill(part)


def gateway_killed(scene: Scene) -> None:
    """With answers given that moment: whoever got one was promised that it is known."""
    scene.given += scene.load.call(scene.load.answers(100, scene.tag), 30)
    scene.stage.kill("serving")


def gateway_without_broker(scene: Scene) -> None:
    """It answers while the broker is down, and dies before the broker is back."""
    with scene.stage.paused("kafka"):
        scene.given += scene.load.call(scene.load.answers(100, scene.tag), 30)
        scene.stage.kill("serving")


def poison(scene: Scene) -> None:
    """Records that are not JSON, arrays that are torn, events of no shape: each a dead letter, the others rows."""
    good = _inference(scene, 0)
    scene.record(f'{{"poison": "{scene.tag}", '.encode(), 0)
    scene.record(f'[1, "{scene.tag}", '.encode(), 0)
    scene.record(b"\xff\xfe " + scene.tag.encode(), 0)
    scene.record(f'{{"inference_id": "7", "task": "{scene.tag}"}}'.encode(), 0)
    scene.record(b"[" + raw_event(good) + b"," + raw_event(good, revision=-1) + b"]", 1)
    scene.poison += 5


def refused_value(scene: Scene) -> None:
    """Events that only ClickHouse finds wrong: one bad value makes it refuse the whole block."""
    constraint = "CONSTRAINT chaos CHECK span_id != 'refused'"
    scene.stage.command(f"ALTER TABLE inferences ADD {constraint}")
    try:
        for number in range(20):
            events = [_inference(scene, number + place / 100) for place in range(10)]
            body = json.loads(pack(events))
            body[number % 10]["span_id"] = "refused"
            scene.record(json.dumps(body).encode(), len(events) - 1)
        scene.poison += 20
        time.sleep(HOLD_S)
    finally:
        scene.stage.command("ALTER TABLE inferences DROP CONSTRAINT IF EXISTS chaos")


def old_rows(scene: Scene) -> None:
    """Events of twenty years ago."""
    events = [_inference(scene, -20 * 365 * 86400 + number) for number in range(200)]
    scene.record(pack(events), len(events))


def many_months(scene: Scene) -> None:
    """One record across more months than ClickHouse lets a block have partitions."""
    events = [_inference(scene, -number * 31 * 86400) for number in range(MONTHS)]
    scene.record(pack(events), len(events))


def clock_skew(scene: Scene) -> None:
    """Emitters whose clocks are a day wrong, and events that say another time than their ids."""
    events = [_inference(scene, (number % 3 - 1) * 86_400 + number) for number in range(200)]
    other = (datetime.now(UTC) + timedelta(hours=30)).isoformat()
    body = [
        {**json.loads(raw_event(event)), **({"occurred_at": other} if n % 2 else {})} for n, event in enumerate(events)
    ]
    scene.record(json.dumps(body).encode(), len(events))


def duplicates(scene: Scene) -> None:
    """Every event five times, in other records, with another time, and by another way."""
    events = [_inference(scene, number / 1000) for number in range(200)]
    scene.record(pack(events), len(events))
    for hour in range(3):
        later = (datetime.now(UTC) + timedelta(hours=hour)).isoformat()
        body = [{**json.loads(raw_event(event)), "occurred_at": later} for event in events]
        scene.record(json.dumps(body).encode(), 0)
    for event in events[:20]:
        scene.record(raw_event(event), 0)


FAULTS: dict[str, tuple[Callable[[Scene], None], int]] = {
    "streams worker killed": (worker_killed, 4),
    "both streams workers killed": (workers_killed, 4),
    "streams worker terminated": (worker_terminated, 4),
    "streams worker paused": (worker_paused, 3),
    "streams worker paused past its session": (worker_paused_past_its_session, 1),
    "rebalance storm": (rebalances, 2),
    "broker killed": (broker_killed, 4),
    "broker restarted": (broker_restarted, 3),
    "broker paused": (broker_paused, 3),
    "ClickHouse killed": (clickhouse_killed, 4),
    "ClickHouse restarted": (clickhouse_restarted, 3),
    "ClickHouse slow": (clickhouse_slow, 3),
    "ClickHouse read-only": (clickhouse_read_only, 3),
    "ClickHouse's disk full": (clickhouse_disk_full, 3),
    "ClickHouse has too many parts": (clickhouse_too_many_parts, 3),
    "everything killed": (everything_killed, 2),
    "gateway killed": (gateway_killed, 3),
    "gateway killed without a broker": (gateway_without_broker, 2),
    "poison": (poison, 3),
    "a value that ClickHouse refuses": (refused_value, 2),
    "rows of twenty years ago": (old_rows, 2),
    "ids of 150 months": (many_months, 2),
    "clock skew": (clock_skew, 2),
    "duplicates": (duplicates, 3),
    "idle task at restart": (changes.idle_task, 2),
    "recreated topics": (changes.recreated_topics, 2),
    "one topic blocked": (changes.one_topic_blocked, 1),
    "partitions grown": (changes.partitions_grown, 1),
    "emitter a day ahead": (changes.emitter_ahead, 2),
    "two hosts": (changes.two_hosts, 1),
}
"""What each is called, and how many times `make chaos` injects it."""


def _inference(scene: Scene, offset_s: float) -> Inference:
    return scene.answer(scene.tag, datetime.now(UTC) + timedelta(seconds=offset_s))


@contextmanager
def _altered(scene: Scene, change: str, *reset: str) -> Iterator[None]:
    """A setting of the inferences' table changed for a while, and found restored."""
    scene.stage.command(f"ALTER TABLE inferences MODIFY SETTING {change}")
    try:
        yield
    finally:
        scene.stage.command(f"ALTER TABLE inferences RESET SETTING {', '.join(reset)}")
