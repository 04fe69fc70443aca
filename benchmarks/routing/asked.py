"""What a way to make a classifier gives back, and its figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.routing.rows import Rows
from headrace.models.tensors import Floats
from headrace.statistics.calibration import auroc, ece
from headrace.statistics.intervals import wilson

QUESTIONS, WARM_UP = 60, 5


@dataclass(frozen=True)
class Made:
    """A classifier.

    score: probabilities (texts, labels) of texts; novelty: higher, the less a text is like what it knows
    rows_per_s: training rows a second of one core, each counted as often as it was shown; 0: not by gradient descent
    """

    score: Callable[[Sequence[str]], Floats]
    novelty: Callable[[Sequence[str]], Floats | None]
    parameters: int
    rows_per_s: float = 0.0


class Clock:
    """Seconds of one core, and by the wall's clock, since it was made, or until it was stopped."""

    def __init__(self) -> None:
        self._core, self._wall = time.process_time(), time.monotonic()
        self._stopped: tuple[float, float] | None = None

    def stop(self) -> None:
        """Training is done."""
        self._stopped = time.process_time(), time.monotonic()

    @property
    def core_s(self) -> float:
        return (self._stopped[0] if self._stopped else time.process_time()) - self._core

    @property
    def wall_s(self) -> float:
        return (self._stopped[1] if self._stopped else time.monotonic()) - self._wall


def figures(made: Made, rows: Rows, trained: Clock) -> dict[str, Any]:
    """What the classifier shows on the test rows. trained: stopped when training was done"""
    texts, truth = rows.test
    scores = np.concatenate([made.score(texts[at : at + 256]) for at in range(0, len(texts), 256)])
    right = scores.argmax(axis=1) == np.array(truth)
    low, high = wilson(int(right.sum()), len(right))
    inside = outside = None
    if rows.outside:
        inside, outside = made.novelty(texts), made.novelty(rows.outside)
    p50, p95 = _latency(made, texts)
    return {
        "accuracy": float(right.mean()),
        "low": low,
        "high": high,
        "seconds": trained.core_s,
        "wall_s": trained.wall_s,
        "p50_ms": p50,
        "p95_ms": p95,
        "parameters": made.parameters,
        "rows_per_s": made.rows_per_s,
        "auroc": auroc(inside, outside) if inside is not None and outside is not None else None,
        "ece": ece(scores.max(axis=1), right),
    }


def _latency(made: Made, texts: Sequence[str]) -> tuple[float, float]:
    """One question at a time, milliseconds: median and 95th percentile."""
    taken = []
    for number in range(QUESTIONS + WARM_UP):
        began = time.perf_counter()
        made.score([texts[number % len(texts)]])
        taken.append((time.perf_counter() - began) * 1000)
    p50, p95 = np.percentile(taken[WARM_UP:], [50, 95])
    return float(p50), float(p95)


def doubt(score: Callable[[Sequence[str]], Floats]) -> Callable[[Sequence[str]], Floats]:
    """How far the greatest probability is from 1: the novelty of a classifier that has no other."""

    def found(texts: Sequence[str]) -> Floats:
        out: Floats = 1 - np.concatenate([score(texts[at : at + 256]) for at in range(0, len(texts), 256)]).max(axis=1)
        return out

    return found
