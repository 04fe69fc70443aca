"""What an evaluator is, and what it is given: a model on the rows of a split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headrace import kinds
from headrace.contract.findings import Figure, Finding
from headrace.models.family import Model
from headrace.models.tensors import Floats
from headrace.plan.suites import BenchmarkSpec
from headrace.statistics.intervals import wilson
from trainer.curate.rows import Row

Ask = Callable[[Sequence[str]], Floats]
"""The model's probabilities for texts: float32 (len(texts), labels)."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """Test rows of earlier models: what is right, and what the candidate and the live version say."""

    rows: Sequence[Row]
    said: Sequence[str]
    live: Sequence[str]


@dataclass(frozen=True)
class Subject:
    """A model on the rows of a split.

    labels: ids in the order of the scores; names: their texts by their ids
    out_of_scope: the id of the label that means that no expert is meant; empty where the task has none
    probabilities: of the rows, float32 (len(rows), len(labels))
    novelty: how unlike what the model knows each row is, in [0, 1]; None where it has no such distance, or nobody asks
    ask: asks the model about other texts; None where it may not be asked more, as on the test rows
    model: itself, for evaluators that ask more of it than labels; benchmarks: of the plan, by its names
    older: None where the model has not met older rows
    """

    labels: Sequence[str]
    names: Mapping[str, str]
    out_of_scope: str
    rows: Sequence[Row]
    probabilities: Floats
    novelty: Floats | None = None
    ask: Ask | None = None
    older: Remembered | None = None
    seed: int = 0
    model: Model | None = None
    benchmarks: Mapping[str, BenchmarkSpec] = field(default_factory=dict)

    @property
    def said(self) -> list[str]:
        """The model's label of each row."""
        return [self.labels[place] for place in self.probabilities.argmax(axis=1)]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Its probability of that label."""
        return np.asarray(self.probabilities.max(axis=1), dtype=np.float64)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether that label is right."""
        return np.array([said == row.label for said, row in zip(self.said, self.rows, strict=True)], dtype=bool)


class Evaluator(Protocol):
    """A file of evaluators/, or of a folder that another package names (headrace/kinds.py)."""

    def evaluate(self, subject: Subject) -> Finding | None:
        """None where the rows tell nothing of that kind. The same subject gives the same finding."""
        ...


def findings(subject: Subject) -> dict[str, Finding]:
    """What each evaluator found, by its name. One that fails says so in its finding and costs nobody else's."""
    found: dict[str, Finding] = {}
    for name in kinds.names("evaluators") if subject.rows else ():
        try:
            one = kinds.load("evaluators", name).evaluate(subject)
        except Exception as error:  # of whatever package; its message may quote a question
            one = Finding(method=f"not measured: the evaluator failed with {type(error).__name__}")
        if one is not None:
            found[name] = one
    return found


def share(right: float, n: int) -> Figure:
    """A share of rows with its Wilson interval."""
    low, high = wilson(right, n)
    return Figure(value=right / n if n else 0.0, low=low, high=high, n=n)
