"""The first looks of a monitor at many tasks: asked for all of them at once, and as if it had always run."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from long_history import answered, said, whole_hour
from router_story import Story

from headrace.contract.control import Trigger
from headrace.errors import Transient
from headrace.plan import Plan
from headrace.warehouse import Warehouse
from streams.embedder import DIMENSIONS, ENCODER
from streams.monitor import Monitor

WINDOW = timedelta(minutes=10)
EVERY = timedelta(seconds=15)
CLOSED = 9
"""Windows that are closed at first: the first six are the reference."""
# Answers that are surely right, nearly surely, and doubtful.
SCORES = "map('hr', 0.5 + (sipHash64(number) % 450) / 1000, 'it', 0.05)"


class Counting(Warehouse):
    """Counts what is asked and written, by name. fails: the question that fails where it is about several tasks"""

    def __init__(self, inner: Warehouse, fails: str = "") -> None:
        super().__init__(inner._client, inner.database)
        self.asked: Counter[str] = Counter()
        self._fails = fails

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        self.asked[name] += 1
        if name == self._fails and len(parameters["tasks"]) > 1:
            raise Transient("Timeout exceeded", 159)
        return super().query(name, **parameters)

    def command(self, sql: str, **parameters: Any) -> None:
        self.asked[" ".join(sql[sql.index("INSERT INTO") :].split()[:3])] += 1
        super().command(sql, **parameters)

    def insert(self, table: str, rows: Any) -> None:
        self.asked[f"rows of {table}"] += bool(rows)
        super().insert(table, rows)


def company(plan: Plan, tasks: int) -> Plan:
    """So many tasks like the plan's."""
    return plan.model_copy(update={"tasks": {f"task{n}": plan.tasks["router"] for n in range(tasks)}})


def tell(story: Story, plan: Plan, since: datetime, until: datetime, wrong: int = 10) -> None:
    """Answers and their labels, of which every `wrong`-th is another one; some of the tasks are an upstream's."""
    for task in plan.tasks:
        answered(story.sink, task, since, until, EVERY, scores=SCORES, ingested_at="now64(3)")
        label = f"if(number % {wrong} = 0, 'it', 'hr')"
        said(story.sink, task, since, until, EVERY, label=label, ingested_at="now64(3)")


def promote(story: Story, plan: Plan, at: datetime) -> None:
    """Every second task's version was evaluated, the others' is an upstream."""
    story.now = at
    for place, task in enumerate(plan.tasks):
        own: dict[str, Any] = {"artifact": "a", "errors": 100, "labelled": 1000} if place % 2 else {}
        story.promote(f"{task}@1", task=task, **own)


def embed(story: Story, since: datetime, windows: int) -> None:
    """As if the questions of these windows were embedded, of every version that was promoted."""
    starts = ", ".join(f"'{since + place * WINDOW:%Y-%m-%d %H:%M:%S}'" for place in range(windows))
    story.sink.command(
        "INSERT INTO window_embeddings SELECT task, JSONExtractString(live, 'version'),"
        f" arrayJoin([{starts}])::DateTime64(3, 'UTC') AS began, began + INTERVAL 10 MINUTE, '{ENCODER}', 100,"
        f" arrayWithConstant({DIMENSIONS}, 1), arrayWithConstant({DIMENSIONS * (DIMENSIONS + 1) // 2}, 1), now64(3)"
        " FROM promotions FINAL"
    )


def looks(monitor: Monitor) -> dict[str, Trigger | None]:
    return {task: monitor.look(task) for task in monitor.plan.tasks}


def last_looks(story: Story) -> list[dict[str, Any]]:
    """What the last look at each task wrote down, without its time."""
    sql = (
        "SELECT * EXCEPT (looked_at, ingested_at) FROM evaluations FINAL WHERE (task, looked_at) IN"
        " (SELECT task, max(looked_at) FROM evaluations GROUP BY task) ORDER BY task, detector"
    )
    return story.sink.rows(sql)


def test_the_first_looks_ask_for_all_tasks_at_once(story: Story, plan: Plan) -> None:
    """However many tasks there are, each question is asked once or twice; of each task the look alone is written."""
    began, many = whole_hour(timedelta(hours=3)), company(plan, 6)
    promote(story, many, began)
    tell(story, many, began, began + CLOSED * WINDOW + WINDOW / 2)
    embed(story, began, CLOSED)
    for _ in ("uncounted", "restarted"):
        counting = Counting(story.sink)
        looks(Monitor(counting, many))
        written = counting.asked.pop("rows of evaluations")
        assert written == len(many.tasks)
        assert counting.asked["detectors/unknown_words"] == counting.asked["detectors/embeddings_merged"] == 1
        assert max(counting.asked.values()) <= 2
        assert counting.asked.total() <= 35


def test_a_restarted_monitor_decides_what_the_one_that_ran_decides(story: Story, plan: Plan) -> None:
    """Every reading, decision and trigger is the same, of tasks with a model of their own and of upstreams."""
    began, some = whole_hour(timedelta(hours=5)), company(plan, 3)
    promote(story, some, began)
    changed = began + CLOSED * WINDOW + WINDOW / 2
    tell(story, some, began, changed)
    running = Monitor(story.sink, some)
    looks(running)
    tell(story, some, changed, changed + 2 * CLOSED * WINDOW, wrong=2)
    found, rows = looks(running), last_looks(story)
    assert looks(Monitor(story.sink, some)) == found and all(found.values())
    assert last_looks(story) == rows and len(rows) == 3 * (len(plan.tasks["router"].triggers.detectors) + 1)
    assert {row["detector"] for row in rows if row["statistic"]} >= {
        "confidence_ks",
        "label_proportions",
        "shiryaev_roberts",
    }


def test_a_task_that_was_never_counted_is_found_however_long_it_is_idle(story: Story, plan: Plan) -> None:
    """The windows of its newest answers are counted, beside those of tasks with answers of today."""
    idle = {"task0": timedelta(0), "task1": timedelta(days=10), "task2": timedelta(days=40)}
    for task, ago in idle.items():
        answered(story.sink, task, whole_hour(ago + WINDOW), whole_hour(ago), EVERY)
    looks(Monitor(story.sink, company(plan, 4)))
    counted = story.sink.rows("SELECT task, sum(requests) AS n FROM windows FINAL GROUP BY task ORDER BY task")
    assert [(row["task"], row["n"]) for row in counted] == [(task, WINDOW // EVERY) for task in idle]


def test_a_question_that_fails_for_several_tasks_is_asked_for_each(story: Story, plan: Plan) -> None:
    """Every task is looked at, and the question is not asked for all of them again at once."""
    began, some = whole_hour(timedelta(hours=3)), company(plan, 3)
    promote(story, some, began)
    tell(story, some, began, began + CLOSED * WINDOW + WINDOW / 2)
    counting = Counting(story.sink, fails="detectors/label_windows")
    looks(Monitor(counting, some))
    assert counting.asked["detectors/label_windows"] == 1 + 3
    assert {row["task"] for row in last_looks(story)} == some.tasks.keys()
