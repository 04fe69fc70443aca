"""Detectors on scores: their statistics are the textbooks', and a model without scores is left in peace."""

from __future__ import annotations

import numpy as np
import pytest
from router_story import START, Story
from scipy import stats
from windows_story import REFERENCE, WINDOW, Answer, tell, view

from headrace.contract.control import Promotion
from headrace.contract.events import new_feedback, new_inference
from headrace.contract.topics import INFERENCES, LABELS
from headrace.plan import Plan
from streams.detectors import estimated_accuracy
from streams.detectors.confidence_ks import ConfidenceKs
from streams.detectors.confidence_shift import ConfidenceShift
from streams.detectors.estimated_accuracy import EstimatedAccuracy, Step, by_step, isotonic
from streams.profiles import Pair, Profile

SURE, UNSURE = (12.0, 2.0), (4.0, 2.0)


def scores(shape: tuple[float, float], n: int, seed: int) -> list[dict[str, float]]:
    """n answers to a choice of three."""
    draw = np.random.default_rng(seed)
    tops = np.clip(draw.beta(*shape, n), 0.4, 0.999)
    splits = draw.uniform(0.5, 0.7, n)
    return [
        {"hr": float(t), "it": float((1 - t) * s), "finance": float((1 - t) * (1 - s))}
        for t, s in zip(tops, splits, strict=True)
    ]


def told(story: Story, shapes: list[tuple[float, float]], n: int = 200) -> tuple[Promotion, list[np.ndarray]]:
    """A reference of sure answers, then a window of each shape; and the scores as they were stored."""
    promotion = story.promote("router@1", artifact="a")
    windows = [scores(shape, n, seed) for seed, shape in enumerate([SURE] * REFERENCE + shapes)]
    tell(story, [[Answer(each) for each in window] for window in windows])
    return promotion, [np.array([list(each.values()) for each in window], dtype=np.float32) for window in windows]


