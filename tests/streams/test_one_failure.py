"""A statement that fails stops the step that it is about, for the task that it is about, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from long_history import Recorded, answered, said, whole_hour
from router_story import Story

from headrace.errors import Transient
from headrace.plan import Plan, Task
from headrace.warehouse import Warehouse
from streams import aside, progress
from streams.window_counts import WindowCounts

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
Fails = Callable[[str, dict[str, Any]], bool]


class Failing(Recorded):
    """times_out: whether a question (its name), a statement ("into" and its table) or an insert ("rows of" and its
    table) with these parameters does"""

    def __init__(self, inner: Warehouse, times_out: Fails) -> None:
        super().__init__(inner)
        self.times_out = times_out

    def _try(self, name: str, parameters: dict[str, Any]) -> None:
        if self.times_out(name, parameters):
            raise Transient("Timeout exceeded", 159)

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        self._try(name, parameters)
        return super().query(name, **parameters)

    def insert(self, table: str, rows: Any) -> None:
        self._try(f"rows of {table}", {})
        super().insert(table, rows)

    def command(self, sql: str, **parameters: Any) -> None:
        self._try(f"into {sql[sql.index('INSERT INTO') :].split()[2]}", parameters)
        super().command(sql, **parameters)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at the next look, and progress is kept at each."""
    monkeypatch.setattr(aside, "SHORTEST_S", 0.0)
    monkeypatch.setattr(aside, "PAUSES", 0)
    monkeypatch.setattr(progress, "KEPT_EVERY_S", 0.0)


@pytest.fixture
def two(plan: Plan) -> dict[str, Task]:
    """`heavy` is too much for ClickHouse, `light` is not."""
    return dict.fromkeys(("heavy", "light"), plan.tasks["router"])


def heavy(what: str) -> Fails:
    """Whatever is about `heavy` fails there."""
    return lambda name, parameters: name == what and "heavy" in parameters["tasks"]


def number(story: Story, sql: str, **parameters: str) -> int:
    return int(story.sink.rows(sql, **parameters)[0]["n"])


def requests(story: Story, task: str) -> int:
    return number(story, "SELECT sum(requests) AS n FROM windows FINAL WHERE task = {task:String}", task=task)


@pytest.mark.parametrize(
    "broken",
    [
        "rows of monitor_progress",
        "rows of accuracy_by",
        "into audit_labels",
        "into cursors",
        "monitor/copied",
        "rows of task_labels",
    ],
)
def test_a_step_that_fails_stops_no_other(story: Story, plan: Plan, broken: str) -> None:
    """Looks go on, windows are counted, and what could not be done is made up for once it can be."""
    now = whole_hour()
    answered(story.sink, "router", now - 60 * MINUTE, now - 30 * MINUTE, MINUTE)
    said(story.sink, "router", now - 60 * MINUTE, now - 30 * MINUTE, MINUTE)
    sink = Failing(story.sink, lambda name, parameters: name == broken)
    counts = WindowCounts(sink, plan.tasks)
    assert counts.watermark("router") == now - 31 * MINUTE
    answered(story.sink, "router", now - 30 * MINUTE, now - 20 * MINUTE, MINUTE, ingested_at="now64(3)")
    assert counts.watermark("router") == now - 21 * MINUTE
    assert requests(story, "router") == 40
    sink.times_out = lambda name, parameters: False
    # Until no window is new any more.
    sink.clock = whole_hour() + 2 * DAY
    for _ in range(2):
        counts.watermark("router")
    assert number(story, "SELECT count() AS n FROM audit_labels FINAL") == 30
    assert {copied.task for copied in counts.news()[1]} == {"router"}
    assert number(story, "SELECT max(answers) AS n FROM accuracy_by WHERE `by` = 'all'") == 40
    assert number(story, "SELECT count() AS n FROM monitor_progress FINAL WHERE counted > '2000-01-01'") == 1
    assert number(story, "SELECT countIf(settled) AS n FROM task_labels FINAL") == 1


