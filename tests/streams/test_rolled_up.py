"""What retention took stays in the roll-up, and each moment is in it once, whatever the size of windows was."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from long_history import Recorded, answered, said, whole_hour
from router_story import PLAN, Story

from headrace.contract import ids
from headrace.plan import Plan, Privacy, parse
from streams.housekeeping import Housekeeping
from streams.window_counts import WindowCounts

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
LARGER = PLAN.replace("size_s = 600", "size_s = 3600")


def at(moment: datetime) -> str:
    return f"fromUnixTimestamp64Milli({ids.millis(moment)}, 'UTC')"


def rolled_up(story: Story) -> list[dict[str, Any]]:
    columns = "task, version, sum(requests) AS requests, sum(labelled) AS labelled"
    return story.sink.rows(f"SELECT {columns} FROM days GROUP BY task, version ORDER BY task, version")


def strata(story: Story) -> int:
    return int(story.sink.rows("SELECT sum(answers) AS n FROM strata_current WHERE task = 'router'")[0]["n"])


def old_windows(story: Story, counts: WindowCounts, versions: int) -> datetime:
    """Windows of an hour that the plan keeps no longer, at :00 and :20, counted; then their answers expire."""
    now = whole_hour()
    old, came = now - 800 * DAY, at(now - 2 * DAY)
    for start in (old, old + 20 * MINUTE):
        for number in range(1, versions + 1):
            fields = {"ingested_at": came, "version": f"'router@{number}'"}
            span = (start + number * SECOND, start + 10 * MINUTE, 30 * SECOND)
            answered(story.sink, "router", *span, **fields)
            said(story.sink, "router", *span, ingested_at=came)
    counts.watermark("router")
    answered(story.sink, "other", now - MINUTE, now, MINUTE)
    assert Housekeeping(story.sink, Privacy(), "test").look().expired > 0
    assert story.sink.rows("SELECT count() AS n FROM inferences WHERE task = 'router'") == [{"n": 0}]
    return old


@pytest.mark.parametrize("restarted", [False, True])
def test_one_answer_that_is_replayed_does_not_replace_its_window(story: Story, plan: Plan, restarted: bool) -> None:
    """A window of which answers expired is never counted again, by a monitor that has just started neither."""
    counts = WindowCounts(story.sink, plan.tasks)
    old = old_windows(story, counts, versions=1)
    before = rolled_up(story), strata(story)
    answered(story.sink, "router", old + SECOND, old + 2 * SECOND, SECOND, ingested_at="now64(3)")
    (WindowCounts(story.sink, plan.tasks) if restarted else counts).watermark("router")
    assert (rolled_up(story), strata(story)) == before
    assert before[0] == [{"task": "router", "version": "router@1", "requests": 38, "labelled": 38}]


def test_a_correction_in_the_middle_of_an_expired_hour_empties_nothing(story: Story, plan: Plan) -> None:
    """Each window of the hour stays, also one that begins within it."""
    counts = WindowCounts(story.sink, plan.tasks)
    old = old_windows(story, counts, versions=2)
    before = rolled_up(story), strata(story)
    for start in (old, old + 20 * MINUTE):
        fields = {"version": "'router@3'", "revision": "1", "ingested_at": "now64(3)"}
        answered(story.sink, "router", start + SECOND, start + 2 * SECOND, SECOND, **fields)
    counts.watermark("router")
    assert (rolled_up(story), strata(story)) == before


def test_windows_without_expired_answers_are_counted_however_old(story: Story, plan: Plan) -> None:
    """An import of before the plan keeps anything: other windows of that time, and those of another task."""
    tasks = {"router": plan.tasks["router"], "support": plan.tasks["router"]}
    counts = WindowCounts(story.sink, tasks)
    old = old_windows(story, counts, versions=1)
    for task, start in (("support", old), ("router", old + 120 * MINUTE)):
        answered(story.sink, task, start, start + 10 * MINUTE, MINUTE, ingested_at="now64(3)")
    counts.watermark("router")
    assert [(row["task"], row["requests"]) for row in rolled_up(story)] == [("router", 48), ("support", 10)]


@pytest.mark.parametrize(("size_before", "size"), [(PLAN, LARGER), (LARGER, PLAN)])
def test_a_late_label_after_the_size_of_windows_changed_is_counted_once(
    story: Story, size_before: str, size: str
) -> None:
    """The windows of the plan's size take the place of the others, for all of the time that those cover."""
    now, recorded = whole_hour() - 180 * MINUTE, Recorded(story.sink)
    answered(story.sink, "router", now, now + 60 * MINUTE, MINUTE)
    recorded.clock = now + 80 * MINUTE
    WindowCounts(recorded, parse(size_before).tasks).watermark("router")
    said(story.sink, "router", now + 2 * MINUTE, now + 3 * MINUTE, MINUTE, ingested_at=at(now + 90 * MINUTE))
    recorded.clock = now + 100 * MINUTE
    WindowCounts(recorded, parse(size).tasks).watermark("router")
    assert rolled_up(story) == [{"task": "router", "version": "router@1", "requests": 60, "labelled": 1}]
    assert strata(story) == 60
    sql = "SELECT DISTINCT dateDiff('second', window_from, window_to) AS size FROM windows FINAL WHERE requests > 0"
    assert story.sink.rows(sql) == [{"size": parse(size).tasks["router"].windows.size_s}]


def test_days_leave_out_windows_within_larger_ones(story: Story, plan: Plan) -> None:
    """A store of before windows took the place of others: the larger one covers all of what the smaller ones do."""
    now, recorded = whole_hour() - 180 * MINUTE, Recorded(story.sink)
    answered(story.sink, "router", now, now + 60 * MINUTE, MINUTE)
    recorded.clock = now + 80 * MINUTE
    WindowCounts(recorded, plan.tasks).watermark("router")
    sql = "INSERT INTO windows (task, version, arm, window_from, window_to, requests, known_at) VALUES"
    row = f"('router', 'router@1', 'live', {at(now)}, {at(now + 60 * MINUTE)}, 60, now64(6))"
    story.sink.command(f"{sql} {row}")
    assert sum(entry["requests"] for entry in rolled_up(story)) == 60


def test_recent_windows_are_not_looked_up(story: Story, plan: Plan) -> None:
    """A late label costs one statement less than it would: what stays is asked for once."""
    now, recorded = whole_hour() - 180 * MINUTE, Recorded(story.sink)
    counts = WindowCounts(recorded, plan.tasks)
    for minutes in (10, 40, 70):
        answered(story.sink, "router", now + minutes * MINUTE, now + (minutes + 10) * MINUTE, MINUTE)
        recorded.clock = now + (minutes + 20) * MINUTE
        counts.watermark("router")
    assert recorded.asked["monitor/windows_kept_until"] == 1 and not recorded.asked["monitor/windows_counted"]
