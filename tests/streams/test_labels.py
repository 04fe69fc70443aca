"""What looks ask of the audit's labels: counted again only where copies came, and for all tasks at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from router_story import START, Story

from headrace.contract import ids
from headrace.contract.events import Feedback, new_feedback
from headrace.contract.topics import INFERENCES, LABELS
from headrace.plan import Plan
from headrace.warehouse import Warehouse, clickhouse_time
from streams import labels
from streams.detectors.detector import Reading, View
from streams.detectors.shiryaev_roberts import ShiryaevRoberts
from streams.labels import Copied, Labels
from streams.window_counts import WindowCounts

FIRST_DAY = (START - ids.EPOCH).days


class Recorded:
    """A warehouse's queries: which were asked, and from which days on labels were counted."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.first_days: list[int] = []
        self.last_days: list[int] = []
        self.statements: list[str] = []

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        self.statements.append(name)
        if name == "monitor/label_days":
            self.first_days += parameters["first_days"]
            self.last_days += parameters["last_days"]
        return self.warehouse.query(name, **parameters)

    def command(self, sql: str, **parameters: Any) -> None:
        self.warehouse.command(sql, **parameters)


class Look:
    """Counts the labels of router@0 as a running monitor does, and as one that has just started."""

    def __init__(self, story: Story, plan: Plan) -> None:
        self.story, self.recorded = story, Recorded(story.sink)
        self.counts = WindowCounts(story.sink, plan.tasks)
        self.labels = Labels(self.recorded)

    def __call__(self) -> list[int]:
        """Which days were counted again; fails where a fresh count says otherwise."""
        self.recorded.first_days.clear()
        watermark = self.counts.watermark("router")
        assert watermark is not None
        self.labels.see(*self.counts.news())
        asked = {
            "tasks": ["router"], "versions": ["router@0"], "sinces": [clickhouse_time(START)],
            "watermarks": [clickhouse_time(watermark)], "first_days": [0], "last_days": [labels.NO_DAY],
        }  # fmt: skip
        found = self.labels.query("monitor/label_days", **asked)
        assert [{"place": 1} | row for row in found] == self.story.sink.query("monitor/label_days", **asked)
        return [max(0, day - FIRST_DAY) for day in self.recorded.first_days]


@pytest.fixture
def look(story: Story, plan: Plan) -> Look:
    return Look(story, plan)


def days(story: Story, n: int) -> list[Feedback]:
    """n days of sixty answers, all but the first of each labelled; returns the labels that are missing."""
    missing = []
    for day in range(n):
        story.now = START + timedelta(days=day)
        inferences, feedback = story.answers(60)
        story.put(INFERENCES, inferences)
        story.put(LABELS, feedback[1:])
        missing.append(feedback[0])
    return missing


def test_only_days_with_new_labels_are_counted_again(story: Story, look: Look) -> None:
    """All days once; none where nothing came; from the day of a late label on; from that of a correction on."""
    missing = days(story, 5)
    assert look() == [0]
    assert look() == []
    story.put(LABELS, [missing[3]])
    assert look() == [3]
    wrong = new_feedback(
        missing[2].inference_id, "audit", "label", task="router", label="finance", rater="expert",
        occurred_at=story.now, inclusion_probability=1.0,
    )  # fmt: skip
    story.put(LABELS, [missing[2]])
    assert look() == [2]
    story.put(LABELS, [wrong])
    assert look() == [2]
    story.put(LABELS, [missing[0], missing[4]])
    assert look() == [0]


def test_a_copy_of_what_is_there_counts_nothing_again(story: Story, look: Look) -> None:
    """Copies that reach back over labels which were copied leave no row behind."""
    missing = days(story, 2)
    look()
    before = story.sink.rows("SELECT count() AS n FROM audit_labels")
    story.put(LABELS, [missing[1]])
    look()
    assert story.sink.rows("SELECT count() AS n FROM audit_labels")[0]["n"] == before[0]["n"] + 1


