"""How well a model tells questions that are meant for no expert: the area under the ROC curve of its score for them."""

from __future__ import annotations

import numpy as np

from headrace.contract.findings import Figure, Finding
from headrace.statistics.calibration import auroc, auroc_interval
from trainer.evaluate.subject import Subject, share


def evaluate(subject: Subject) -> Finding | None:
    """None where the task has no such label, or where either kind of row is missing."""
    if subject.out_of_scope not in subject.labels:
        return None
    outside = np.array([row.label == subject.out_of_scope for row in subject.rows], dtype=bool)
    if outside.all() or not outside.any():
        return None
    scores = np.asarray(subject.probabilities[:, list(subject.labels).index(subject.out_of_scope)], dtype=np.float64)
    answered = np.array([said == subject.out_of_scope for said in subject.said], dtype=bool)
    inside = ~outside
    figures = {"auroc": _auroc(scores[inside], scores[outside])}
    if subject.novelty is not None:
        novelty = np.asarray(subject.novelty, dtype=np.float64)
        figures["auroc_of_distance"] = _auroc(novelty[inside], novelty[outside])
    return Finding(
        method=(
            f"Score: the probability of {subject.out_of_scope!r}, or the distance from what the model"
            " knows; AUROC with Newcombe's 95 % score interval (Stat Med 2006);"
            " recall: such questions that get this answer; false alarms: others that get it"
        ),
        figures={
            **figures,
            "recall": share(float((answered & outside).sum()), int(outside.sum())),
            "false_alarms": share(float((answered & inside).sum()), int(inside.sum())),
        },
    )


def _auroc(lower: np.ndarray, higher: np.ndarray) -> Figure:
    area = auroc(lower, higher)
    low, high = auroc_interval(area, len(higher), len(lower))
    return Figure(value=area, low=low, high=high, n=len(higher) + len(lower))
