"""The client with a spool: what was recorded outlives the process that recorded it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from formatted_storage import formatted
from test_kafka_client import CACHE, stored

from headrace.bus.kafka import ensure_topics
from headrace.client import AsyncClient, Client
from headrace.client.transport import Refused
from headrace.contract.control import Counter
from headrace.contract.events import new_feedback, new_inference
from headrace.contract.topics import EMITTERS, INFERENCES
from headrace.embedded.kafka import KafkaServer
from headrace.embedded.server import free_port
from headrace.errors import HeadraceError
from headrace.settings import Settings
from headrace.spool import Journal

ANSWER = {"task": "router", "version": "router@1"}


def client_of(transport: Any, spool: Path, **options: Any) -> AsyncClient:
    return AsyncClient(kafka="127.0.0.1:9092", transport=transport, spool=spool, **options)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (a thread's or a file's state)
            await asyncio.sleep(0.01)


def last(counters: list[Counter], emitter: str) -> dict[str, tuple[int, int, int]]:
    """An emitter's whole counts by kind: those of the greatest sequence."""
    own = sorted((counter for counter in counters if counter.emitter == emitter), key=lambda one: one.sequence)
    return {counter.kind: (counter.emitted, counter.acknowledged, counter.dropped) for counter in own}


async def test_events_pass_through_the_spool_and_leave_it(transport: Any, tmp_path: Path) -> None:
    """What arrives is in order and counted as without a spool, and a clean end leaves no file."""
    async with client_of(transport, tmp_path, emitter="desk") as client:
        for number in range(450):
            answer = client.inference(**ANSWER, session_id="s", label=str(number))
        client.feedback(inference_id=answer, source="user", signal="thumb", value=1)
        assert await client.flush()
        assert client.count("inferences").acknowledged == 450
    assert [int(event["label"]) for event in transport.events if event.get("label")] == [*range(450)]
    assert last(transport.counters, client.emitter) == {"inferences": (450, 450, 0), "feedback": (1, 1, 0)}
    assert list(tmp_path.iterdir()) == []


async def test_what_is_left_goes_out_with_the_next_client(transport: Any, tmp_path: Path) -> None:
    """Closed while nothing answers, a client drops nothing; the next one on the folder ships it and says how much."""
    transport.open.clear()
    first = client_of(transport, tmp_path, emitter="desk")
    await first.start()
    answers = [first.inference(**ANSWER, session_id="s") for _ in range(30)]
    assert not await first.close(0.1)
    assert first.count("inferences").dropped == 0
    transport.open.set()
    async with client_of(transport, tmp_path) as second:
        second.inference(**ANSWER)
        await until(lambda: second.spooled.inherited == 1)
        assert await second.flush()
    found = [event["inference_id"] for event in transport.events if event["emitter"] == first.emitter]
    assert found == [str(answer) for answer in answers]
    assert last(transport.counters, first.emitter) == {"inferences": (30, 30, 0)}
    assert last(transport.counters, second.emitter) == {"inferences": (1, 1, 0)}
    assert list(tmp_path.iterdir()) == []


async def test_what_a_dead_process_had_kept_stays_its_own(transport: Any, tmp_path: Path) -> None:
    """An event that was kept, and its caller not told so, is given again to the next process: it is still the first
    one's, so that no count says that one is missing."""
    transport.open.clear()
    first = client_of(transport, tmp_path)
    answer, other = (new_inference("router", "router@1", tenant="acme") for _ in range(2))
    thumb = new_feedback(answer.inference_id, "user", "thumb", value=1)
    assert not await first.keep([answer, thumb], 0.01)
    await first.close(0.01)
    transport.open.set()
    async with client_of(transport, tmp_path) as second:
        assert await second.keep([answer, thumb, other, thumb.model_copy(update={"revision": 1})], 5)
        second.inference(answer)
        assert await second.flush()
        await until(lambda: second.spooled.inherited == 1)
    owners = {event.get("feedback_id", event["inference_id"]): event["emitter"] for event in transport.events}
    assert owners[str(answer.inference_id)] == first.emitter and owners[str(other.inference_id)] == second.emitter
    assert last(transport.counters, first.emitter) == {"inferences": (1, 1, 0), "feedback": (1, 1, 0)}
    assert last(transport.counters, second.emitter) == {"inferences": (1, 1, 0), "feedback": (1, 1, 0)}


