"""The console's queries on a real ClickHouse."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from console_story import Story

from console.feed import PANELS
from console.tables import events
from headrace.contract import ids
from headrace.settings import Settings
from headrace.warehouse import Warehouse, query_text

pytestmark = pytest.mark.stack


@pytest.fixture
def page(empty_warehouse: Warehouse, clickhouse_server: Settings) -> Iterator[Warehouse]:
    """The same database as the console reads it."""
    reader = Warehouse.connect(clickhouse_server.replaced(database=empty_warehouse.database), as_analyst=True)
    yield reader
    reader.close()


def panel(warehouse: Warehouse, name: str, **parameters: Any) -> list[dict[str, Any]]:
    return warehouse.query(f"console/{name}", **{**PANELS[name], **parameters})


def utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def test_every_panel_reads_an_empty_database(page: Warehouse) -> None:
    """On a database that was only just prepared every panel is empty and none fails, for the user who only reads."""
    for name in PANELS:
        rows = panel(page, name)
        assert not rows or (name == "events" and all(row["stored"] == 0 for row in rows)), name


def test_panels_only_read() -> None:
    """Each panel is one SELECT: the console may log in as a user who can do nothing else."""
    for name in PANELS:
        statement = re.sub(r"--.*", "", query_text(f"console/{name}")).strip()
        assert re.match(r"(SELECT|WITH)\b", statement) and ";" not in statement, name
        assert not re.search(r"\b(INSERT|ALTER|CREATE|DROP|TRUNCATE|SYSTEM|OPTIMIZE)\b", statement), name


def test_promotions_stand_in_event_time(empty_warehouse: Warehouse) -> None:
    """A promotion, written in wall-clock time, is placed where event time had come by then."""
    story = Story(empty_warehouse)
    for hours in range(0, 50, 10):
        story.accuracy(hours, 950)
    story.promotion(-5, 1, "router@0")
    story.trigger(22, "accuracy fell")
    story.promotion(35, 2, "router@1", previous="router@0")
    rows = panel(empty_warehouse, "timeline")
    assert [(row["what"], row["kind"], row["version"]) for row in rows] == [
        ("promotion", "live", "router@1"),
        ("trigger", "drift", ""),
        ("promotion", "live", "router@0"),
    ]
    assert abs(utc(rows[0]["at"]) - story.event(30)) < timedelta(minutes=1)
    assert utc(rows[1]["at"]) == story.event(22)
    # Before any reading was known there is no better place than where the first window begins.
    assert utc(rows[2]["at"]) == story.event(-1)


def test_rollback_is_told_from_a_promotion(empty_warehouse: Warehouse) -> None:
    """Going back to the previous version is a rollback; a canary that is withdrawn leaves the live version alone."""
    story = Story(empty_warehouse)
    story.promotion(0, 1, "router@0")
    story.promotion(1, 2, "router@0", canary="router@1")
    story.promotion(2, 3, "router@0")
    story.promotion(3, 4, "router@1", previous="router@0")
    story.promotion(4, 5, "router@0", previous="router@1")
    oldest_first = reversed(panel(empty_warehouse, "timeline"))
    assert [(row["kind"], row["version"]) for row in oldest_first] == [
        ("live", "router@0"),
        ("canary", "router@1"),
        ("steady", "router@0"),
        ("live", "router@1"),
        ("rolled_back", "router@0"),
    ]


def test_thinning_keeps_the_newest_reading(empty_warehouse: Warehouse) -> None:
    """However many readings there are, the chart gets a bounded number, the newest among them."""
    story = Story(empty_warehouse)
    for hours in range(97):
        story.accuracy(hours, 900 + hours % 7)
    rows = panel(empty_warehouse, "accuracy", points=10)
    assert 10 <= len(rows) < 20
    assert utc(rows[-1]["watermark"]) == story.event(96)


def test_rate_is_over_the_last_minute_and_survives_a_restart(empty_warehouse: Warehouse) -> None:
    """Requests a second come from a gateway's own counter over its last minute; a restart never makes them negative."""
    story = Story(empty_warehouse)
    for ago_s, requests in ((600, 1), (50, 1000), (25, 1500), (0, 2000)):
        story.replica("gateway-0", ago_s, requests, "router@1")
    for ago_s, requests in ((40, 90_000), (0, 7)):
        story.replica("gateway-1", ago_s, requests, "router@1")
    first, second = panel(empty_warehouse, "replicas")
    assert first["per_s"] == pytest.approx(20, rel=0.02)
    assert first["ready"] == ["router@1"]
    assert second["per_s"] == 0


