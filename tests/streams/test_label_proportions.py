"""Two-window proportions: the newest labels against all before them, exactly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from router_story import START, Story
from scipy import stats

from headrace.plan import Plan, Privacy
from streams import window_counts
from streams.clocks import Clocks
from streams.detectors.detector import Reading, View
from streams.detectors.label_proportions import LabelProportions

HOUR = timedelta(hours=1)


def read(story: Story, plan: Plan, errors: int = 0, labelled: int = 0, hours: int = 4) -> Reading:
    """What it says when those hours, spans of six windows each, have passed and their labels are there."""
    task = plan.tasks["router"]
    promotion = story.promote("router@1", "a", errors=errors, labelled=labelled, since=START)
    watermark = START + hours * HOUR
    long = task.model_copy(update={"windows": task.windows.model_copy(update={"rolling": 100})})
    window_counts.alike(story.sink, {"router": long}, Clocks(), Privacy())["router"].watermark("router")
    return LabelProportions().read(View(story.sink, "router", task, promotion, watermark))


def told(story: Story, *rates: float) -> None:
    """An hour of 180 labelled answers at each error rate."""
    for rate in rates:
        story.tell(180, rate, "router@1", every_s=20)


def test_it_is_fishers_exact_test(story: Story, plan: Plan) -> None:
    """With mid-p, of the newest span's labels against the evaluation and all labels before the spans tested."""
    told(story, 0.1, 0.1, 0.1, 0.2)
    reading = read(story, plan, errors=100, labelled=1000)
    newest = reading.inputs["windows"][-1]
    m, n = newest["m"], newest["n"]
    now, before = round(newest["error_rate"] * m), round(newest["reference"] * n)
    assert m in (180, 181) and n in range(1178, 1183) and before > 100
    table = [[now, m - now], [before, n - before]]
    observed = stats.hypergeom.pmf(now, n + m, before + now, m)
    expected = stats.fisher_exact(table, alternative="greater").pvalue - observed / 2
    assert newest["p_value"] == pytest.approx(expected, rel=1e-6)
    assert reading.family == "labels" and not reading.hard


def test_two_spans_of_three_must_be_worse(story: Story, plan: Plan) -> None:
    """After one bad span nothing, after two an alarm that starts nothing by itself."""
    told(story, 0.1, 0.1, 0.1, 0.4, 0.4)
    assert not read(story, plan, 100, 1000, hours=4).fired
    twice = read(story, plan, 100, 1000, hours=5)
    assert twice.fired and not twice.hard and "of the last 3 windows" in twice.reason


def test_few_labels_say_nothing(story: Story, plan: Plan) -> None:
    """Without an evaluation and before a span is over there is nothing to compare."""
    told(story, 0.1)
    reading = read(story, plan, hours=1)
    assert reading.n == 0 and "fewer than 30 labels" in reading.reason
