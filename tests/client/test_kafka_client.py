"""The client on the real Kafka: away and back, a script that ends, a fork."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from formatted_storage import formatted

from headrace.bus.kafka import KafkaConsumer, ensure_topics
from headrace.client import AsyncClient, Client
from headrace.contract.control import Counter
from headrace.contract.events import Inference
from headrace.contract.topics import EMITTERS, FEEDBACK, INFERENCES, Topic
from headrace.embedded.kafka import KafkaServer
from headrace.embedded.server import free_port
from headrace.settings import Settings

CACHE = Path(__file__).parents[2] / "var" / "cache"


async def stored(settings: Settings, topic: Topic, wanted: Any, deadline_s: float = 20.0) -> list[dict[str, Any]]:
    """The events of a topic for which `wanted` holds, once one at least is there and no more follow."""
    consumer = KafkaConsumer(settings, [topic])
    await consumer.start()
    found: list[dict[str, Any]] = []
    until = time.monotonic() + deadline_s
    try:
        while time.monotonic() < until:
            records = await consumer.read(1.0)
            for record in records:
                value = json.loads(record.value or b"[]")
                found.extend(event for event in (value if isinstance(value, list) else [value]) if wanted(event))
            if found and not records:
                break
    finally:
        await consumer.stop()
    return found


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)


async def test_events_and_counts_arrive(kafka: Settings) -> None:
    """Events of both kinds arrive as they were given, packed, and the counters say how many."""
    async with AsyncClient(kafka, emitter="desk") as client:
        for number in range(300):
            answer = client.inference(task="router", version="router@1", session_id=f"s{number % 7}", label="it")
        client.feedback(inference_id=answer, source="user", signal="thumb", value=1)
    answers = await stored(kafka, INFERENCES, lambda event: event["emitter"] == client.emitter)
    assert len({event["inference_id"] for event in answers}) == len(answers) == 300
    assert Inference.strict(answers[-1]).label == "it"
    assert len(await stored(kafka, FEEDBACK, lambda event: event["emitter"] == client.emitter)) == 1
    counters = [Counter(**event) for event in await stored(kafka, EMITTERS, lambda e: e["emitter"] == client.emitter)]
    last = {counter.kind: counter for counter in sorted(counters, key=lambda counter: counter.sequence)}
    assert (last["inferences"].emitted, last["inferences"].acknowledged) == (300, 300)
    assert last["feedback"].emitted == 1


async def test_a_broker_that_comes_later_gets_everything(tmp_path: Path) -> None:
    """Down at the start, up, killed and up again: every event recorded meanwhile arrives, once it is back."""
    port = free_port()
    settings = Settings(home=tmp_path, kafka=f"127.0.0.1:{port}")
    client = AsyncClient(settings, emitter="patient")
    await client.start()
    ids = [client.inference(task="router", version="router@1")]
    assert not await client.flush(0.5)
    with KafkaServer(formatted(tmp_path), port=port, cache=CACHE) as broker:
        await ensure_topics(settings)
        assert await client.flush(20)
        broker.kill()
        ids += [client.inference(task="router", version="router@1") for _ in range(100)]
        assert not await client.flush(0.5)
        again = KafkaServer(tmp_path, port=port, cache=CACHE).start()
        try:
            ids += [client.inference(task="router", version="router@1") for _ in range(100)]
            assert await client.flush(60)
            await client.close()
            events = await stored(settings, INFERENCES, lambda event: True)
        finally:
            again.stop()
    assert {event["inference_id"] for event in events} == {str(one) for one in ids}
    assert client.count("inferences").acknowledged == 201


SCRIPT = """
import sys
from headrace.client import Client
client = Client(kafka=sys.argv[1], emitter=sys.argv[2])
for number in range(1000):
    client.inference(task="router", version="router@1", input=f"question {number}")
"""


async def test_a_script_that_just_ends_has_sent_everything(kafka: Settings) -> None:
    """A program without a close ends promptly, and all its events and counts are stored."""
    began = time.monotonic()
    run(SCRIPT, kafka.kafka, "script")
    assert time.monotonic() - began < 10
    events = await stored(kafka, INFERENCES, lambda event: event["emitter"].startswith("script."))
    assert len({event["inference_id"] for event in events}) == len(events) == 1000
    counters = await stored(kafka, EMITTERS, lambda event: event["emitter"].startswith("script."))
    assert max(counters, key=lambda counter: counter["sequence"])["emitted"] == 1000


async def test_a_host_name_is_found_while_the_program_ends(kafka: Settings) -> None:
    """Names are looked up in threads, which an ending interpreter no longer makes: events arrive all the same."""
    port = kafka.kafka.rsplit(":", 1)[1]
    run(SCRIPT, f"localhost:{port}", "named")
    assert len(await stored(kafka, INFERENCES, lambda event: event["emitter"].startswith("named."))) == 1000


def test_a_script_without_a_broker_ends_within_its_bound() -> None:
    """Where nothing answers a program still ends, and says on stderr what it dropped."""
    began = time.monotonic()
    done = run(SCRIPT, f"127.0.0.1:{free_port()}", "alone")
    assert time.monotonic() - began < 12
    assert "no Kafka broker answers" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 6, done.stderr


async def test_threads_share_a_client(kafka: Settings) -> None:
    """Events from several threads all arrive; flush says so."""
    with Client(kafka, emitter="threads") as client:
        workers = [
            threading.Thread(target=lambda: [client.inference(task="router", version="r@1") for _ in range(500)])
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert client.flush(20)
        assert client.count("inferences").acknowledged == 2000
    assert len(await stored(kafka, INFERENCES, lambda event: event["emitter"] == client.emitter)) == 2000


FORK = """
import os, sys
from headrace.client import Client
client = Client(kafka=sys.argv[1], emitter="forked")
client.inference(task="router", version="router@1", label="parent")
child = os.fork()
if child == 0:
    client.inference(task="router", version="router@1", label="child")
    assert client.close(20)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


async def test_a_forked_child_has_a_sender_of_its_own(kafka: Settings) -> None:
    """A client made before a fork works in the child, under another emitter's name, and sends nothing twice."""
    run(FORK, kafka.kafka)
    events = await stored(kafka, INFERENCES, lambda event: event["emitter"].startswith("forked."))
    assert sorted(event["label"] for event in events) == ["child", "parent"]
    assert len({event["emitter"] for event in events}) == 2