def test_labels_are_copied_where_no_window_can_be_counted(story: Story, plan: Plan) -> None:
    """The hard trigger rests on the copies, not on windows."""
    now = whole_hour()
    counts = WindowCounts(Failing(story.sink, lambda name, parameters: name == "into window_counts"), plan.tasks)
    answered(story.sink, "router", now - 60 * MINUTE, now - 30 * MINUTE, MINUTE)
    assert counts.watermark("router") == now - 31 * MINUTE
    said(story.sink, "router", now - 60 * MINUTE, now - 30 * MINUTE, MINUTE, ingested_at="now64(3)")
    counts.watermark("router")
    assert requests(story, "router") == 0
    assert number(story, "SELECT count() AS n FROM audit_labels FINAL") == 30
    assert {copied.task for copied in counts.news()[1]} == {"router"}


def test_what_is_counted_and_not_recorded_is_recorded_by_a_successor(story: Story, plan: Plan) -> None:
    """A late label of a closed window changes its accuracy, though recording that failed until the monitor ended."""
    now = whole_hour()
    answered(story.sink, "router", now - 180 * MINUTE, now - 30 * MINUTE, MINUTE)
    WindowCounts(story.sink, plan.tasks).watermark("router")
    said(story.sink, "router", now - 170 * MINUTE, now - 160 * MINUTE, MINUTE, ingested_at="now64(3)")
    failing = Failing(story.sink, lambda name, parameters: name == "monitor/accuracy_strata")
    failing.clock = now + 2 * DAY
    WindowCounts(failing, plan.tasks).watermark("router")
    WindowCounts(Recorded(story.sink), plan.tasks).watermark("router")
    assert number(story, "SELECT max(labelled) AS n FROM accuracy_by WHERE `by` = 'all' AND closed") == 10


def test_a_task_that_is_too_much_keeps_no_other_uncounted(story: Story, two: dict[str, Task]) -> None:
    """The other is counted at the next look, and from then on at once; its labels of before are compared."""
    now = whole_hour()
    for task in two:
        answered(story.sink, task, now - 60 * MINUTE, now - 30 * MINUTE, MINUTE)
        said(story.sink, task, now - 60 * MINUTE, now - 30 * MINUTE, MINUTE)
    WindowCounts(story.sink, two).watermark("light")
    changed = {name: task.model_copy(update={"texts": ("it", "finance")}) for name, task in two.items()}
    counts = WindowCounts(Failing(story.sink, heavy("into window_counts")), changed)
    answered(story.sink, "heavy", now - 30 * MINUTE, now - 20 * MINUTE, MINUTE, ingested_at="now64(3)")
    answered(story.sink, "light", now - 30 * MINUTE, now - 20 * MINUTE, MINUTE, ingested_at="now64(3)")
    for _ in range(2):
        counts.watermark("light")
    assert (requests(story, "heavy"), requests(story, "light")) == (30, 40)
    rows = story.sink.rows("SELECT task, settled FROM task_labels FINAL ORDER BY task")
    assert [(row["task"], row["settled"]) for row in rows] == [("heavy", False), ("light", True)]
    for task in two:
        answered(story.sink, task, now - 20 * MINUTE, now - 10 * MINUTE, MINUTE, ingested_at="now64(3)")
    assert counts.watermark("light") == now - 11 * MINUTE
    assert (requests(story, "heavy"), requests(story, "light")) == (30, 50)


def test_arrivals_that_are_too_many_are_asked_for_in_shorter_slices(story: Story, two: dict[str, Task]) -> None:
    """A day of them fails, an hour does not: they are all met, and another task's at the next look."""
    now = whole_hour()
    sink = Failing(story.sink, lambda name, parameters: False)
    sink.clock = now - 2 * DAY
    for task in two:
        answered(story.sink, task, sink.clock - 60 * MINUTE, sink.clock, MINUTE)
    counts = WindowCounts(sink, two)
    counts.watermark("light")
    for task in two:
        answered(story.sink, task, now - 2 * DAY, now, 10 * MINUTE)

    def times_out(name: str, parameters: dict[str, Any]) -> bool:
        if not heavy("monitor/windows_touched")(name, parameters):
            return False
        until = min(datetime.fromisoformat(f"{parameters['until']}Z"), now)
        return until - datetime.fromisoformat(f"{parameters['since']}Z") > timedelta(hours=2)

    sink.times_out, sink.clock = times_out, now
    for _ in range(2):
        counts.watermark("light")
    assert requests(story, "light") == 60 + 2 * 144
    for _ in range(8):
        counts.watermark("heavy")
    assert requests(story, "heavy") == 60 + 2 * 144
