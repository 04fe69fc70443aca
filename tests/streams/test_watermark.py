"""The watermark: emitters with clocks of their own, and tasks that fall silent."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import pytest
from long_history import Recorded, answered, said, whole_hour
from router_story import Story

from headrace.plan import Plan
from headrace.warehouse import clickhouse_time
from streams.clocks import Clocks
from streams.progress import GRACE
from streams.window_counts import WindowCounts

MINUTE = timedelta(minutes=1)
SIZE = 10 * MINUTE


def test_an_emitter_a_day_ahead_is_named_and_closes_nothing(
    story: Story, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    """Its answers are stored and counted; the watermark follows the others, and goes on where there are no others."""
    told: dict[str, float] = {}
    now = whole_hour()
    answered(story.sink, "router", now - 60 * MINUTE, now - 30 * MINUTE, MINUTE, emitter="'good.1'")
    counts = WindowCounts(story.sink, plan.tasks, Clocks(told.__setitem__))
    assert counts.watermark("router") == now - 31 * MINUTE and told == {"router": 0.0}
    # A good clock and one that is a day ahead: within the same slack of arrivals.
    answered(
        story.sink, "router", now - 30 * MINUTE, now - 20 * MINUTE, MINUTE, emitter="'good.1'", ingested_at="now64(3)"
    )
    day = timedelta(days=1)
    answered(
        story.sink, "router", now + day, now + day + 5 * MINUTE, MINUTE, emitter="'ahead.1'", ingested_at="now64(3)"
    )
    with caplog.at_level(logging.WARNING):
        assert counts.watermark("router") == now - 21 * MINUTE
        counts.watermark("router")
    said = [record.message for record in caplog.records if "ahead.1" in record.message]
    assert len(said) == 1 and "good.1" not in said[0]
    assert 80_000 < told["router"] < 90_000
    rows = story.sink.rows("SELECT sum(requests) AS n FROM windows FINAL WHERE window_from >= now()")
    assert rows == [{"n": 5}]
    # An expert's clock is right, so the label is older than the answer seems.
    story.sink.command(
        "INSERT INTO feedback (feedback_id, inference_id, occurred_at, tenant, task, source, signal, label)"
        " SELECT generateUUIDv7(), inference_id, now64(6), tenant, task, 'audit', 'label', 'hr' FROM inferences"
        " WHERE emitter = 'ahead.1'"
    )
    counts.watermark("router")
    for table, labelled in (("windows", "labelled"), ("strata", "audit_labelled")):
        rows = story.sink.rows(f"SELECT sum({labelled}) AS n FROM {table} FINAL WHERE window_from >= now()")
        assert rows == [{"n": 5}], table


def test_feedback_of_a_clock_that_is_behind_is_counted(story: Story, plan: Plan) -> None:
    """A browser's clock that is a day behind says nothing about which answer was meant."""
    now, answers = whole_hour(), (30, 20)
    since, until = (now - minutes * MINUTE for minutes in answers)
    answered(story.sink, "router", since, until, MINUTE)
    # Ids of 1970.
    old = "toUUID(concat('00000000', substring(toString(generateUUIDv7(number)), 9)))"
    behind = {"feedback_id": old, "occurred_at": "now64(6) - INTERVAL 1 DAY", "ingested_at": "now64(3)"}
    said(story.sink, "router", since, until, MINUTE, **behind)
    WindowCounts(story.sink, plan.tasks).watermark("router")
    for table, labelled in (("windows", "labelled"), ("strata", "audit_labelled")):
        assert story.sink.rows(f"SELECT sum({labelled}) AS n FROM {table} FINAL") == [{"n": 10}], table


def test_what_was_said_before_a_correction_is_counted_with_it(story: Story, plan: Plan) -> None:
    """A correction may bear the time at which it was made; what experts said before it counts."""
    now, hours = whole_hour(), 5 * 60 * MINUTE
    span = (now - hours, now - hours + 10 * MINUTE, MINUTE)
    answered(story.sink, "router", *span)
    said(story.sink, "router", *span)
    counts = WindowCounts(story.sink, plan.tasks)
    counts.watermark("router")
    answered(story.sink, "router", *span, occurred_at="now64(6)", ingested_at="now64(3)", revision="1")
    counts.watermark("router")
    _counted_since(story, now - 60 * MINUTE, 10)


