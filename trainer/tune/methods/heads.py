"""The two heads that need no gradient: on frozen embeddings, a linear layer from words or from rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from headrace.models.families.encoder import Encoder
from headrace.models.tensors import Floats

SCALE = 20.0
"""Inverse temperature of cosine similarities: MiniLM was trained with this one (its model card)."""
C = 30.0
"""Inverse regularisation of the probe; .864 on CLINC's ten domains with 411 rows."""
UNSEEN_BIAS = -20.0
"""A label without a training row gets no weight and this bias: about 2e-9 of the probability."""


@dataclass(frozen=True, slots=True)
class Head:
    """A linear layer: weight (labels, width), bias (labels,), float32."""

    weight: Floats
    bias: Floats


def untuned(encoder: Encoder, names: Mapping[str, str], describe: Mapping[str, str]) -> Head:
    """Nearest label by cosine between the question and the label's text and description; no row is used.

    names: the labels' texts by their ids
    """
    texts = [f"{text.replace('_', ' ')}: {describe.get(label, '')}".rstrip(": ") for label, text in names.items()]
    return Head(SCALE * encoder.embed(texts), np.zeros(len(names), dtype=np.float32))


def probe(embeddings: Floats, truth: Sequence[str], labels: Sequence[str]) -> Head:
    """Multinomial logistic regression on frozen embeddings. Needs rows of at least two labels."""
    fitted = LogisticRegression(C=C, max_iter=2000, class_weight=balance(truth))
    fitted.fit(embeddings, np.asarray(truth))
    weight = np.zeros((len(labels), embeddings.shape[1]), dtype=np.float32)
    bias = np.full(len(labels), UNSEEN_BIAS, dtype=np.float32)
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:
        # sklearn keeps one logit for two classes: the log-odds of the second.
        coefficients = np.vstack([-coefficients / 2, coefficients / 2])
        intercepts = np.concatenate([-intercepts / 2, intercepts / 2])
    for row, label in enumerate(fitted.classes_):
        weight[labels.index(label)] = coefficients[row]
        bias[labels.index(label)] = intercepts[row]
    return Head(weight, bias)


def balance(truth: Sequence[Hashable]) -> dict[Hashable, float]:
    """Weights of the labels in the loss, 1 on average over rows: the rarer a label, the more each of its rows counts.

    The square root of the inverse frequency: the whole inverse pays for a rare label's recall with everyone's accuracy
    (Mahajan et al., ECCV 2018, sample by the square root for the same reason).
    """
    counts = Counter(truth)
    raw = {label: count**-0.5 for label, count in counts.items()}
    mean = sum(raw[label] * count for label, count in counts.items()) / len(truth)
    return {label: weight / mean for label, weight in raw.items()}
