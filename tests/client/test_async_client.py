"""What the client promises whatever the transport does."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace.client import AsyncClient, sender
from headrace.client.transport import Refused
from headrace.contract.events import new_feedback, new_inference
from headrace.contract.ids import uuid7
from headrace.errors import EventError, HeadraceError, SettingsError


def client_of(transport: Any, **options: Any) -> AsyncClient:
    return AsyncClient(kafka="127.0.0.1:9092", transport=transport, **options)


async def arrived(transport: Any, events: int) -> None:
    """Return when so many were sent."""
    async with asyncio.timeout(30):
        while len(transport.events) < events:  # noqa: ASYNC110 (the transport has no event for it)
            await asyncio.sleep(0.01)


async def test_events_are_packed_and_sent(transport: Any) -> None:
    """What arrives within a moment shares records; ids come back at once and arrive with tenant and emitter."""
    async with client_of(transport, tenant="acme", emitter="desk") as client:
        answers = [client.inference(task="router", version="router@1", session_id="s") for _ in range(50)]
        thumb = client.feedback(inference_id=answers[0], source="user", signal="thumb", value=-1)
        assert await client.flush()
    assert [event["inference_id"] for event in transport.events[:50]] == [str(answer) for answer in answers]
    assert {event["tenant"] for event in transport.events} == {"acme"}
    assert {event["emitter"] for event in transport.events} == {client.emitter}
    assert client.emitter.startswith("desk.")
    assert [event["feedback_id"] for event in transport.events if "feedback_id" in event] == [str(thumb)]
    assert len(transport.records) == 2


async def test_events_that_come_all_the_time_share_records(transport: Any, tmp_path: Path) -> None:
    """One a millisecond for half a second: a round waits for more, instead of following the last one with few."""
    send = transport.send

    async def slowly(record: Any) -> Any:
        await asyncio.sleep(0.003)
        return await send(record)

    transport.send = slowly
    began = time.monotonic()
    async with client_of(transport, spool=tmp_path) as client:
        for _ in range(500):
            client.inference(task="router", version="router@1", session_id="s")
            await asyncio.sleep(0.001)
        assert await client.flush()
    rounds = (time.monotonic() - began) / sender.ROUND_S
    assert len(transport.events) == 500 and len(transport.records) <= rounds + 5


async def test_rounds_follow_each_other_for_whom_somebody_waits(
    transport: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few events wait for others, but not where somebody waits for them, nor behind a round of many."""
    monkeypatch.setattr(sender, "ROUND_S", 600.0)
    fields = {"task": "router", "version": "router@1"}
    async with client_of(transport, spool=tmp_path) as client:
        client.inference(**fields)
        await arrived(transport, 1)
        client.inference(**fields)
        await asyncio.sleep(0.2)
        assert len(transport.events) == 1
        assert await client.keep([new_inference("router", "router@1")], 30)
        assert len(transport.events) == 3
        for _ in range(sender.ENOUGH):
            client.inference(**fields)
        assert await client.flush(30)
        client.inference(**fields)
        await arrived(transport, 4 + sender.ENOUGH)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"task": "router"}, "Inference.version: the field is missing"),
        ({"task": "router", "version": "r@1", "lable": "it"}, "Inference.lable: there is no such field"),
        ({"task": "router", "version": "r@1", "revision": -1}, "Inference.revision: .*greater than or equal to 0"),
        ({"task": "router", "version": "r@1", "occurred_at": "yesterday"}, "Inference.occurred_at: "),
    ],
)
async def test_a_wrong_field_is_named_at_once(transport: Any, fields: dict[str, Any], sentence: str) -> None:
    """A caller's mistake raises EventError with the field's name, and nothing is sent."""
    async with client_of(transport) as client:
        with pytest.raises(EventError, match=sentence):
            client.inference(**fields)
    assert transport.records == []
    assert client.count("inferences").emitted == 0