def test_the_distance_of_confidences_is_the_textbooks(story: Story, plan: Plan) -> None:
    """Binned, it is within a hundredth of scipy's exact distance, and the p-value of the same size."""
    promotion, windows = told(story, [(8.0, 2.0)])
    reading = ConfidenceKs().read(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
    before, now = np.concatenate(windows[:-1]).max(axis=1), windows[-1].max(axis=1)
    expected = stats.ks_2samp(before, now, method="asymp")
    assert reading.statistic == pytest.approx(expected.statistic, abs=0.01)
    assert reading.inputs["p_value"] == pytest.approx(expected.pvalue, rel=0.5)
    assert reading.n == 200 and reading.family == "confidence" and not reading.hard


def test_mean_and_entropy_are_hotellings(story: Story, plan: Plan) -> None:
    """T squared and its p-value equal those computed from the answers by linear algebra and scipy's F."""
    promotion, windows = told(story, [(10.0, 2.0)])
    reading = ConfidenceShift().read(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
    values = [np.stack([w.max(axis=1), -(w * np.log(w)).sum(axis=1)]).astype(float) for w in windows]
    before, now = np.concatenate(values[:-1], axis=1), values[-1]
    n, m = before.shape[1], now.shape[1]
    pooled = ((n - 1) * np.cov(before) + (m - 1) * np.cov(now)) / (n + m - 2)
    difference = now.mean(axis=1) - before.mean(axis=1)
    expected = difference @ np.linalg.solve(pooled, difference) * n * m / (n + m)
    assert reading.statistic == pytest.approx(expected, rel=1e-4)
    tail = stats.f.sf(expected * (n + m - 3) / (2 * (n + m - 2)), 2, n + m - 3)
    assert reading.inputs["p_value"] == pytest.approx(tail, rel=1e-3)
    assert reading.threshold > 0 and reading.fired is False


def test_two_windows_less_sure_alarm(story: Story, plan: Plan) -> None:
    """One is no alarm; of two in a row each detector of the family makes a soft one, and says how much."""
    promotion, _ = told(story, [SURE, UNSURE, UNSURE])
    router = plan.tasks["router"]
    for detector in (ConfidenceKs(), ConfidenceShift()):
        once = detector.read(view(story, router, promotion, REFERENCE + 2))
        assert once.inputs["p_value"] < 0.001 and not once.fired
        twice = detector.read(view(story, router, promotion, REFERENCE + 3))
        assert twice.fired and not twice.hard and "2 of the last 3 windows" in twice.reason


def test_calibration_pools_what_is_out_of_order() -> None:
    """Isotonic regression: a bin less right than the one below it shares its accuracy; below the lowest, the lowest."""
    steps = isotonic({-20: (10, 5), 0: (10, 8), 20: (10, 6), 40: (20, 19)})
    assert steps == [Step(-20, 10, 5), Step(0, 20, 14), Step(40, 20, 19)]
    assert by_step(steps, {-90: 1, -20: 1, 5: 2, 39: 3, 40: 4}) == [2, 5, 4]


def test_accuracy_is_estimated_from_confidence(story: Story, plan: Plan) -> None:
    """Where half of the unsure and nine of ten sure answers were right, a window's estimate is the mean of those."""
    promotion = story.promote("router@1", artifact="a")
    sure, unsure = {"hr": 0.9, "it": 0.1}, {"hr": 0.6, "it": 0.4}
    # a tenth of the reference is unsure; then a third
    windows = [[Answer(unsure if n % 10 == 0 else sure) for n in range(200)] for _ in range(REFERENCE)]
    windows += [[Answer(unsure if n % 3 == 0 else sure) for n in range(201)]] * 2
    tell(story, windows)
    detector, seen = EstimatedAccuracy(), view(story, plan.tasks["router"], promotion, REFERENCE + 2)
    assert "0 of the 100 labelled answers" in detector.read(seen).reason
    for kind, right in ((sure, 90), (unsure, 50)):
        audited = [
            new_inference(
                "router", "router@1", label="hr", scores=kind, audited=True, audit_probability=1.0, input="how?",
                occurred_at=START + WINDOW + n * WINDOW / 200, session_id=f"a{n}{right}",
            )
            for n in range(100)
        ]  # fmt: skip
        story.put(INFERENCES, audited)
        story.put(
            LABELS,
            [
                new_feedback(
                    each.inference_id, "audit", "label", task="router", label="hr" if n < right else "it",
                    occurred_at=each.occurred_at + WINDOW, inclusion_probability=1.0, rater="expert",
                )
                for n, each in enumerate(audited)
            ],
        )  # fmt: skip
    reading = EstimatedAccuracy().read(view(story, plan.tasks["router"], promotion, REFERENCE + 2))
    newest = reading.inputs["windows"][-1]
    assert newest["accuracy"] == pytest.approx(2 / 3 * 0.9 + 1 / 3 * 0.5)
    assert newest["low"] < newest["accuracy"] < newest["high"] < newest["reference"]
    assert newest["reference"] == pytest.approx(0.9 * 0.9 + 0.1 * 0.5)
    assert reading.fired and "calibrated on 200 labels" in reading.reason


def test_a_rise_is_no_alarm() -> None:
    """More confidence than in the reference is not a loss of accuracy: the test is one-sided."""
    steps = [Step(-50, 100, 50), Step(30, 100, 90)]
    before, now = Profile(confidences={0: 500, 40: 500}, scored=1000), Profile(confidences={0: 10, 40: 90}, scored=100)
    assert estimated_accuracy.tested(Pair(START, before, now), steps, 0.001).p_value > 0.99
    assert estimated_accuracy.tested(Pair(START, now, before), steps, 0.001).p_value < 1e-6


def test_a_model_without_scores_is_left_in_peace(story: Story, plan: Plan) -> None:
    """An upstream gives none: each detector of the family says so, and no more."""
    promotion = story.promote("router@1", artifact="a")
    tell(story, [[Answer()] * 40] * (REFERENCE + 1))
    for detector in (ConfidenceKs(), ConfidenceShift(), EstimatedAccuracy()):
        reading = detector.read(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
        assert (reading.n, reading.fired) == (0, False) and "no label scores" in reading.reason
        early = detector.read(view(story, plan.tasks["router"], promotion, REFERENCE))
        assert early.n == 0 and "the first 6" in early.reason
