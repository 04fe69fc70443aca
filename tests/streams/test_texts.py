"""A task of kind generate: its texts are stored, counted and watched like labels, and nothing is drawn or trained."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import pytest
from router_story import PLAN, Story

from headrace.contract.events import Event, Inference, new_feedback, new_inference, pack
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS, Topic
from headrace.plan import Plan, parse
from streams.audits import Audits
from streams.decode import Raw
from streams.label_ids import LabelIds
from streams.monitor import Monitor
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

WRITER = """
[tasks.writer]
kind = "generate"
mode = "observe"
[tasks.writer.incumbent]
version = "writer@0"
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.writer.windows]
size_s = 600
lateness_s = 0
rolling = 6
refresh_s = 0.2
[tasks.writer.triggers]
reference_labels = 300
cool_down_s = 0
"""
OFFSETS = count(10_000)
BEFORE, AFTER = (
    "please write a kind mail about my leave in spring",
    "zusammenfassung des vertrags mit klausel und frist",
)


@pytest.fixture
def both() -> Plan:
    """A router, and a task whose answers are texts."""
    return parse(PLAN + WRITER)


def bring(story: Story, plan: Plan, topic: Topic, events: Sequence[Event]) -> None:
    """Store them as a worker does: rates and labels are the plan's."""
    rules = Rules(
        rates={name: task.audit.rate for name, task in plan.served.items()},
        audit_secret=b"of tests",
        label_ids=LabelIds.of(plan.tasks),
    )
    assert store([Raw(topic.name, 0, next(OFFSETS), pack(events))], table_of(topic), story.sink, rules) == []


def written(story: Story, plan: Plan, n: int, words: str) -> list[Inference]:
    """n texts, one every five seconds, of which every fourth gets a thumb."""
    draw, answers = random.Random(n), list[Inference]()
    for number in range(n):
        story.now += timedelta(seconds=5)
        answers.append(
            new_inference(
                "writer", "writer@0", occurred_at=story.now, session_id=f"s{number}-{story.now:%H%M}",
                input=" ".join(draw.choices(words.split(), k=6)), output=f"Dear all, this is text {number}.",
                tokens_out=9, latency_ms=800.0,
            )
        )  # fmt: skip
    bring(story, plan, INFERENCES, answers)
    bring(story, plan, FEEDBACK, [
        new_feedback(one.inference_id, "user", "thumb", value=1 if place % 8 else -1, task="writer",
                     occurred_at=one.occurred_at + timedelta(seconds=1))
        for place, one in enumerate(answers) if place % 4 == 0
    ])  # fmt: skip
    return answers


def test_texts_are_stored_counted_and_watched(story: Story, both: Plan) -> None:
    """Windows count them, detectors of the inputs see a shift, and there is neither a label, an error nor a draw."""
    story.promote("writer@0", task="writer")
    monitor = Monitor(story.sink, both)
    answers = written(story, both, 1500, BEFORE)
    assert monitor.look("writer") is None
    answers += written(story, both, 1500, AFTER)
    labels = [
        new_feedback(one.inference_id, source, "label", label="solved", task="writer", occurred_at=story.now)
        for one, source in zip(answers[-20:], ["outcome", "audit"] * 10, strict=True)
    ]
    bring(story, both, LABELS, labels)
    Audits(story.sink).copy()
    trigger = monitor.look("writer")
    stored = story.sink.rows(
        "SELECT count() AS n, countIf(label = '') AS without, uniqExact(output) AS texts FROM inferences"
    )
    assert stored == [{"n": 3000, "without": 3000, "texts": 1500}]
    (row,) = story.sink.rows(
        "SELECT sum(requests) AS requests, sum(thumbs_up) AS up, sum(thumbs_down) AS down, sum(labelled) AS labelled,"
        " sum(errors) AS errors, sum(out_of_scope) AS out_of_scope, sum(audited) AS audited FROM windows FINAL"
        " WHERE task = 'writer'"
    )
    assert row == {
        "requests": 3000, "up": 374, "down": 376, "labelled": 0, "errors": 0, "out_of_scope": 0, "audited": 0
    }  # fmt: skip
    looks = story.sink.rows("SELECT detector, max(fired) AS fired FROM evaluations FINAL GROUP BY detector")
    fired = {look["detector"] for look in looks if look["fired"]}
    assert "out_of_vocabulary" in fired and not fired & {"shiryaev_roberts", "label_proportions", "confidence_shift"}
    assert trigger is None
    assert story.sink.rows("SELECT count() AS n FROM review_queue WHERE task = 'writer'") == [{"n": 0}]
    assert story.sink.rows("SELECT count() AS n FROM audit_draws") == [{"n": 0}]


def test_texts_beside_labels(story: Story, both: Plan) -> None:
    """Tasks of both kinds with the same windows are counted together, each with its own."""
    story.promote("router@0")
    story.promote("writer@0", task="writer")
    written(story, both, 200, BEFORE)
    story.tell(300, 0.1, "router@0")
    monitor = Monitor(story.sink, both)
    assert monitor.look("router") is None and monitor.look("writer") is None
    rows = story.sink.rows(
        "SELECT task, sum(requests) AS requests, sum(labelled) AS labelled FROM windows FINAL"
        " GROUP BY task ORDER BY task"
    )
    assert rows == [
        {"task": "router", "requests": 300, "labelled": 300},
        {"task": "writer", "requests": 200, "labelled": 0},
    ]
