"""The hard trigger: what ClickHouse computes is the statistic, it alarms on a change, and rarely without one."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import log

import numpy as np
import pytest
from router_story import Story

from benchmarks.drifting import detectors
from benchmarks.drifting.worlds import World, worlds
from headrace.contract import ids
from headrace.plan import Plan
from streams.detectors import shiryaev_roberts as module
from streams.detectors.detector import View
from streams.detectors.shiryaev_roberts import (
    HEAD_START,
    HIGHEST_RATE,
    STEPS,
    WEIGHTS,
    ShiryaevRoberts,
    baseline,
    known_before,
)


def path_of(errors: Iterable[bool], known_errors: int, known: int) -> list[float]:
    """R_1, R_2, ... as the detector's docstring writes it: the baseline of each k is of what came before it."""
    seen, steps, path = list(errors), np.array(STEPS), []
    # Of each k the likelihood ratios so far, and what an error and none multiply them by.
    ratios, hits, misses = (np.ones((len(seen), len(STEPS))) for _ in range(3))
    weights = np.ones(len(seen))
    weights[:1] += HEAD_START
    for place, wrong in enumerate(seen):
        used = known_before(place)
        before = baseline(known_errors + sum(seen[:used]), known + used)
        after, there = before + steps, before + steps < HIGHEST_RATE
        hits[place] = np.where(there, after / before, 0)
        misses[place] = np.where(there, (1 - after) / (1 - before), 0)
        known_now = slice(place + 1)
        ratios[known_now] *= (hits if wrong else misses)[known_now]
        path.append(float(weights[known_now] @ (ratios[known_now] @ WEIGHTS)))
    return path


def stream(seed: int, *spells: tuple[int, float]) -> list[bool]:
    draw = random.Random(seed)
    return [draw.random() < rate for n, rate in spells for _ in range(n)]


def test_a_change_is_found_within_a_couple_of_hundred_labels() -> None:
    """From 5 % to 20 % errors, with a baseline of 1,000 evaluated answers, half of 40 runs alarm within 100 labels."""
    delays = []
    for seed in range(40):
        path = path_of(stream(seed, (300, 0.05), (400, 0.20)), 50, 1000)
        delays.append(next((n - 300 for n, r in enumerate(path) if n >= 300 and r >= 60_000), 400))
    delays.sort()
    assert delays[20] < 100
    assert delays[-1] < 300


def test_without_a_change_it_stays_quiet() -> None:
    """2,000 labels at the baseline's own rate alarm in at most 2 of 60 runs."""
    alarms = 0
    for seed in range(60):
        draw = random.Random(1000 + seed)
        evaluated = sum(draw.random() < 0.05 for _ in range(1000))
        path = path_of(stream(seed, (2000, 0.05)), evaluated, 1000)
        alarms += max(path) >= 60_000
    assert alarms <= 2


def test_a_short_evaluation_is_trusted_less() -> None:
    """The assumed rate is above the measured one, the more so the fewer labels there were, and never zero."""
    assert 0.05 < baseline(50, 1000) < baseline(5, 100)
    assert baseline(0, 100_000) == 0.005


def view(story: Story, plan: Plan, **promotion: int) -> View:
    promoted = story.promote("router@3", artifact="a", **promotion)
    return View(story.sink, "router", plan.tasks["router"], promoted, story.now)


@pytest.mark.parametrize(("spells", "seed"), [([(150, 0.1)], 1), ([(450, 0.1), (120, 0.4)], 2), ([(60, 1.0)], 3)])
def test_clickhouse_computes_the_statistic(
    story: Story, plan: Plan, spells: list[tuple[int, float]], seed: int
) -> None:
    """The statistic of the SQL is that of the formula over the labels in order of inference, however they came."""
    seen = view(story, plan, errors=50, labelled=500)
    story.random.seed(seed)
    for n, rate in spells:
        story.tell(n, rate, "router@3")
    rows = story.sink.rows("SELECT error FROM audit_current ORDER BY toUInt128(inference_id)")
    path = path_of([row["error"] for row in rows], 50, 500)
    reading = ShiryaevRoberts().read(View(story.sink, "router", seen.plan, seen.promotion, story.now))
    assert reading.n == sum(n for n, _ in spells)
    assert log(reading.statistic) == pytest.approx(log(path[-1]), rel=1e-9)
    assert reading.fired == (path[-1] >= 2e4)


