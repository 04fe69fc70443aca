"""A monitor that starts anew, with tasks that are idle or unused beside busy ones, on months of history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from long_history import Recorded, answered, said, whole_hour
from router_story import Story

from headrace.contract.events import new_feedback
from headrace.contract.topics import LABELS
from headrace.plan import Plan
from streams import aside, progress
from streams.monitor import Monitor

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SIZE = 6 * HOUR
PAST = timedelta(days=40)


@pytest.fixture
def company(plan: Plan) -> Plan:
    """Three tasks with windows of six hours; the last one gets no answer ever."""
    router = plan.tasks["router"]
    windows = router.windows.model_copy(update={"size_s": SIZE.total_seconds()})
    triggers = router.triggers.model_copy(update={"detectors": ("shiryaev_roberts",)})
    task = router.model_copy(update={"windows": windows, "triggers": triggers})
    return plan.model_copy(update={"tasks": dict.fromkeys(("busy", "idle", "unused"), task)})


@pytest.fixture
def recorded(story: Story, company: Plan, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """`idle` has been idle for months, `busy` never was; both were counted as it went, until an hour ago."""
    monkeypatch.setattr(progress, "KEPT_EVERY_S", 0.0)
    now, recorded = whole_hour(), Recorded(story.sink)
    began = now - PAST
    story.now = began - 2 * DAY
    for name in ("busy", "idle"):
        story.promote(f"{name}@1", artifact="a", errors=50, labelled=1000, task=name)
        answered(story.sink, name, began - 2 * DAY, began, HOUR)
    tasks = {name: task for name, task in company.tasks.items() if name != "unused"}
    monitor = Monitor(recorded, company.model_copy(update={"tasks": tasks}))
    recorded.clock = began
    for name in tasks:
        monitor.look(name)
    answered(story.sink, "busy", began, now, HOUR)
    recorded.clock = now
    counted = -1
    while counted < len(recorded.counted):
        counted = len(recorded.counted)
        for name in tasks:
            monitor.look(name)
    recorded.clock = None
    recorded.counted.clear()
    return recorded


def labelled(story: Story, task: str, at: datetime) -> int:
    sql = (
        "SELECT sum(labelled) AS n FROM windows FINAL WHERE task = {task:String} AND window_from = {at:DateTime('UTC')}"
    )
    return int(story.sink.rows(sql, task=task, at=f"{at:%Y-%m-%d %H:%M:%S}")[0]["n"])


def start_of(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // SIZE.total_seconds() * SIZE.total_seconds(), UTC)


def label(story: Story, task: str, at: datetime) -> None:
    """The audit's label of the answer of that time comes now."""
    sql = "SELECT inference_id FROM inferences WHERE task = {task:String} AND occurred_at = {at:DateTime('UTC')}"
    (row,) = story.sink.rows(sql, task=task, at=f"{at:%Y-%m-%d %H:%M:%S}")
    story.put(LABELS, [new_feedback(row["inference_id"], "audit", "label", task=task, label="hr", rater="expert")])


def test_an_idle_and_an_unused_task_widen_no_read(story: Story, recorded: Recorded, company: Plan) -> None:
    """The first look counts what came while no monitor ran, late labels of any age among it, and no window besides."""
    late = whole_hour(30 * DAY)
    for task, at in (("busy", late), ("idle", whole_hour(PAST + DAY))):
        label(story, task, at)
    monitor = Monitor(recorded, company)
    monitor.look("busy")
    assert labelled(story, "busy", start_of(late)) == 1
    assert labelled(story, "idle", start_of(whole_hour(PAST + DAY))) == 1
    spans = {(min(tasks), window_from) for tasks, window_from, _ in recorded.counted}
    assert spans >= {("busy", start_of(late)), ("idle", start_of(whole_hour(PAST + DAY)))}
    assert sum((window_to - window_from) // SIZE for _, window_from, window_to in recorded.counted) <= 4
    assert all(len(tasks) == 1 for tasks, _, _ in recorded.counted)
    (row,) = story.sink.rows("SELECT max(watermark) AS at FROM evaluations WHERE task = 'busy' AND detector = 'policy'")
    assert row["at"] >= whole_hour(HOUR)


def test_a_backlog_is_counted_in_bounded_runs(story: Story, recorded: Recorded, company: Plan) -> None:
    """Labels of a month came while no monitor ran: no statement covers more than 24 windows, the newest come first."""
    said(story.sink, "busy", whole_hour(30 * DAY), whole_hour(DAY), HOUR, ingested_at="now64(3)")
    monitor = Monitor(recorded, company)
    for _ in range(5):
        monitor.look("busy")
    covered = [(window_to - window_from) // SIZE for _, window_from, window_to in recorded.counted]
    assert max(covered) <= 24 and sum(covered) >= 29 * 4
    assert recorded.counted[0][2] > recorded.counted[-1][2]
    sql = "SELECT sum(labelled) AS n FROM windows FINAL WHERE task = 'busy'"
    assert story.sink.rows(sql)[0]["n"] == 29 * 24


def test_a_span_that_times_out_stops_nothing(
    story: Story, recorded: Recorded, company: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other windows are counted in the same look, a successor knows of the span, and it is counted once it can be."""
    monkeypatch.setattr(aside, "SHORTEST_S", 0.0)
    bad, good = whole_hour(30 * DAY), whole_hour(15 * DAY)
    for at in (bad, good):
        label(story, "busy", at)
    recorded.fails = lambda window_from, window_to: window_from <= bad < window_to
    monitor = Monitor(recorded, company)
    for _ in range(2):
        monitor.look("busy")
    assert (labelled(story, "busy", start_of(bad)), labelled(story, "busy", start_of(good))) == (0, 1)
    recorded.fails = lambda window_from, window_to: False
    Monitor(recorded, company).look("busy")
    assert labelled(story, "busy", start_of(bad)) == 1


def test_a_new_task_is_counted_from_its_rolling_span_on(story: Story, recorded: Recorded, company: Plan) -> None:
    """A task whose answers are older than its place in the plan gets the windows of the rolling figures, at once."""
    answered(story.sink, "unused", whole_hour(30 * DAY), whole_hour(), HOUR)
    monitor = Monitor(recorded, company)
    monitor.look("unused")
    covered = sum((to - since) // SIZE for tasks, since, to in recorded.counted if "unused" in tasks)
    assert 7 <= covered <= 9
    sql = "SELECT count() AS n FROM windows FINAL WHERE task = 'unused'"
    assert story.sink.rows(sql)[0]["n"] in (6, 7)
