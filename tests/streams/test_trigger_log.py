"""A trigger of the monitor's own, and the action that says so, are published together."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace.contract import ids
from headrace.contract.actions import Action
from headrace.contract.control import Trigger
from headrace.contract.topics import ACTIONS, TRIGGERS
from headrace.errors import HeadraceError
from streams import __main__ as streams

AT = datetime(2026, 3, 1, tzinfo=UTC)
TRIGGER = Trigger(
    trigger_id=ids.uuid7(AT), task="router", kind="drift", decided_at=AT, reason="accuracy fell", test_from=AT
)


class Decided:
    """A monitor that decides the same thing until it is told that it was published."""

    def __init__(self) -> None:
        self.published: list[Trigger] = []

    def look(self, name: str) -> Trigger | None:
        return None if self.published else TRIGGER

    def sent(self, trigger: Trigger) -> None:
        self.published.append(trigger)


async def test_a_trigger_and_its_action_are_published_until_both_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Kafka takes the trigger and not the action, both are published again, under the same ids."""
    monitor, on_kafka, away = Decided(), list[tuple[str, bytes]](), True

    async def publish(app: Any, topic: str, key: str, value: bytes) -> None:
        if topic == ACTIONS.name and away:
            raise HeadraceError("no broker answers")
        on_kafka.append((topic, value))

    monkeypatch.setattr(streams, "owns", lambda app, topic: True)
    monkeypatch.setattr(streams, "publish", publish)
    look = streams._look(None, monitor, "router", asyncio.to_thread)  # type: ignore[arg-type]
    await look()
    assert not monitor.published
    away = False
    await look()
    await look()
    assert monitor.published == [TRIGGER]
    assert [topic for topic, _ in on_kafka] == [TRIGGERS.name, TRIGGERS.name, ACTIONS.name]
    done = Action.model_validate_json(on_kafka[-1][1])
    assert (done.by, done.via, done.kind, done.task) == ("monitor", "part", "trigger", "router")
    assert (done.subject, done.detail) == (str(TRIGGER.trigger_id), {"reason": "accuracy fell"})
