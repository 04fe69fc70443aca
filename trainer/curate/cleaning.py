"""Which teacher rows are likely wrong. Pure; embeddings are the caller's.

In this order; counted in the funnel under the word in brackets:

    of a label on which blind audits prove the teacher wrong        [teacher_wrong_label]
    like a label that the teacher does not know, by the checked rows [teacher_lost_label]
    contradicted by a probe that has not seen the row               [teacher_contradicted]

Checked rows are never left out: whoever checked them knows more than a probe. The last rule is confident learning's
(Northcutt et al., JAIR 2021) with one threshold. It cannot see a teacher that is always wrong in one label, since the
probe then learns that label from it; audits can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace.models.tensors import Floats, log_softmax
from headrace.statistics.intervals import wilson

FOLDS = 5
CONFIDENT = 0.6
"""A row is left out where the probe gives more than this probability to another label than the row's."""
LOW = 0.8
"""A label is wrong or lost where the upper end of its 95 % interval is below this."""
FEW = 10
"""With fewer audits a label is named as unproven."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reliability:
    """What blind audits say of the teacher, label by label; each a tuple of labels.

    wrong: what it calls so often is something else; lost: what is so it often calls something else
    unproven: too few audits to know either
    """

    wrong: tuple[str, ...]
    lost: tuple[str, ...]
    unproven: tuple[str, ...]


def reliability(audits: Iterable[tuple[str, str]], labels: Sequence[str]) -> Reliability:
    """audits: of each audited answer of the teacher, the label that it gave and the right one."""
    pairs = list(audits)
    said, true = [answered for answered, _ in pairs], [label for _, label in pairs]
    both = [label for answered, label in pairs if answered == label]

    def low(of: list[str], label: str) -> bool:
        return of.count(label) >= FEW and wilson(both.count(label), of.count(label))[1] < LOW

    return Reliability(
        wrong=tuple(label for label in labels if low(said, label)),
        lost=tuple(label for label in labels if low(true, label)),
        unproven=tuple(label for label in labels if true.count(label) < FEW),
    )


def like_lost(
    embeddings: Floats, truth: Sequence[int], checked: Sequence[bool], lost: Sequence[int], labels: int
) -> Bools:
    """Of each row, whether it is none of the checked ones and a probe fitted on these calls it one of the lost labels.

    embeddings: (rows, width); truth: numbers of the labels, of which there are `labels`
    """
    known = np.asarray(checked, dtype=bool)
    right = np.asarray(truth)
    if not lost or len(set(right[known].tolist())) < 2:
        return np.zeros(len(right), dtype=bool)
    from trainer.tune.heads import probe  # which imports scikit-learn

    head = probe(embeddings[known], right[known].tolist(), labels)
    says = (embeddings @ head.weight.T + head.bias).argmax(axis=1)
    return np.isin(says, list(lost)) & ~np.isin(right, list(lost)) & ~known


def contradicted(
    embeddings: Floats, truth: Sequence[int], weights: Sequence[float], checked: Sequence[bool], labels: int, seed: int
) -> Bools:
    """Of each row, whether it is none of the checked ones and a probe fitted without it is confident of another label.

    embeddings: (rows, width); truth: numbers of the labels, of which there are `labels`; weights: what each row counts
    """
    from trainer.tune.heads import probe

    right, counts = np.asarray(truth), np.asarray(weights)
    fold_of = np.random.default_rng(seed).permutation(len(right)) % FOLDS
    out = np.zeros(len(right), dtype=bool)
    for fold in range(FOLDS):
        inside, outside = fold_of != fold, fold_of == fold
        if not outside.any() or len(set(right[inside].tolist())) < 2:
            continue
        head = probe(embeddings[inside], right[inside].tolist(), labels, weights=counts[inside].tolist())
        says = np.exp(log_softmax(embeddings[outside] @ head.weight.T + head.bias))
        out[outside] = (says.argmax(axis=1) != right[outside]) & (says.max(axis=1) > CONFIDENT)
    return out & ~np.asarray(checked, dtype=bool)