def test_the_newest_actions_stand_first(empty_warehouse: Warehouse) -> None:
    """Each task's newest actions, and those of no task, the newest first; one that was written twice is one row."""
    story = Story(empty_warehouse)
    for hours in range(4):
        story.action(hours, "trigger", f"person-{hours}")
    story.action(2.5, "key_added", "ann", task="")
    story.action(1.5, "trigger", "bob", task="other")
    rows = panel(empty_warehouse, "actions", rows=2)
    assert [row["by"] for row in rows] == ["person-3", "ann", "person-2", "bob"]
    assert rows[0]["detail"] == "{}"


def test_every_event_is_counted_in_one_place(empty_warehouse: Warehouse) -> None:
    """Every place counts an event once, replayed or not, and emitted is each emitter's last word."""
    story = Story(empty_warehouse)
    at = story.event(0)
    inference = {
        "inference_id": str(ids.uuid7(at)),
        "occurred_at": at.isoformat(),
        "tenant": "default",
        "task": "router",
    }
    thumb = {"occurred_at": at.isoformat(), "tenant": "default", "source": "user", "signal": "thumb", "value": 1}
    joined = thumb | {"feedback_id": str(ids.uuid7(at)), "inference_id": inference["inference_id"]}
    parked = thumb | {"feedback_id": str(ids.uuid7(at)), "inference_id": str(ids.uuid7(at))}
    letter = {"topic": "headrace.feedback", "partition": 1, "offset": 7, "record_index": 0, "at": at.isoformat()}
    counter = {"emitter": "sdk-1", "kind": "feedback", "at": at.isoformat()}
    entry = {"entry_id": str(uuid4()), "at": at.isoformat(), "what": "erased", "kind": "feedback", "events": 2}
    for table, rows in {
        "inferences": [inference, inference],
        "feedback": [joined, parked, joined],
        "dead_letters": [letter, letter],
        "emitters": [counter | {"sequence": 1, "emitted": 3}, counter | {"sequence": 2, "emitted": 5}],
        "ledger": [entry],
    }.items():
        for row in rows:
            empty_warehouse.insert(table, [json.dumps(row).encode()])
    inferences, feedback = panel(empty_warehouse, "events")
    assert (inferences["kind"], inferences["stored"]) == ("inferences", 1)
    assert {name: feedback[name] for name in ("stored", "parked", "dead_lettered", "erased", "emitted")} == {
        "stored": 1,
        "parked": 1,
        "dead_lettered": 1,
        "erased": 2,
        "emitted": 5,
    }


def test_what_was_replayed_or_came_again_is_no_dead_letter(empty_warehouse: Warehouse) -> None:
    """An event that became a row is stored, and what its emitter dropped was never sent: nothing is under way."""
    at = Story(empty_warehouse).event(0)
    named = {"tenant": "default", "occurred_at": at.isoformat()}
    answer = named | {"inference_id": str(ids.uuid7(at)), "task": "router", "emitter": "sdk-1"}
    letter = {"topic": "headrace.inferences", "partition": 1, "record_index": 0, "at": at.isoformat()}
    known = letter | {"offset": 7, "event_id": answer["inference_id"], "digest": 1}
    sent_again = letter | {"offset": 8, "digest": 2}
    again = {name: sent_again[name] for name in ("topic", "partition", "offset", "record_index", "digest")}
    lost = letter | {"offset": 9, "event_id": str(ids.uuid7(at)), "digest": 3}
    counter = {"emitter": "sdk-1", "kind": "inferences", "at": at.isoformat(), "sequence": 1}
    for table, row in (
        ("inferences", answer),
        ("inferences", answer | {"inference_id": str(ids.uuid7(at)), "emitter": "sdk-2"}),
        ("dead_letters", known),
        ("dead_letters", sent_again),
        ("replays", again),
        ("dead_letters", lost),
        # The same event, refused twice.
        ("dead_letters", lost | {"offset": 10, "digest": 4}),
        ("emitters", counter | {"emitted": 5, "dropped": 3}),
        ("emitters", counter | {"emitter": "sdk-2", "emitted": 2}),
        ("reconciliations", {"kind": "inferences", "emitter": "sdk-2", "hour": "2026-01-01 00:00:00", "repeated": 1}),
    ):
        empty_warehouse.insert(table, [json.dumps(row).encode()])
    found = next(row for row in panel(empty_warehouse, "events") if row["kind"] == "inferences")
    assert {name: found[name] for name in ("emitted", "stored", "dead_lettered", "repeated")} == {
        "emitted": 4,
        "stored": 2,
        "dead_lettered": 1,
        "repeated": 1,
    }
    assert events([found]).rows[0][-1].text == "0"