def test_labels_ahead_of_the_watermark_count_once_it_passes_them(story: Story, plan: Plan) -> None:
    """With an hour of lateness the newest labels are not counted; as it passes them they are, without a new copy."""
    router = plan.tasks["router"]
    late = router.model_copy(update={"windows": router.windows.model_copy(update={"lateness_s": 3600.0})})
    look = Look(story, plan.model_copy(update={"tasks": {"router": late}}))
    days(story, 2)
    assert look() == [0]
    story.now += timedelta(minutes=59)
    story.tell(1, version="router@1")
    assert look() == []
    story.now += timedelta(hours=1)
    story.tell(1, version="router@1")
    assert look() == [1]
    story.now += timedelta(hours=1)
    story.tell(1, version="router@1")
    assert look() == []


def test_all_days_are_counted_again_after_an_hour(story: Story, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """What retention deletes leaves no copy behind, and is gone from the counts then."""
    days(story, 3)
    look()
    monkeypatch.setattr(labels, "FROM_THE_FIRST_S", -1.0)
    story.sink.command("DELETE FROM audit_labels WHERE occurred_at < '2026-03-03'")
    assert look() == [0]


def test_one_question_is_asked_for_all_tasks(story: Story, plan: Plan) -> None:
    """Labels of three tasks change: one statement counts them, one has their evidence, as if each was asked alone."""
    tasks = dict.fromkeys(("router", "triage", "search"), plan.tasks["router"])
    counts, recorded = WindowCounts(story.sink, tasks), Recorded(story.sink)
    asked = Labels(recorded)
    promotions = {
        name: story.promote(f"{name}@1", artifact="a", errors=30 + place, labelled=500, task=name)
        for place, name in enumerate(tasks)
    }

    detector = ShiryaevRoberts()

    def round_of_looks() -> dict[str, Reading]:
        recorded.statements.clear()
        found = {}
        for name, task in tasks.items():
            assert counts.watermark(name) is not None
            watermarks, copies = counts.news()
            asked.see(watermarks, copies)
            view, *others = (
                View(asked, one, tasks[one], promotions[one], watermarks[one]) for one in sorted(tasks, key=name.__ne__)
            )
            found[name] = detector.read(replace(view, others=partial(list, others)))
            alone = View(story.sink, name, task, promotions[name], watermarks[name])
            assert found[name] == ShiryaevRoberts().read(alone)
        return found

    for name in tasks:
        story.tell(50, 0.1, f"{name}@1", task=name)
    first = round_of_looks()
    for name in tasks:
        story.tell(20, 0.3, f"{name}@1", task=name)
    second = round_of_looks()
    assert Counter(recorded.statements) == {"monitor/label_days": 1, "detectors/shiryaev_roberts": 1}
    assert len({reading.statistic for reading in [*first.values(), *second.values()]}) == 6
    story.tell(20, 0.3, "search@1", task="search")
    third = round_of_looks()
    assert Counter(recorded.statements) == {"monitor/label_days": 1, "detectors/shiryaev_roberts": 1}
    assert third["router"] == second["router"] and third["search"] != second["search"]
    round_of_looks()
    assert not recorded.statements


def test_labels_of_months_ago_do_not_make_everyones_question_long(story: Story, plan: Plan) -> None:
    """A label for an old answer is counted by that day of that task: later days and other tasks' are not read."""
    tasks = dict.fromkeys(("router", "triage"), plan.tasks["router"])
    recorded = Recorded(story.sink)
    asked = Labels(recorded)
    old, later = START, START + timedelta(days=90)
    of = {
        name: {
            "tasks": [name], "versions": [f"{name}@1"], "sinces": [clickhouse_time(old)],
            "watermarks": [clickhouse_time(later + timedelta(days=1))], "first_days": [0], "last_days": [labels.NO_DAY],
        }
        for name in tasks
    }  # fmt: skip
    for moment in (old, later):
        story.now = moment
        for name in tasks:
            story.tell(30, 0.1, f"{name}@1", task=name)
    for name in tasks:
        asked.query("monitor/label_days", **of[name])
    asked.see({}, [Copied("router", "router@1", (FIRST_DAY,)), Copied("triage", "triage@1", (FIRST_DAY + 90,))])
    recorded.first_days.clear()
    recorded.last_days.clear()
    assert [row["labels"] for row in asked.query("monitor/label_days", **of["router"])] == [30, 30]
    assert recorded.first_days == [FIRST_DAY]
    asked.query("monitor/label_days", **of["triage"])
    assert recorded.first_days == [FIRST_DAY, FIRST_DAY + 90]
    assert recorded.last_days == [FIRST_DAY + 1, FIRST_DAY + 91]
