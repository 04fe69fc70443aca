"""The published criterion and the gate's verdict on the same rows, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from benchmarks.shifting.questions import Ints
from benchmarks.studying import costs
from headrace.costs import Serving
from headrace.models.tensors import Floats
from headrace.plan import Gate
from headrace.statistics.intervals import wilson
from trainer.curate.rows import Row
from trainer.curate.text import digest, normal
from trainer.evaluate.measure import Price
from trainer.gate.decision import decide
from trainer.gate.evidence import Evidence
from trainer.gate.outcomes import mean_of, one_a_text, outcomes

SLACK = 0.02
"""The published criterion: at most so far below the incumbent on the test rows. Of the case study's models the least
accurate one, 94 % beside 96 %, was that far."""
GATE = Gate()
TRAFFIC = 100_000
"""Requests a day, at which the gate is told what both cost."""
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Asked:
    """Rows that a candidate and the incumbent answered.

    truth: numbers of the labels that the rows have; scores: the candidate's probabilities (rows, labels)
    incumbent: numbers of the labels that the incumbent gave
    """

    texts: Sequence[str]
    truth: Ints
    scores: Floats
    incumbent: Ints

    @property
    def right(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether the candidate is, row by row."""
        found: np.ndarray[tuple[int], np.dtype[np.bool_]] = self.scores.argmax(axis=1) == self.truth
        return found

    def figures(self, name: str) -> dict[str, Any]:
        """Accuracy with its 95 % Wilson interval, and the incumbent's; name: what the keys begin with."""
        correct, n = int(self.right.sum()), len(self.truth)
        low, high = wilson(correct, n)
        return {
            f"{name}_n": n,
            f"{name}_accuracy": correct / n,
            f"{name}_low": low,
            f"{name}_high": high,
            f"{name}_incumbent": float((self.incumbent == self.truth).mean()),
        }


@dataclass(frozen=True)
class Known:
    """What the gate looks at beside the rows.

    trained: rows of each label that the candidate was trained on; shown: validation rows of each, and how many right
    busy_s, p95_ms: of one request
    """

    trained: Counter[str]
    shown: dict[str, tuple[int, float]]
    busy_s: float
    p95_ms: float


def published(test: Asked) -> bool:
    """Accurate enough by the published criterion."""
    gap = float(test.right.mean()) - float((test.incumbent == test.truth).mean())
    return gap >= -SLACK - 1e-9


def gated(asked: Asked, labels: tuple[str, ...], known: Known) -> dict[str, Any]:
    """The gate's verdict if this candidate is the one that an attempt sends to these rows, with the plan's defaults."""
    rows = [
        _row(place, text, labels[number])
        for place, (text, number) in enumerate(zip(asked.texts, asked.truth, strict=True))
    ]
    empty = outcomes([], labels, [], [])
    found = decide(
        Evidence(
            test=outcomes(
                rows,
                labels,
                asked.right.astype(float).tolist(),
                (asked.incumbent == asked.truth).astype(float).tolist(),
            ),
            forget=empty,
            confidence=mean_of(one_a_text(rows)[1], asked.scores.max(axis=1).astype(float).tolist()),
            candidate=Price(Serving(costs.CORE_USD_PER_HOUR, known.busy_s).per_1k(TRAFFIC), known.p95_ms),
            live=Price(costs.INCUMBENT_PER_1K, costs.INCUMBENT_P50_MS, "gateway"),
            names={label: label for label in labels},
            out_of_scope="",
            trained=known.trained,
            shown=known.shown,
        ),
        GATE,
    )
    figures = found.figures
    return {
        "verdict": found.gate,
        "reason": found.reason,
        **{name: figures[name] for name in ("n", "gained", "lost", "difference", "rows_to_decide")},
    }


def shown(truth: Sequence[int], scores: Floats, labels: tuple[str, ...]) -> dict[str, tuple[int, float]]:
    """Of each label, validation rows, and how many of them are answered rightly."""
    numbers = np.array(truth)
    right = scores.argmax(axis=1) == numbers
    return {
        label: (int((numbers == place).sum()), float(right[numbers == place].sum()))
        for place, label in enumerate(labels)
        if (numbers == place).any()
    }


def _row(place: int, text: str, label: str) -> Row:
    said, named = UUID(int=place), digest(normal(text))
    return Row(
        split="test",
        tenant="default",
        inference_id=said,
        feedback_id=said,
        occurred_at=BEGAN + timedelta(seconds=place),
        text=text,
        text_digest=named,
        label=label,
        source="audit",
        rank=4,
        answered="",
        version="",
        weight=1.0,
        cluster=named,
    )
