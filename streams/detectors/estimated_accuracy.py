"""Accuracy without labels: how right the live version would be if its confidence still meant what it meant.

Confidence-based performance estimation (Guillory et al., ICCV 2021; Garg et al., ICLR 2022; NannyML's CBPE): labelled
answers of the same version tell how often an answer of each confidence is right, by isotonic regression (Zadrozny and
Elkan, KDD 2002); the mean of that over a window estimates its accuracy. It alarms where the estimate falls below the
reference's beyond chance. It sees only errors that the model doubts: questions that it answers wrongly and surely need
labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt

from headrace.contract import ids
from headrace.statistics.intervals import quantile
from headrace.statistics.significance import normal_tail
from headrace.warehouse import clickhouse_time
from streams.detectors import confidence_ks, soft
from streams.detectors.detector import CONFIDENCE, Reading, View
from streams.labels import DAY, by_day, reached
from streams.profiles import Pair
from streams.spans import MILLISECOND
from streams.together import Together

MIN_LABELS = 100
"""Labelled answers with scores that a calibration needs."""
MAX_LABELS = 2000
LONGEST = timedelta(weeks=8)
"""After the promotion: answers from then on calibrate nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """Answers whose bin is at least `lowest`, up to the next step's: `correct` of `labelled` were right."""

    lowest: int
    labelled: int
    correct: int

    @property
    def accuracy(self) -> float:
        return self.correct / self.labelled

    @property
    def variance(self) -> float:
        """Of the accuracy; half an answer each way, since five of five are not surely all."""
        share = (self.correct + 0.5) / (self.labelled + 1)
        return share * (1 - share) / self.labelled


def isotonic(bins: Mapping[int, tuple[int, int]]) -> list[Step]:
    """Pool adjacent violators (Ayer et al., Ann. Math. Statist. 1955); bins: (labelled, correct) by bin, not empty."""
    steps: list[Step] = []
    for lowest, (labelled, correct) in sorted(bins.items()):
        steps.append(Step(lowest, labelled, correct))
        while len(steps) > 1 and steps[-2].accuracy >= steps[-1].accuracy:
            last, before = steps.pop(), steps.pop()
            steps.append(Step(before.lowest, before.labelled + last.labelled, before.correct + last.correct))
    return steps


def by_step(steps: Sequence[Step], confidences: Mapping[int, int]) -> list[int]:
    """How many answers fall on each step; those below all steps on the lowest."""
    counts, place = [0] * len(steps), 0
    for bin_, count in sorted(confidences.items()):
        while place + 1 < len(steps) and steps[place + 1].lowest <= bin_:
            place += 1
        counts[place] += count
    return counts


def central(steps: Sequence[Step], counts: Sequence[int]) -> tuple[float, float, float]:
    """Mean, variance and third central moment of the accuracies of the answers' steps."""
    n = sum(counts)
    mean = sum(count * step.accuracy for step, count in zip(steps, counts, strict=True)) / n
    second, third = (
        sum(count * (step.accuracy - mean) ** power for step, count in zip(steps, counts, strict=True)) / n
        for power in (2, 3)
    )
    return mean, second, third


def tested(pair: Pair, steps: Sequence[Step], alpha: float) -> soft.Tested:
    """One-sided: has the mean fallen? Both sides are estimated with one calibration, whose errors cancel.

    The accuracies of sure answers are skewed: the statistic is corrected for it as Hall does (J. R. Statist. Soc. B
    1992), by a cubic that grows with it.
    """
    before, now = by_step(steps, pair.reference.confidences), by_step(steps, pair.window.confidences)
    n, m = sum(before), sum(now)
    mean_before, variance_before, third_before = central(steps, before)
    mean, variance, third = central(steps, now)
    spread = variance_before / n + variance / m
    fall = p_value = 0.0
    if spread <= 0:
        p_value = 1.0 if mean >= mean_before else 0.0
    else:
        fall = (mean_before - mean) / sqrt(spread)
        skewness = (third_before / n**2 - third / m**2) / spread**1.5
        p_value = normal_tail(fall + skewness * (fall**2 / 3 + 1 / 6) + skewness**2 * fall**3 / 27)
    error = sqrt(variance / m + sum((count / m) ** 2 * step.variance for step, count in zip(steps, now, strict=True)))
    half = quantile(0.975) * error
    return soft.Tested(
        pair.window_from,
        n,
        m,
        statistic=fall,
        p_value=p_value,
        threshold=quantile(1 - alpha),
        inputs={
            "accuracy": mean,
            "low": max(0.0, mean - half),
            "high": min(1.0, mean + half),
            "reference": mean_before,
        },
    )


class EstimatedAccuracy:
    """Reads the scores of the live arm of the current version, and its first base-audit labels to calibrate them."""

    name = "estimated_accuracy"

    def __init__(self) -> None:
        # Made anew once in as many windows as the plan's `rolling`.
        self._calibrated: Together[tuple[str, int], list[Step]] = Together(_turn, _calibrations)

    def read(self, view: View) -> Reading:
        steps = self._calibrated.about(view)
        if steps is None:
            return confidence_ks.without_scores(view, self.name)
        labelled = sum(step.labelled for step in steps)
        if labelled < MIN_LABELS:
            reason = f"{labelled} of the {MIN_LABELS} labelled answers with scores that a calibration needs"
            return soft.quiet(view, self.name, CONFIDENCE, reason)
        windows = [tested(pair, steps, soft.alpha(view)) for pair in confidence_ks.scored(view)]
        newest = windows[-1].inputs
        what = (
            f"estimated accuracies (now {newest['accuracy']:.3f}, 95 % interval {newest['low']:.3f} to "
            f"{newest['high']:.3f}; reference {newest['reference']:.3f}; calibrated on {labelled} labels)"
        )
        return soft.verdict(view, self.name, CONFIDENCE, windows, what)


def _turn(view: View) -> tuple[str, int] | None:
    found = confidence_ks.scored(view)
    if not found:
        return None
    return view.promotion.live.version, (found[0].window_from - ids.EPOCH) // (view.plan.windows.rolling * view.size)


def _calibrations(views: Sequence[View]) -> list[list[Step]]:
    """Of answers before the tested windows."""
    spans = [_span(view) for view in views]
    # An answer's id is at most a day off.
    days = {
        day
        for since, until in spans
        for day in range(max(0, (since - DAY - ids.EPOCH).days), (until + DAY - MILLISECOND - ids.EPOCH).days + 1)
    }
    rows = views[0].queries.query(
        "detectors/calibration",
        tasks=[view.task for view in views],
        versions=[view.promotion.live.version for view in views],
        sinces=[clickhouse_time(since) for since, _ in spans],
        untils=[clickhouse_time(until) for _, until in spans],
        days=sorted(days),
        most=MAX_LABELS,
    )
    bins: list[dict[int, tuple[int, int]]] = [{} for _ in views]
    for row in rows:
        bins[row["place"] - 1][int(row["bin"])] = int(row["labelled"]), int(row["correct"])
    return [isotonic(found) for found in bins]


def _span(view: View) -> tuple[datetime, datetime]:
    """From when up to when answers may calibrate."""
    since = max(view.promotion.since, ids.EPOCH)
    days = by_day(view.queries, view.task, view.promotion.live.version, since, view.watermark)
    # Not every labelled answer has scores, and of what is read only the first labels count.
    enough = reached(days, 2 * MAX_LABELS)
    oldest = confidence_ks.scored(view)[0].window_from
    return since, max(since, min(oldest, since + LONGEST, enough))


MAKE = EstimatedAccuracy