def test_what_was_said_about_an_answer_ahead_is_counted_when_it_is_stored_again(story: Story, plan: Plan) -> None:
    """Of an answer that is read once more only the later time of storing is left, which is after the feedback."""
    now, counts = whole_hour(), WindowCounts(story.sink, plan.tasks)
    span = (now + 180 * MINUTE, now + 190 * MINUTE, MINUTE)
    at = f"toDateTime64('{now - 300 * MINUTE:%Y-%m-%d %H:%M:%S}', 3, 'UTC')"
    answered(story.sink, "router", *span, ingested_at=at)
    said(story.sink, "router", *span, ingested_at=at)
    counts.watermark("router")
    answered(story.sink, "router", *span, ingested_at="now64(3)")
    counts.watermark("router")
    _counted_since(story, now, 10)


def _counted_since(story: Story, since: datetime, labelled: int) -> None:
    for table, column in (("windows", "labelled"), ("strata", "audit_labelled")):
        sql = f"SELECT sum({column}) AS n FROM {table} FINAL WHERE window_from >= {{since:DateTime64(6, 'UTC')}}"
        assert story.sink.rows(sql, since=clickhouse_time(since)) == [{"n": labelled}], table


def test_a_watermark_does_not_freeze_where_every_emitter_is_ahead(story: Story, plan: Plan) -> None:
    """Answers of a clock that is five minutes ahead move the watermark up to the time at which they were stored."""
    now = whole_hour()
    recorded = Recorded(story.sink)
    counts = WindowCounts(recorded, plan.tasks)
    for minutes in (30, 20, 10):
        recorded.clock = now - minutes * MINUTE
        answered(
            story.sink, "router", recorded.clock + 5 * MINUTE, recorded.clock + 6 * MINUTE, MINUTE,
            ingested_at=f"toDateTime64({recorded.clock.timestamp():.0f} - 10, 3, 'UTC')",
        )  # fmt: skip
        assert counts.watermark("router") == recorded.clock - timedelta(seconds=10)


def test_an_idle_tasks_last_window_closes(story: Story, plan: Plan) -> None:
    """Two windows and the lateness after its last answer; a successor finds it closed, and traffic goes on."""
    now, recorded = whole_hour(), Recorded(story.sink)
    begin = now - timedelta(hours=3)
    answered(story.sink, "router", begin, begin + 15 * MINUTE, MINUTE)
    last = begin + 14 * MINUTE
    recorded.clock = last
    counts = WindowCounts(recorded, plan.tasks)
    assert counts.watermark("router") == last
    recorded.clock = last + 2 * SIZE - timedelta(seconds=1)
    assert counts.watermark("router") == last
    recorded.clock = last + 2 * SIZE
    closed = begin + 10 * MINUTE + 2 * SIZE
    assert counts.watermark("router") == closed
    ends = "SELECT watermark FROM accuracy_by WHERE closed AND by = 'all' ORDER BY watermark"
    assert [row["watermark"] for row in story.sink.rows(ends)][-1] == closed
    recorded.clock = now
    assert counts.watermark("router") == closed == WindowCounts(recorded, plan.tasks).watermark("router")
    answered(story.sink, "router", now, now + MINUTE, MINUTE, ingested_at="now64(3)")
    assert counts.watermark("router") == now


def test_what_waits_to_be_stored_is_awaited_by_a_monitor_that_starts(story: Story, plan: Plan) -> None:
    """After a night without workers no window is closed before what waits in Kafka had time to arrive."""
    recorded = Recorded(story.sink)
    recorded.clock = whole_hour(timedelta(hours=9))
    answered(story.sink, "router", recorded.clock - 5 * MINUTE, recorded.clock, MINUTE)
    last = recorded.clock - MINUTE
    assert WindowCounts(recorded, plan.tasks).watermark("router") == last
    recorded.clock = whole_hour()
    counts = WindowCounts(recorded, plan.tasks)
    assert counts.watermark("router") == last
    recorded.clock += GRACE - timedelta(seconds=1)
    assert counts.watermark("router") == last
    recorded.clock += timedelta(seconds=1)
    assert counts.watermark("router") == last - 9 * MINUTE + 2 * SIZE