async def test_two_clients_share_a_folder(transport: Any, tmp_path: Path) -> None:
    """Each ships its own events and leaves the living other's alone."""
    transport.open.clear()
    one, two = client_of(transport, tmp_path), client_of(transport, tmp_path)
    for client in (one, two):
        await client.start()
        client.inference(**ANSWER)
    transport.open.set()
    for client in (one, two):
        assert await client.flush()
        assert client.spooled.inherited == 0
    assert sorted(event["emitter"] for event in transport.events) == sorted((one.emitter, two.emitter))
    await one.close()
    await two.close()


async def test_a_full_spool_is_said_once_and_events_go_past_it(
    transport: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Past the bound events wait in memory, past that bound they are dropped; all of it is counted and true."""
    caplog.set_level(logging.WARNING, "headrace.client")
    transport.open.clear()
    client = client_of(transport, tmp_path, spool_bytes=50_000, max_events=20)
    await client.start()
    for _ in range(200):
        client.inference(**ANSWER)
    dropped = client.count("inferences").dropped
    assert client.count("inferences").emitted == 200 and 50 < dropped < 170
    assert client.spooled.refused == dropped + 20
    assert len([record for record in caplog.records if "the spool" in record.message]) == 1
    transport.open.set()
    assert await client.flush()
    assert len(transport.events) == 200 - dropped
    await client.close()
    assert last(transport.counters, client.emitter) == {"inferences": (200, 200 - dropped, dropped)}
    assert list(tmp_path.iterdir()) == []


async def test_the_heir_counts_what_went_past_the_spool_too(transport: Any, tmp_path: Path) -> None:
    """What only the memory of a killed process held is missing in its last count, and not forgotten by it."""
    transport.open.clear()
    first = client_of(transport, tmp_path / "live", spool_bytes=5_000, max_events=3)
    for _ in range(20):
        first.inference(**ANSWER)
    dropped = first.count("inferences").dropped
    # What a SIGKILL leaves is what the files hold now; the lock is this process's own.
    (folder,) = (tmp_path / "live").iterdir()
    folder.rename(tmp_path / "left")
    (tmp_path / "copy").mkdir()
    shutil.copytree(tmp_path / "left", tmp_path / "copy" / "left")
    transport.open.set()
    async with client_of(transport, tmp_path / "copy") as successor:
        await until(lambda: successor.spooled.inherited == 1)
    assert last(transport.counters, first.emitter) == {"inferences": (20, 20 - dropped - 3, dropped)}
    assert len(transport.events) == 20 - dropped - 3


async def test_what_is_refused_is_dropped_and_not_retried(transport: Any, tmp_path: Path) -> None:
    """A record refused whole, and single events of one, are counted as dropped; the others are acknowledged."""
    transport.fail = [Refused("401: no such key")]
    async with client_of(transport, tmp_path) as client:
        client.inference(**ANSWER)
        assert await client.flush()
        transport.reject = [{1: "no", 3: "no"}]
        for _ in range(5):
            client.inference(**ANSWER, session_id="s")
        assert await client.flush()
    assert last(transport.counters, client.emitter) == {"inferences": (6, 3, 3)}


async def test_rejected_events_are_counted_without_a_spool_too(
    transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a record that is taken in part the rest is dropped and counted; one that counted before is not again."""
    async with AsyncClient(kafka="127.0.0.1:9092", transport=transport) as client:
        event = new_inference("router", "router@1", session_id="s")
        transport.reject = [{0: "no"}, {0: "the first again", 1: "no"}]
        client.inference(event)
        assert await client.flush()
        client.inference(event)
        client.inference(**ANSWER, session_id="s")
        client.inference(**ANSWER, session_id="s")
        assert await client.flush()
        count = client.count("inferences")
        assert (count.emitted, count.acknowledged, count.dropped) == (3, 1, 2)
        transport.reject = [{0: "Inference.task: wrong"}]
        with pytest.raises(Refused, match=r"1 of 1 events were refused: Inference.task: wrong"):
            await client.send([event])
    assert "no; such events are dropped" in caplog.text


async def test_keep_says_where_events_are(transport: Any, tmp_path: Path) -> None:
    """True once they are stored, False while only the spool has them; without a place for them it raises."""
    answer = new_inference("router", "router@1", emitter="phone")
    events = [answer, new_feedback(answer.inference_id, "user", "thumb", value=1)]
    async with client_of(transport, tmp_path / "a") as client:
        assert await client.keep(events, 5)
        assert await client.keep([], 5)
        transport.open.clear()
        assert not await client.keep([new_inference("router", "router@1")], 0.05)
        transport.open.set()
        assert await client.keep(events, 5)
        assert client.count("inferences").emitted == 2
    assert transport.events[0]["emitter"] == client.emitter and transport.events[0]["extra"] == {"emitter": "phone"}
    async with client_of(transport, tmp_path / "b", spool_bytes=1) as client:
        assert await client.keep(events, 5)
        transport.fail = [HeadraceError("away")]
        with pytest.raises(HeadraceError, match="away"):
            await client.keep([new_inference("router", "router@1")], 5)
        assert client.count("inferences").emitted == 1
    assert last(transport.counters, client.emitter) == {"inferences": (1, 1, 0), "feedback": (1, 1, 0)}


async def test_nobody_waits_for_what_is_known_to_be_away(transport: Any, tmp_path: Path) -> None:
    """While the other side fails `keep` returns at once, and waits again when it has answered."""
    transport.fail = [HeadraceError("away")] * 1000
    async with client_of(transport, tmp_path) as client:
        async with asyncio.timeout(20):
            assert not await client.keep([new_inference("router", "router@1")], 0.5)
            for _ in range(100):
                assert not await client.keep([new_inference("router", "router@1")], 60)
        transport.fail = []
        assert await client.flush(10)
        assert await client.keep([new_inference("router", "router@1")], 60)
    assert len(transport.events) == 102


async def test_an_end_does_not_wait_for_what_is_known_to_be_away(transport: Any, tmp_path: Path) -> None:
    """What is on disk does not hold up a program that ends while nothing answers."""
    transport.fail = [HeadraceError("away")] * 1000
    client = client_of(transport, tmp_path)
    await client.start()
    client.inference(**ANSWER)
    await until(lambda: len(transport.fail) < 1000)
    async with asyncio.timeout(20):
        assert not await client.close(60)
    assert len(list(tmp_path.iterdir())) == 1 and client.count("inferences").dropped == 0


VICTIM = """
import os, signal, sys
from headrace.client import Client
client = Client(kafka=sys.argv[1], emitter="victim", spool=sys.argv[2])
for number in range(500):
    answer = client.inference(task="router", version="router@1", session_id="s", label=str(number))
client.feedback(inference_id=answer, source="user", signal="thumb", value=1)
print(client.emitter, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_program_without_a_broker_loses_nothing(tmp_path: Path) -> None:
    """SIGKILL right after 500 events, with no broker: a program that starts later, beside the broker, ships each of
    them once and in order, and publishes the dead one's true count."""
    port = free_port()
    spool = tmp_path / "spool"
    command = [sys.executable, "-c", VICTIM, f"127.0.0.1:{port}", str(spool)]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    emitter = killed.stdout.strip()
    settings = Settings(home=tmp_path, kafka=f"127.0.0.1:{port}")
    with KafkaServer(formatted(tmp_path), port=port, cache=CACHE):
        asyncio.run(ensure_topics(settings))
        with Client(settings, spool=spool) as client:
            asyncio.run(until(lambda: client.spooled.inherited == 1))
        events = asyncio.run(stored(settings, INFERENCES, lambda event: event["emitter"] == emitter))
        counters = asyncio.run(stored(settings, EMITTERS, lambda event: event["emitter"] == emitter))
    assert [int(event["label"]) for event in events] == list(range(500))
    assert last([Counter(**fields) for fields in counters], emitter) == {
        "inferences": (500, 500, 0),
        "feedback": (1, 1, 0),
    }
    assert list(spool.iterdir()) == []


def test_a_paused_process_keeps_what_is_its_own(tmp_path: Path) -> None:
    """A process that sleeps is not dead: nobody takes over its events while it does, and one does when it is killed."""
    script = VICTIM.replace("SIGKILL", "SIGSTOP")
    process = subprocess.Popen(
        [sys.executable, "-c", script, f"127.0.0.1:{free_port()}", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline().startswith("victim.")
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        (folder,) = tmp_path.iterdir()
        assert Journal.take_over(folder) is None
    finally:
        process.kill()
        process.wait()
    successor = Journal.take_over(folder)
    assert successor is not None
    assert sum(frame.events for frame in successor.take()) == 501
    assert json.loads((folder / "tally").read_text())["emitter"] == successor.emitter
    successor.close()