def test_labels_of_long_ago_count_towards_the_baseline_alone(
    story: Story, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many days the newest labels are looked at; the baseline of each is of all labels before it."""
    monkeypatch.setattr(module, "MAX_LABELS", 150)
    seen = view(story, plan, errors=50, labelled=500)
    for _ in range(6):
        story.tell(90, 0.1, "router@3", every_s=900.0)
    story.tell(40, 0.5, "router@3")
    rows = [row["error"] for row in story.sink.rows("SELECT error FROM audit_current ORDER BY toUInt128(inference_id)")]
    first, steps = len(rows) - 150, np.array(STEPS)
    expected = 0.0
    for k in range(first, len(rows)):
        used = max(first, known_before(k))
        before = baseline(50 + sum(rows[:used]), 500 + used)
        wrong, right = sum(rows[k:]), len(rows) - k - sum(rows[k:])
        ratios = ((before + steps) / before) ** wrong * ((1 - before - steps) / (1 - before)) ** right
        expected += float(ratios @ WEIGHTS)
    reading = ShiryaevRoberts().read(View(story.sink, "router", seen.plan, seen.promotion, story.now))
    assert reading.n == 150 and reading.statistic == pytest.approx(expected, rel=1e-9)


def test_labels_a_year_do_not_follow_the_week() -> None:
    """Six thousand labels on working days and 2,500 at weekends count as the week's mean, on Sunday and on Monday."""
    promoted = datetime(2026, 1, 5, 9, tzinfo=UTC)
    first = (promoted - ids.EPOCH).days
    week = [6_000] * 5 + [2_500] * 2
    days = [{"day": first + day, "labels": week[day % 7]} for day in range(70)]
    for last in (35, 49, 50, 69):
        seen = days[: last + 1]
        last_at = ids.EPOCH + timedelta(days=first + last + 1)
        assert module.pace(seen, promoted, last_at) == pytest.approx(5_000 * 365, rel=0.01)
    assert module.pace(days[:1], promoted, promoted + timedelta(hours=15)) == pytest.approx(6_000 * 365 * 24 / 15)


def test_it_says_where_the_change_was(story: Story, plan: Plan) -> None:
    """After 400 good labels and 150 bad ones the estimated change lies within 40 labels of the true one."""
    seen = view(story, plan, errors=50, labelled=1000)
    story.tell(400, 0.05, "router@3")
    changed_at = story.now
    story.tell(150, 0.4, "router@3")
    reading = ShiryaevRoberts().read(View(story.sink, "router", seen.plan, seen.promotion, story.now))
    assert reading.fired and reading.hard
    assert abs(reading.labels_since_change - 150) < 40
    assert reading.test_from is not None and abs((reading.test_from - changed_at).total_seconds()) < 40


def test_labels_beyond_the_watermark_or_of_other_versions_do_not_count(story: Story, plan: Plan) -> None:
    """Neither labels newer than the watermark, nor those of another version, nor those before the promotion count."""
    story.tell(100, 1.0, "router@3")
    story.now += timedelta(seconds=1)
    seen = view(story, plan, errors=50, labelled=1000)
    story.tell(50, 0.0, "router@3")
    story.tell(100, 1.0, "router@2")
    watermark = story.now
    story.tell(100, 1.0, "router@3")
    reading = ShiryaevRoberts().read(View(story.sink, "router", seen.plan, seen.promotion, watermark))
    assert reading.n == 50 and not reading.fired


def test_an_upstreams_baseline_is_its_first_labels(story: Story, plan: Plan) -> None:
    """Without an evaluation the first `reference_labels` labels are the baseline and are not monitored themselves."""
    seen = view(story, plan)
    story.tell(299, 0.2, "router@3")
    early = ShiryaevRoberts().read(View(story.sink, "router", seen.plan, seen.promotion, story.now))
    assert early.n == 0 and "299 of the 300" in early.reason
    story.tell(1, 0.2, "router@3")
    story.tell(60, 0.9, "router@3")
    reading = ShiryaevRoberts().read(View(story.sink, "router", seen.plan, seen.promotion, story.now))
    assert reading.n == 60 and reading.fired
    assert reading.inputs["reference"]["labelled"] == 300


def test_a_baseline_without_room_above_it_stays_quiet(story: Story, plan: Plan) -> None:
    """A version that was nearly always wrong cannot get noticeably worse: no statistic, and the reason says so."""
    seen = view(story, plan, errors=940, labelled=1000)
    story.tell(60, 1.0, "router@3")
    reading = ShiryaevRoberts().read(View(story.sink, "router", seen.plan, seen.promotion, story.now))
    assert not reading.fired and reading.n == 0 and "leaves no room" in reading.reason


def test_too_few_labels_do_not_fire(story: Story, plan: Plan) -> None:
    """Below `min_labels` no evidence is enough."""
    seen = view(story, plan, errors=50, labelled=1000)
    story.tell(49, 1.0, "router@3")
    reading = ShiryaevRoberts().read(View(story.sink, "router", seen.plan, seen.promotion, story.now))
    assert reading.statistic >= reading.threshold and not reading.fired


def test_the_benchmark_measures_this_statistic() -> None:
    """What `make bench-drift` computes for many runs at once alarms at the label where the formula does."""
    world = worlds(0.1, "fresh", 8, seed=3)[0.05]
    thresholds = [1e2, 1e3, 1e4]
    found = detectors.shiryaev_roberts(World(world.reference, world.labels[:, :600], 0), thresholds)
    for run in range(8):
        path = path_of(list(world.labels[run, :600]), int(world.reference[run].sum()), 1000)
        for threshold in thresholds:
            first = next((place for place, statistic in enumerate(path) if statistic >= threshold), 600)
            assert found[threshold][run] == first
