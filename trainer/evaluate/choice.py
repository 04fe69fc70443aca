"""Which candidate goes to the test rows: compared on the validation split, by accuracy, latency and cost. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from headrace.statistics.paired import pairs

NOISE = 0.2
"""Latencies and costs within this share of each other are the same: the machine was busy with something else."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One candidate on the validation rows.

    correct: right or wrong, in the same order of rows for all
    p50_ms: one question at a time; cost_per_1k: US dollars for a thousand
    """

    name: str
    correct: tuple[bool, ...]
    p50_ms: float
    cost_per_1k: float

    @property
    def accuracy(self) -> float:
        """Share of the validation rows that it has right."""
        return sum(self.correct) / len(self.correct)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen one, the Pareto front it was chosen from, and one sentence why."""

    name: str
    front: tuple[str, ...]
    reason: str


def choose(contenders: Sequence[Contender]) -> Choice:
    """The most accurate one, or the cheapest of those that are clearly cheaper and within one standard error of it.

    contenders: at least one, in the order in which they were tried; the earlier one wins a tie.
    """
    front = [one for one in contenders if not any(_dominates(other, one) for other in contenders)]
    best = max(front, key=lambda one: one.accuracy)
    tied = [one for one in front if best.accuracy - one.accuracy <= _standard_error(best, one) and _cheaper(one, best)]
    names = tuple(one.name for one in front)
    score = f"{best.accuracy:.3f} on {len(best.correct)} validation rows"
    if not tied:
        return Choice(best.name, names, f"{best.name} is the most accurate: {score}")
    chosen = min(tied, key=lambda one: (one.cost_per_1k, one.p50_ms))
    reason = (
        f"{chosen.name} ({chosen.accuracy:.3f}) is within one standard error of {best.name} ({score}) "
        f"and cheaper: {chosen.p50_ms:.1f} ms against {best.p50_ms:.1f} ms"
    )
    return Choice(chosen.name, names, reason)


def _cheaper(one: Contender, other: Contender) -> bool:
    """Clearly cheaper or faster, and clearly worse in neither."""
    costs = ((one.cost_per_1k, other.cost_per_1k), (one.p50_ms, other.p50_ms))
    return any(mine < theirs * (1 - NOISE) for mine, theirs in costs) and all(
        mine <= theirs * (1 + NOISE) for mine, theirs in costs
    )


def _dominates(one: Contender, other: Contender) -> bool:
    """Better in accuracy and not clearly worse otherwise, or as accurate and clearly cheaper."""
    if one.accuracy == other.accuracy:
        return _cheaper(one, other)
    return (
        one.accuracy > other.accuracy
        and one.cost_per_1k <= other.cost_per_1k * (1 + NOISE)
        and one.p50_ms <= other.p50_ms * (1 + NOISE)
    )


def _standard_error(one: Contender, other: Contender) -> float:
    """Of the difference of two accuracies on the same rows."""
    found = pairs(one.correct, other.correct)
    return sqrt(max(0.0, found.gained + found.lost - found.n * found.difference**2)) / found.n
