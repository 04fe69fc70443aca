"""A linear head that is fitted without a gradient, and how much each row counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from headrace.models.tensors import Floats

UNSEEN_BIAS = -20.0
"""A label without a training row gets no weight and this bias: about 2e-9 of the probability."""


@dataclass(frozen=True, slots=True)
class Head:
    """A linear layer: weight (labels, width), bias (labels,), float32."""

    weight: Floats
    bias: Floats


def probe(
    embeddings: Any,
    truth: Sequence[int],
    labels: int,
    inverse_regularisation: float = 30.0,
    weights: Sequence[float] | None = None,
) -> Head:
    """Multinomial logistic regression on frozen embeddings (rows, width). Needs rows of at least two labels.

    embeddings: float32, also scipy's sparse rows; truth: numbers of the labels, of which there are `labels`
    weights: how much each row counts beside its label's balance; None: 1
    """
    fitted = LogisticRegression(C=inverse_regularisation, max_iter=2000, class_weight=balance(truth))
    # By more threads of BLAS it would be fitted to other last bits, and so would be what is trained from it.
    with threadpool_limits(1, "blas"):
        fitted.fit(embeddings, np.asarray(truth), None if weights is None else np.asarray(weights))
    weight = np.zeros((labels, embeddings.shape[1]), dtype=np.float32)
    bias = np.full(labels, UNSEEN_BIAS, dtype=np.float32)
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        # sklearn keeps one logit for two classes: the log-odds of the second.
        coefficients = np.vstack([-coefficients / 2, coefficients / 2])
        intercepts = np.concatenate([-intercepts / 2, intercepts / 2])
    for row, label in enumerate(fitted.classes_):
        weight[label] = coefficients[row]
        bias[label] = intercepts[row]
    return Head(weight, bias)


def balance(truth: Sequence[int]) -> dict[int, float]:
    """Weights of the labels in the loss, 1 on average over rows: the rarer a label, the more each of its rows counts.

    The square root of the inverse frequency: the whole inverse pays for a rare label's recall with everyone's accuracy
    (Mahajan et al., ECCV 2018, sample by the square root for the same reason).
    """
    counts = Counter(truth)
    raw = {label: count**-0.5 for label, count in counts.items()}
    mean = sum(raw[label] * count for label, count in counts.items()) / len(truth)
    return {label: weight / mean for label, weight in raw.items()}
