"""Faults of what surrounds the workers: idle tasks, topics, one table, clocks, hosts. As in benchmarks.chaos.faults."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx

from benchmarks.chaos.hosts import settings_of, worker_on
from benchmarks.chaos.scene import Scene
from benchmarks.chaos.stage import BUSY, IDLE, WORKERS
from benchmarks.chaos.topics import drained, identities, make_again, prove
from benchmarks.waiting import until
from headrace.bus.kafka import ensure_topics
from headrace.bus.kafka.topics import partitions_of
from headrace.contract.events import new_inference, pack
from headrace.contract.ids import millis
from headrace.contract.topics import EVENTS, FEEDBACK, INFERENCES
from headrace.process.readiness import health_file
from headrace.settings import Settings

HOLD_S = 4.0
IDLE_SINCE = timedelta(days=40)
DAY = timedelta(days=1)
TRAFFIC_S = 12.0
# A quiet task's window closes later than that: a look at such a watermark within it was moved by answers.
FRESH_S = 9.0
# The load alone would not fill what two workers may hold of a topic.
BLOCKED_S, HEAVY, HEAVY_EVENTS, HEAVY_TEXT = 40.0, 170, 8, "x" * 65_000
OTHERS_WITHIN_S = 10.0
MORE_PARTITIONS = 8
ROWS = 'headrace_rows_total{table="inferences"}'
PAUSED = 'headrace_paused{topic="headrace.inferences"}'


def idle_task(scene: Scene) -> None:
    """The workers are killed while one planned task has been idle for weeks and another never got an answer."""
    old = scene.answers(IDLE, 20, datetime.now(UTC) - IDLE_SINCE)
    window = "SELECT sum(requests) AS requests, sum(labelled) AS labelled FROM windows FINAL WHERE task = {task:String}"
    window += " AND window_to > fromUnixTimestamp64Milli({at:Int64}, 'UTC')"
    asked = {"task": IDLE, "at": millis(old[0].occurred_at)}

    def counted(name: str) -> bool:
        found = scene.stage.rows(window, **asked)
        return bool(found) and int(str(found[0][name])) >= len(old)

    until(lambda: counted("requests"), "the monitor to count the idle task's windows")
    for name in WORKERS:
        scene.stage.kill(name)
    scene.label(old)
    scene.stage.wait_ready(*WORKERS)
    _traffic_goes_on(scene)
    scene.checks.append(lambda: "" if counted("labelled") else "late labels of the idle task are not counted")


def emitter_ahead(scene: Scene) -> None:
    """One emitter of a busy task has a clock that is a day ahead."""
    emitter = f"ahead-{scene.tag}"
    _traffic_goes_on(scene, lambda: scene.answers(BUSY, 2, datetime.now(UTC) + DAY, emitter))
    scene.checks.append(
        lambda: "" if any(emitter in scene.stage.log(name) for name in WORKERS) else f"{emitter} is not named"
    )


def recreated_topics(scene: Scene) -> None:
    """Topics are deleted and made again while the workers run: the same offsets come once more, with other events."""
    topics = (INFERENCES, FEEDBACK)
    assert scene.load.settled(60.0), "the load is acknowledged"
    # What a deleted topic takes along unread is no loss of headrace's.
    until(lambda: asyncio.run(drained(scene.stage.settings, topics)), "the topics to be read")
    asyncio.run(prove(scene.stage.settings))
    former = asyncio.run(identities(scene.stage.settings, topics))
    began = millis(datetime.now(UTC))
    # One worker sees that they are gone, the other finds them as if they had always been there.
    with scene.stage.paused(WORKERS[0]):
        asyncio.run(make_again(scene.stage.settings, topics))
    scene.load.begin(scene.tag)
    time.sleep(HOLD_S)
    gaps = (
        "SELECT uniqExactIf(partition, state = 'unknown') AS unknown, countIf(state = 'explained') AS explained"
        " FROM offset_gaps FINAL WHERE topic = {topic:String} AND topic_id = {former:String}"
        " AND checked_at >= fromUnixTimestamp64Milli({began:Int64}, 'UTC')"
    )
    bad = (
        "SELECT count() AS n FROM offset_gaps FINAL WHERE topic = {topic:String} AND topic_id != {former:String}"
        " AND state IN ('missing', 'lost', 'unread')"
    )

    def said() -> str:
        asyncio.run(prove(scene.stage.settings))
        partitions = asyncio.run(partitions_of(scene.stage.settings))
        for topic, identity in former.items():
            asked = {"topic": topic, "former": identity, "began": began}
            found, wrong = scene.stage.rows(gaps, **asked), scene.stage.rows(bad, topic=topic, former=identity)
            if not found or not wrong:
                return "ClickHouse does not answer"
            if found[0]["explained"] or found[0]["unknown"] != partitions[topic]:
                return f"the proof says of the former {topic}: {found[0]}, and not that it is unknown"
            if wrong[0]["n"]:
                return f"the proof has {wrong[0]['n']} gaps of the new {topic}"
        return ""

    scene.checks.append(said)


def one_topic_blocked(scene: Scene) -> None:
    """ClickHouse refuses the rows of inferences for a while; the other topics flow on."""
    before = {name: (scene.stage.pid(name), scene.stage.restarts(name)) for name in WORKERS}
    newest = "SELECT max(toUnixTimestamp64Milli(occurred_at)) AS at FROM feedback WHERE task = {task:String}"
    began, behind_s = time.time(), 0.0
    scene.stage.command("ALTER TABLE inferences MODIFY SETTING table_readonly = 1")
    try:
        over = time.monotonic() + BLOCKED_S
        for number in range(HEAVY):
            heavy = [
                new_inference(scene.tag, "router@0", session_id=f"{number}", input=HEAVY_TEXT)
                for _ in range(HEAVY_EVENTS)
            ]
            scene.record(pack(heavy), HEAVY_EVENTS)
        until(lambda: any(_figure(scene.stage.settings, name, PAUSED) == 1 for name in WORKERS), "inferences to rest")
        while time.monotonic() < over:
            if found := scene.stage.rows(newest, task=scene.tag):
                behind_s = max(behind_s, time.time() - max(began, int(str(found[0]["at"])) / 1000))
            time.sleep(1.0)
    finally:
        scene.stage.command("ALTER TABLE inferences RESET SETTING table_readonly")

    def others_flowed() -> str:
        return "" if behind_s <= OTHERS_WITHIN_S else f"feedback was {behind_s:.0f} s behind"

    def none_restarted() -> str:
        after = {name: (scene.stage.pid(name), scene.stage.restarts(name)) for name in WORKERS}
        return "" if after == before else f"workers were started again: {before}, then {after}"

    scene.checks += [others_flowed, none_restarted]


def partitions_grown(scene: Scene) -> None:
    """The topics of events get more partitions; emitters and workers that do not know of them go on."""
    settings = scene.stage.settings
    more = asyncio.run(partitions_of(settings))[INFERENCES.name] + MORE_PARTITIONS
    grown = settings.replaced(partitions=more)
    asyncio.run(ensure_topics(grown, EVENTS))
    scene.load.call(scene.load.by_another(grown, 2000, scene.tag), 120)
    read = "SELECT uniqExact(kafka_partition) AS n FROM inferences WHERE task = {task:String}"

    def all_read() -> str:
        found = scene.stage.rows(read, task=scene.tag)
        return "" if found and found[0]["n"] == more else f"rows of {found} partitions of {more}"

    scene.checks.append(all_read)


def two_hosts(scene: Scene) -> None:
    """Two more machines, each with a worker of the same name; both consume, then one dies and the other leaves."""
    hosts = ("host-a", "host-b")
    settings = {host: settings_of(host, scene.stage.settings) for host in hosts}
    with contextlib.ExitStack() as stack:
        workers = {host: stack.enter_context(worker_on(host, settings[host])) for host in hosts}

        def stores(host: str) -> bool:
            assert workers[host].poll() is None, f"the worker of {host} has ended"
            return _figure(settings[host], f"{host}-{WORKERS[0]}", ROWS) > 0

        until(lambda: all(stores(host) for host in hosts), "the workers of both hosts to store rows")
        workers[hosts[0]].kill()
        time.sleep(HOLD_S)
        assert workers[hosts[1]].poll() is None, "the other worker goes on"
        workers[hosts[1]].terminate()
        workers[hosts[1]].wait(60)


def _traffic_goes_on(scene: Scene, beside: Callable[[], object] = lambda: None) -> None:
    """The busy task gets answers and labels from now on; its watermark and looks must follow them."""
    began = datetime.now(UTC)
    # A monitor that has just moved begins by reading what came meanwhile.
    until(lambda: scene.busy(0.0, beside) and scene.looked(began, began + DAY), "a look at the busy task", every_s=0.5)
    last = scene.busy(TRAFFIC_S, beside)

    def followed() -> str:
        looked = scene.looked(last - timedelta(seconds=FRESH_S), last + timedelta(seconds=FRESH_S))
        return "" if looked else f"no look at the busy task whose watermark comes near {last:%H:%M:%S}"

    def not_ahead() -> str:
        sql = "SELECT countIf(watermark > looked_at) AS n FROM evaluations WHERE task = {task:String}"
        found = scene.stage.rows(sql, task=BUSY)
        return "" if found and not found[0]["n"] else "the busy task's watermark is ahead of the clock"

    scene.checks += [followed, not_ahead]


def _figure(settings: Settings, name: str, figure: str) -> float:
    """A metric of a worker, by its name and labels; -1 where it is not told."""
    try:
        url = health_file(settings.home, name).read_text().strip()
        lines = httpx.get(f"{url}/metrics", trust_env=False, timeout=5).text.splitlines()
    except (OSError, httpx.HTTPError):
        return -1.0
    return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == figure), -1.0)
