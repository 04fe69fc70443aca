"""Rows of a small story, as the loop's parts would write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.contract import ids
from headrace.contract.actions import Action
from headrace.contract.control import Promotion, Replica, Served, Step, Trigger, TriggerKind
from headrace.statistics.intervals import wilson
from headrace.warehouse import Warehouse

# Event time runs far from the wall clock and 600 times as fast, as it may in a replay.
EVENT_START = datetime(2026, 3, 2, tzinfo=UTC)
SPEED = 600


class Story:
    """Writes to the warehouse what happens at an hour of event time.

    began: the wall clock at event hour 0
    """

    def __init__(self, warehouse: Warehouse, task: str = "router") -> None:
        self._warehouse = warehouse
        self._task = task
        self.began = datetime.now(UTC) - timedelta(minutes=10)

    def event(self, hours: float) -> datetime:
        return EVENT_START + timedelta(hours=hours)

    def wall(self, hours: float) -> datetime:
        return self.began + timedelta(hours=hours) / SPEED

    def accuracy(self, hours: float, correct: int, n: int = 1000) -> None:
        low, high = wilson(correct, n)
        self._insert(
            "accuracy",
            {
                "task": self._task,
                "version": "*",
                "watermark": self.event(hours).isoformat(),
                "window_from": self.event(hours - 1).isoformat(),
                "n": n,
                "correct": correct,
                "value": correct / n,
                "low": low,
                "high": high,
                "known_at": self.wall(hours).isoformat(),
            },
        )

    def trigger(self, hours: float, reason: str) -> None:
        at = self.event(hours)
        trigger = Trigger(
            trigger_id=ids.uuid7(at),
            task=self._task,
            kind=TriggerKind.DRIFT,
            decided_at=at,
            reason=reason,
            detector="shiryaev_roberts",
            labels=120,
            test_from=at,
        )
        self._insert("triggers", json.loads(trigger.to_json()) | {"evidence": "{}"})

    def promotion(self, hours: float, generation: int, live: str, previous: str = "", canary: str = "") -> None:
        promotion = Promotion(
            task=self._task,
            generation=generation,
            step=Step.CANARY if canary else Step.STEADY,
            live=Served(version=live),
            canary=Served(version=canary) if canary else None,
            canary_share=0.25 if canary else 0.0,
            previous=Served(version=previous) if previous else None,
            since=self.wall(hours),
            at=self.wall(hours),
            reason="the evidence of the last step",
        )
        row = _columns(promotion)
        served = {
            name: json.dumps(row[name]) if name in row else "" for name in ("live", "canary", "shadow", "previous")
        }
        self._insert("promotions", row | served)

    def action(self, hours: float, kind: str, by: str, task: str = "router", **detail: Any) -> None:
        at = self.wall(hours)
        done = Action(
            action_id=ids.uuid7(at), at=at, by=by, via="cli", origin="ann@desk", kind=kind, task=task, detail=detail
        )
        self._insert("actions", json.loads(done.to_json()))

    def replica(self, name: str, ago_s: float, requests: int, live: str) -> None:
        at = datetime.now(UTC) - timedelta(seconds=ago_s)
        replica = Replica(
            replica=name, task=self._task, at=at, generation=1, live=live, ready=[live], requests=requests
        )
        self._insert("replicas", _columns(replica))

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        self._warehouse.insert(table, [json.dumps(row).encode()])


def _columns(message: Promotion | Replica) -> dict[str, Any]:
    """The fields of a control message that have a column in its copy."""
    return {name: value for name, value in json.loads(message.to_json()).items() if name not in message.without_column}
