"""The warehouse's clock ran ahead once and is right again: nothing waits until it gets there."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from long_history import Recorded, answered, said, whole_hour
from router_story import Story

from headrace.plan import Plan
from headrace.warehouse import query_text
from streams import progress
from streams.audits import Audits
from streams.window_counts import WindowCounts

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def sql_time(moment: datetime) -> str:
    return f"toDateTime64('{moment:%Y-%m-%d %H:%M:%S}', 3, 'UTC')"


def counted(story: Story) -> int:
    return int(story.sink.rows("SELECT sum(requests) AS n FROM windows FINAL")[0]["n"])


@pytest.mark.parametrize("successor", [False, True])
def test_a_clock_that_was_ahead_for_one_look_delays_nothing(
    story: Story, plan: Plan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, successor: bool
) -> None:
    """What came before, meanwhile and afterwards is counted in the next look, by a successor hours later too."""
    monkeypatch.setattr(progress, "KEPT_EVERY_S", 0.0)
    now, recorded = whole_hour(), Recorded(story.sink)

    def come(since: int, until: int, **fields: str) -> None:
        answered(story.sink, "router", now - since * MINUTE, now - until * MINUTE, MINUTE, **fields)

    come(240, 215)
    recorded.clock = now - 215 * MINUTE
    counts = WindowCounts(recorded, plan.tasks)
    assert counts.watermark("router") == now - 216 * MINUTE
    recorded.clock += DAY
    come(215, 213, ingested_at=sql_time(recorded.clock))
    counts.watermark("router")
    come(213, 211, ingested_at=sql_time(recorded.clock + MINUTE))
    come(211, 30)
    recorded.clock = now - 30 * MINUTE
    with caplog.at_level(logging.WARNING):
        counts = WindowCounts(recorded, plan.tasks) if successor else counts
        assert counts.watermark("router") == now - 31 * MINUTE
    assert [record.message for record in caplog.records if "clock was ahead" in record.message]
    assert counted(story) == 240 - 30
    come(30, 20)
    recorded.clock = now - 20 * MINUTE
    caplog.clear()
    assert counts.watermark("router") == now - 21 * MINUTE
    assert counted(story) == 240 - 20 and not caplog.records
    # Two hosts whose clocks differ by a little are no matter.
    recorded.clock -= timedelta(seconds=1)
    counts.watermark("router")
    assert not caplog.records
    # What is written down afterwards beats what was written down then.
    recorded.clock = now - 10 * MINUTE
    come(20, 10)
    assert WindowCounts(recorded, plan.tasks).watermark("router") == now - 11 * MINUTE
    assert counted(story) == 240 - 10 and not caplog.records


def test_a_task_that_is_first_counted_while_the_clock_is_ahead(story: Story, plan: Plan) -> None:
    """It is begun anew."""
    now, recorded = whole_hour(), Recorded(story.sink)
    answered(story.sink, "router", now - 40 * MINUTE, now - 20 * MINUTE, MINUTE)
    recorded.clock = now + DAY
    counts = WindowCounts(recorded, plan.tasks)
    counts.watermark("router")
    answered(story.sink, "router", now - 20 * MINUTE, now - 10 * MINUTE, MINUTE)
    recorded.clock = now - 10 * MINUTE
    assert counts.watermark("router") == now - 11 * MINUTE
    assert counted(story) == 30


def test_a_cursor_that_was_written_ahead_holds_nothing_up(story: Story) -> None:
    """What a step writes down afterwards counts, and no step begins later than now."""
    now = datetime.now(UTC)
    ahead = f"{now + DAY:%Y-%m-%d %H:%M:%S}"
    names = ("audit_labels", "expired", "resolver", "alert")
    story.sink.insert("cursors", [json.dumps({"name": name, "reached": ahead, "at": ahead}).encode() for name in names])
    story.sink.insert("balance_passes", [json.dumps({"until": ahead}).encode()])
    for query, column in (
        ("audit/audits_cursor", "reached"), ("resolver/cursor", "reached"), ("alert/since", "reached"),
        ("maintenance/reconcile_pass", "left"), ("maintenance/reconcile_pass", "since"),
    ):  # fmt: skip
        (row,) = story.sink.query(query)
        assert row[column] <= row["now"], query
    for name in names:
        story.sink.command(query_text("shared/cursor_write"), name=name, reached="2026-01-01 00:00:00.000")
    story.sink.command("OPTIMIZE TABLE cursors FINAL")
    assert [row["year"] for row in story.sink.rows("SELECT toYear(reached) AS year FROM cursors")] == [2026] * 4
    answered(story.sink, "router", now - 10 * MINUTE, now - 5 * MINUTE, MINUTE, ingested_at="now64(3)")
    said(story.sink, "router", now - 10 * MINUTE, now - 5 * MINUTE, MINUTE, ingested_at="now64(3)")
    Audits(story.sink).copy()
    assert story.sink.rows("SELECT count() AS n FROM audit_labels FINAL") == [{"n": 5}]
