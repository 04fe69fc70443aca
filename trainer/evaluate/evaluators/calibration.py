"""How far a model's probabilities can be trusted: expected calibration error, Brier score, reliability diagram."""

from __future__ import annotations

import numpy as np

from headrace.contract.findings import Figure, Finding, Point
from headrace.statistics.calibration import brier, ece, reliability
from headrace.statistics.intervals import wilson
from trainer.evaluate.subject import Subject

RESAMPLES = 200


def evaluate(subject: Subject) -> Finding | None:
    """Validation rows also fitted the temperature, so that the error on test rows is the one to believe.

    Rows whose label the model does not have count as wrong, and are left out of the Brier score.
    """
    right, confidence = subject.right, subject.confidence
    place = {label: number for number, label in enumerate(subject.labels)}
    known = [index for index, row in enumerate(subject.rows) if row.label in place]
    truth = [place[subject.rows[index].label] for index in known]
    points = [
        Point(x=one.confidence, y=one.right, low=low, high=high, n=one.rows)
        for one in reliability(confidence, right)
        if one.rows
        for low, high in (wilson(one.right * one.rows, one.rows),)
    ]
    mean = float(confidence.mean())
    return Finding(
        method=(
            "Expected calibration error over ten bins of equal width (Guo et al. 2017), with the middle 95 % of"
            f" {RESAMPLES} resamples of the rows, which lies high where bins hold few rows; Brier score over all"
            " labels, from 0 to 2" + ("" if subject.ask is None else "; the temperature was fitted on these very rows")
        ),
        figures={
            "ece": _ece(confidence, right.astype(np.float64), subject.seed),
            "brier": Figure(value=brier(subject.probabilities[known], truth), n=len(known)),
            "mean_confidence": Figure(value=mean, n=len(right)),
            "overconfidence": Figure(value=mean - float(right.mean()), n=len(right)),
        },
        x_is="probability of the answer",
        y_is="share of these answers that are right",
        points=tuple(points),
    )


def _ece(confidence: np.ndarray, right: np.ndarray, seed: int) -> Figure:
    random = np.random.default_rng(seed)
    n = len(right)
    drawn = (random.integers(0, n, n) for _ in range(RESAMPLES))
    low, high = np.percentile([ece(confidence[rows], right[rows]) for rows in drawn], [2.5, 97.5])
    value = ece(confidence, right)
    return Figure(value=value, low=min(value, float(low)), high=max(value, float(high)), n=n)
