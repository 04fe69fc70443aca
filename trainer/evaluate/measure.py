"""What a model says to rows, how right it is, and how long it takes, on the code that will serve it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headrace.models.families import Model
from headrace.models.tensors import Floats
from headrace.statistics.intervals import wilson
from trainer.curate.rows import Row

QUESTIONS = 60
WARM_UP = 5
CHUNK = 256


@dataclass(frozen=True, slots=True)
class Latency:
    """One question at a time, milliseconds; mean_s is the time that a request keeps the machine busy."""

    p50_ms: float
    p95_ms: float
    mean_s: float


Path = Literal["process", "gateway"]
"""Where an answer was timed: one question at a time in this process, or in production, with network and queues."""


@dataclass(frozen=True, slots=True)
class Price:
    """What serving costs: US dollars for a thousand requests at the task's traffic, and milliseconds; 0: not known."""

    cost_per_1k: float
    p95_ms: float
    path: Path = "process"


@dataclass(frozen=True, slots=True)
class Figures:
    """Accuracy on rows, with its 95 % Wilson interval."""

    n: int
    correct: int
    accuracy: float
    low: float
    high: float


def figures(truth: Sequence[str], said: Sequence[str]) -> Figures:
    """Count one model's answers."""
    correct = sum(mine == right for mine, right in zip(said, truth, strict=True))
    low, high = wilson(correct, len(truth))
    return Figures(len(truth), correct, correct / len(truth) if truth else 0.0, low, high)


def predict(
    scorer: Model, rows: Sequence[Row], step: Callable[[int, int], None] | None = None
) -> tuple[list[str], list[float]]:
    """The model's label of each row, and its probability of it. step: told (rows done, rows in all)."""
    scores = probabilities(scorer, [row.text for row in rows], step)
    said = [scorer.labels[column] for column in scores.argmax(axis=1)]
    return said, scores.max(axis=1).astype(float).tolist()


def probabilities(scorer: Model, texts: Sequence[str], step: Callable[[int, int], None] | None = None) -> Floats:
    """Of each label for each text: float32 (len(texts), len(labels)). step: told (texts done, texts in all)."""
    found = np.empty((len(texts), len(scorer.labels)), dtype=np.float32)
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        found[start : start + len(chunk)] = scorer.score(chunk)
        if step is not None:
            step(start + len(chunk), len(texts))
    return found


def live_answers(rows: Sequence[Row], version: str, scorer: Model | None) -> list[str]:
    """What the live version says: as recorded where it answered the row itself, else asked now.

    scorer: the live version, loaded; None where it cannot be, and then it answered every row itself (curation)
    """
    return recorded_or_asked(rows, version, lambda asked: predict(scorer, asked)[0] if scorer is not None else [])


def recorded_or_asked(rows: Sequence[Row], version: str, ask: Callable[[Sequence[Row]], Sequence[str]]) -> list[str]:
    """A version's answers: as recorded where it answered the row itself; of the others as `ask` gives them."""
    said = iter(ask([row for row in rows if row.version != version]))
    return [row.answered if row.version == version else next(said) for row in rows]


def latencies(scorers: Mapping[str, Model], texts: Sequence[str], questions: int = QUESTIONS) -> dict[str, Latency]:
    """Measured in turn, question by question, so that whatever else the machine does hits all models alike.

    texts: at least one; repeated where there are fewer than `questions`
    """
    taken: dict[str, list[float]] = {name: [] for name in scorers}
    for number in range(questions + WARM_UP):
        text = texts[number % len(texts)]
        for name, scorer in scorers.items():
            started = time.perf_counter()
            scorer.score([text])
            taken[name].append(time.perf_counter() - started)
    out: dict[str, Latency] = {}
    for name, seconds in taken.items():
        kept = np.asarray(seconds[WARM_UP:])
        p50, p95 = np.percentile(kept, [50, 95]) * 1000
        out[name] = Latency(float(p50), float(p95), float(kept.mean()))
    return out