async def test_feedback_names_its_wrong_field_too(transport: Any) -> None:
    """Feedback is checked like an inference, and an event of the other kind is refused."""
    async with client_of(transport) as client:
        answer = new_inference("router", "router@1")
        with pytest.raises(EventError, match=r"Feedback.signal: the field is missing"):
            client.feedback(inference_id=answer.inference_id, source="user")
        with pytest.raises(EventError, match=r"Feedback.source: .*'somebody'"):
            client.feedback(inference_id=answer.inference_id, source="somebody", signal="thumb")
        with pytest.raises(EventError, match="Feedback: expected one"):
            client.feedback(answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "one of settings=, kafka= and url=, and was given none"),
        ({"kafka": "127.0.0.1:9092", "url": "http://127.0.0.1:8080"}, "was given kafka and url"),
        ({"kafka": "broker"}, "needs a host and a port"),
    ],
)
def test_unusable_addresses_are_refused(options: dict[str, Any], sentence: str) -> None:
    """A client without one usable address says so when it is made."""
    with pytest.raises(SettingsError, match=sentence):
        AsyncClient(**options)


async def test_a_failure_is_retried_in_order(transport: Any) -> None:
    """Records that fail are sent again until they are stored, in the order of their session, and counted once."""
    transport.fail = [HeadraceError("away")] * 3
    async with client_of(transport) as client:
        for number in range(450):
            client.inference(task="router", version="router@1", session_id="s", label=str(number))
        assert await client.flush(10)
        assert client.count("inferences").acknowledged == 450
    assert [int(event["label"]) for event in transport.events] == list(range(450))


async def test_a_full_buffer_drops_and_counts_and_warns_once(transport: Any, caplog: pytest.LogCaptureFixture) -> None:
    """While nothing answers the buffer stays within its bounds; what does not fit is counted and warned of once."""
    transport.open.clear()
    caplog.set_level(logging.WARNING, "headrace.client")
    client = client_of(transport, max_events=100)
    await client.start()
    began = time.monotonic()
    for _ in range(1000):
        client.inference(task="router", version="router@1")
    assert time.monotonic() - began < 2
    count = client.count("inferences")
    assert (count.emitted, count.dropped) == (1000, 900)
    assert len([record for record in caplog.records if "buffer is full" in record.message]) == 1
    transport.open.set()
    assert await client.flush()
    assert len(transport.events) == 100
    client.inference(task="router", version="router@1")
    assert await client.close()
    assert len(transport.events) == 101


async def test_the_buffer_is_bounded_in_bytes(transport: Any) -> None:
    """A few large events fill the buffer as many small ones do."""
    transport.open.clear()
    client = client_of(transport, max_bytes=200_000)
    await client.start()
    for _ in range(10):
        client.inference(task="router", version="router@1", input="x" * 60_000)
    assert client.count("inferences").dropped == 7
    transport.open.set()
    await client.close()
    assert len(transport.events) == 3


