"""Recording who did what: nothing is lost while Kafka is away, and nothing waits for it."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from headrace.access.actions import FOLDER, MAX_BYTES, WAITING, Recorder, Waiting, action
from headrace.access.telling import words
from headrace.bus.memory import MemoryBus, MemoryProducer
from headrace.contract.actions import Action, ActionKind, Via
from headrace.contract.topics import ACTIONS, Topic
from headrace.errors import HeadraceError


class Bus:
    """A producer on a bus in memory that is away while `away` is set."""

    def __init__(self) -> None:
        self._bus = MemoryBus()
        self._producer = MemoryProducer(self._bus, "")
        self.away = False

    @property
    def stored(self) -> list[Action]:
        found = self._bus.logs.get((ACTIONS.name, 0), [])
        return [Action.model_validate_json(message.value or b"") for message in found]

    async def start(self) -> None: ...

    async def send(self, topic: Topic, value: bytes | None, key: bytes | None = None) -> None:
        if self.away:
            raise HeadraceError("no broker answers")
        await self._producer.send(topic, value, key)

    async def stop(self) -> None: ...


def added(subject: str = "k1", **detail: Any) -> Action:
    return action(ActionKind.KEY_ADDED, "ann", Via.CLI, subject, **detail)


async def test_an_action_says_who_and_from_where(tmp_path: Path) -> None:
    """A recorded action bears its time, person, user and host, under its kind as the key."""
    bus = Bus()
    await Recorder(bus, tmp_path).record(added(roles=["read"]))
    (stored,) = bus.stored
    assert (stored.by, stored.via, stored.kind, stored.subject) == ("ann", "cli", "key_added", "k1")
    assert "@" in stored.origin and stored.detail == {"roles": ["read"]}


async def test_what_kafka_did_not_take_is_sent_by_whoever_records_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While Kafka is away recording raises nothing, says so, and another recorder sends it later under the same id."""
    bus, earlier = Bus(), [added(f"k{n}") for n in range(3)]
    bus.away = True
    with caplog.at_level(logging.WARNING):
        for one in earlier:
            await Recorder(bus, tmp_path).record(one)
    assert "was done and not recorded (no broker answers); it is sent by whoever records next" in caplog.text
    assert (tmp_path / FOLDER / WAITING).stat().st_mode & 0o077 == 0
    bus.away = False
    now = added("k9")
    await Recorder(bus, tmp_path).record(now)
    assert bus.stored == [now, *earlier]
    await Recorder(bus, tmp_path).record(added("k10"))
    assert len(bus.stored) == 5


async def test_a_shipper_that_fails_halfway_keeps_what_is_left(tmp_path: Path) -> None:
    """Where Kafka goes away in the middle everything that waits is sent again, and an action is never lost."""
    bus, earlier = Bus(), [added(f"k{n}") for n in range(4)]
    waiting = Waiting(tmp_path / FOLDER)
    assert all(waiting.keep(one) for one in earlier)

    async def fails_at_the_third(done: Action) -> None:
        if done == earlier[2]:
            raise HeadraceError("away again")
        await bus.send(ACTIONS, done.to_json())

    with pytest.raises(HeadraceError):
        await waiting.ship(fails_at_the_third)
    assert waiting.keep(late := added("late"))
    await Recorder(bus, tmp_path).record(added("now"))
    await Recorder(bus, tmp_path).record(added("then"))
    assert {one.action_id for one in bus.stored} >= {one.action_id for one in [*earlier, late]}


async def test_what_waits_is_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full file takes no more; the action then stands in the log, whole."""
    bus = Bus()
    bus.away = True
    recorder = Recorder(bus, tmp_path)
    for n in range(40):
        await recorder.record(added(f"k{n}", reason="x" * 30_000))
    assert (tmp_path / FOLDER / WAITING).stat().st_size <= MAX_BYTES
    assert "it could not be kept: {" in caplog.text


async def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    """What a crash left half written is left out, and the rest is sent."""
    bus, waiting = Bus(), Waiting(tmp_path / FOLDER)
    whole = added("whole")
    waiting.keep(whole)
    with (tmp_path / FOLDER / WAITING).open("ab") as file:
        file.write(b'{"action_id": "0')
    await Recorder(bus, tmp_path).record(added("now"))
    assert bus.stored[1:] == [whole]


async def test_keeping_and_shipping_at_once_loses_nothing(tmp_path: Path) -> None:
    """Four processes' worth of writers beside a shipper: each action is sent."""
    bus, folder = Bus(), tmp_path / FOLDER
    mine = [[added(f"{writer}-{n}") for n in range(40)] for writer in range(4)]
    writers = [
        threading.Thread(target=lambda own=own: [Waiting(folder).keep(one) for one in own])  # type: ignore[misc]
        for own in mine
    ]
    for writer in writers:
        writer.start()

    async def send(done: Action) -> None:
        await bus.send(ACTIONS, done.to_json())

    while any(writer.is_alive() for writer in writers):
        await Waiting(folder).ship(send)
        await asyncio.sleep(0)
    await Waiting(folder).ship(send)
    await Waiting(folder).ship(send)
    assert {one.action_id for one in bus.stored} == {one.action_id for own in mine for one in own}


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ({}, ""),
        ({"reason": "the Lisbon office opened"}, "the Lisbon office opened"),
        (
            {"from": "router@0", "to": "router@1", "generation": 5, "reason": "cheaper", "request_id": "x"},
            "router@0 → router@1, generation 5, cheaper",
        ),
        ({"roles": ["ingest", "read"], "tenant": "acme"}, "roles ingest, read, tenant acme"),
        ({"changes": [{"key": "gate.margin", "old": 0.03, "new": None}]}, "gate.margin: 0.03 → nothing"),
    ],
)
def test_details_have_words(detail: dict[str, Any], said: str) -> None:
    """What is known of an action is one line that a person reads."""
    assert words(json.dumps(detail)) == said
