"""What models that write show on rows whose right answers are texts: how well they foresee them, and what a judge says.

Rows of one cluster are one unit: their mean. Nothing here reads a text but the models and the judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from headrace.models.families import Model
from headrace.plan import Judge
from headrace.plan.writing import Writing
from headrace.statistics.intervals import quantile
from trainer.curate.rows import Row
from trainer.evaluate.text_judge import Answered, Compared, compare, grade

Z = quantile(0.975)
WRITTEN = 8
"""Texts that are written at once."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """How improbable right answers are to a model.

    of_row: natural logarithms, mean over a row's tokens, float64 (rows,); n: rows; tokens: of all answers
    loss: mean over all tokens
    """

    of_row: NDArray[np.float64]
    n: int
    tokens: int
    loss: float

    @property
    def perplexity(self) -> float:
        """Among how many equally probable tokens the model might as well choose."""
        return exp(min(self.loss, 700.0))

    @property
    def figures(self) -> dict[str, float]:
        """For people and for a manifest."""
        return {"n": self.n, "tokens": self.tokens, "loss": round(self.loss, 6), "perplexity": self.perplexity}


def foreseen(model: Model, rows: Sequence[Row]) -> Foreseen:
    """Ask a model for the probabilities of the rows' answers."""
    totals, tokens = model.answer_losses([row.text for row in rows], [row.label for row in rows])
    totals, tokens = totals.astype(np.float64), tokens.astype(np.float64)
    whole = float(tokens.sum())
    return Foreseen(totals / np.maximum(tokens, 1), len(rows), int(whole), float(totals.sum()) / max(1.0, whole))


def less_loss(rows: Sequence[Row], candidate: Foreseen, live: Foreseen) -> dict[str, float | None]:
    """By how much the candidate's loss of a row is less than the other's, with its 95 % interval over clusters.

    low, high: None where all rows are of one cluster
    """
    names = {name: place for place, name in enumerate(dict.fromkeys(row.cluster for row in rows))}
    place = np.array([names[row.cluster] for row in rows], dtype=np.intp)
    found = np.bincount(place, live.of_row - candidate.of_row) / np.bincount(place)
    mean = float(found.mean())
    if len(found) < 2:
        return {"n": len(found), "difference": mean, "low": None, "high": None}
    half = Z * float(found.std(ddof=1)) / sqrt(len(found))
    return {"n": len(found), "difference": mean, "low": mean - half, "high": mean + half}


def judged(
    judge: Judge, writing: Writing, rows: Sequence[Row], candidate: Model, live: Model, within_s: float
) -> tuple[Compared, list[float | None]]:
    """The judge's comparison of two models' texts, and its grades of the candidate's, one a row."""
    texts = [row.text for row in rows]
    mine, theirs = (_written(model, texts, writing.max_tokens) for model in (candidate, live))
    asked = [Answered(row.text, own, other, row.label) for row, own, other in zip(rows, mine, theirs, strict=True)]
    compared = compare(judge, asked, writing.criteria, within_s / 2)
    return compared, grade(judge, asked, writing.criteria, within_s / 2)


def _written(model: Model, texts: Sequence[str], max_tokens: int) -> list[str]:
    out: list[str] = []
    for start in range(0, len(texts), WRITTEN):
        out += model.generate(texts[start : start + WRITTEN], max_tokens)
    return out