async def test_an_id_of_another_time_is_sent_and_warned_of_once(
    transport: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer of last week under an id of today is in no window: the program that sends such answers is told."""
    caplog.set_level(logging.WARNING, "headrace.client")
    now = datetime.now(UTC)
    async with client_of(transport) as client:
        for days in (0, 0.5, 7, 8):
            at = now - timedelta(days=days)
            client.inference(task="router", version="router@1", occurred_at=at, inference_id=uuid7(now))
        client.inference(task="router", version="router@1", occurred_at=now - timedelta(days=7))
        client.inference(task="router", version="router@1", occurred_at=now - timedelta(days=7), inference_id="HELP-1")
        assert await client.flush()
    assert len(transport.events) == 6
    assert len([record for record in caplog.records if "more than a day" in record.message]) == 1


async def test_a_refused_record_is_dropped_and_said_once(transport: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What the other side will never take is dropped and counted, and what follows goes through."""
    caplog.set_level(logging.WARNING, "headrace.client")
    transport.fail = [Refused("401: no such key")]
    async with client_of(transport) as client:
        client.inference(task="router", version="router@1")
        assert await client.flush()
        client.inference(task="router", version="router@1")
        assert await client.flush()
        count = client.count("inferences")
    assert (count.emitted, count.acknowledged, count.dropped) == (2, 1, 1)
    assert [record.message for record in caplog.records if "no such key" in record.message] != []


async def test_close_is_bounded_and_counts_what_it_leaves(transport: Any) -> None:
    """Closing while nothing answers returns within its bound and counts what was not sent as dropped."""
    transport.open.clear()
    client = client_of(transport)
    await client.start()
    client.inference(task="router", version="router@1")
    began = time.monotonic()
    assert not await client.close(0.2)
    assert time.monotonic() - began < 3
    assert client.count("inferences").dropped == 1
    assert transport.closed
    client.inference(task="router", version="router@1")
    assert client.count("inferences").dropped == 2


async def test_the_last_counter_of_a_kind_is_its_whole_count(transport: Any) -> None:
    """Closing publishes cumulative counts for the kinds that were used, with a growing sequence."""
    async with client_of(transport, emitter="desk") as client:
        for _ in range(3):
            answer = client.inference(task="router", version="router@1")
        await client.flush()
        client.feedback(inference_id=answer, source="user", signal="thumb", value=1)
    counters = {counter.kind: counter for counter in transport.counters}
    assert {kind: (c.emitted, c.acknowledged, c.dropped) for kind, c in counters.items()} == {
        "inferences": (3, 3, 0),
        "feedback": (1, 1, 0),
    }
    assert {counter.emitter for counter in transport.counters} == {client.emitter}


async def test_a_retried_event_counts_once(transport: Any) -> None:
    """The same event recorded again is sent again and counted once; a revised feedback is another event."""
    async with client_of(transport) as client:
        answer = new_inference("router", "router@1")
        thumb = new_feedback(answer.inference_id, "user", "thumb", value=1)
        for _ in range(2):
            client.inference(answer)
            await client.send([answer])
        client.feedback(thumb)
        client.feedback(thumb.model_copy(update={"revision": 1, "value": -1.0}))
        await client.flush()
        assert client.count("inferences").emitted == client.count("inferences").acknowledged == 1
        assert client.count("feedback").emitted == 2
    assert len(transport.events) == 6


async def test_send_returns_when_stored_and_raises_when_not(transport: Any) -> None:
    """`send` stores before it returns; where it fails it raises, counts nothing, and may be tried again."""
    async with client_of(transport) as client:
        events = [new_inference("router", "router@1", emitter="phone") for _ in range(3)]
        transport.fail = [HeadraceError("away")]
        with pytest.raises(HeadraceError, match="away"):
            await client.send(events)
        assert client.count("inferences").emitted == 0
        await client.send(events)
        assert client.count("inferences").acknowledged == 3
        assert transport.events[-1]["emitter"] == client.emitter
        assert transport.events[-1]["extra"] == {"emitter": "phone"}


async def test_two_clients_never_share_a_name(transport: Any) -> None:
    """Each start counts from nothing, so each start has a name of its own."""
    assert client_of(transport, emitter="desk").emitter != client_of(transport, emitter="desk").emitter


async def test_nothing_that_is_offered_meanwhile_is_forgotten(transport: Any) -> None:
    """Events offered from many threads while rounds end all arrive, though nobody flushes."""
    async with client_of(transport) as client:
        loop = asyncio.get_running_loop()

        def offer() -> None:
            for _ in range(100):
                event = client._options.inference(None, {"task": "router", "version": "router@1"})
                if client._sender.offer(event):
                    loop.call_soon_threadsafe(client._sender.wake)
                time.sleep(0.001)

        await asyncio.gather(*[asyncio.to_thread(offer) for _ in range(4)])
        async with asyncio.timeout(5):
            while len(transport.events) < 400:  # noqa: ASYNC110  (a flush would hide a sender that was not woken)
                await asyncio.sleep(0.01)
