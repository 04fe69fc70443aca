"""Whether the accuracy's intervals hold, and what thumbs are worth: `make bench-coverage`.

Simulated windows of answers, a twentieth of them labelled blind. People volunteer feedback as they like, which hangs on
whether the answer was right: as in the simulation (simulation/company.py), and in two worlds that are harsher.

company    a quarter reacts, right or wrong; the displeased more often, also with right answers
angry      who got a wrong answer mostly complains, and nearly nobody thanks: thumbs look far worse than the truth
resigned   who got a wrong answer says nothing and goes; the pleased thank: thumbs look nearly perfect

audit      the audit's labels alone, with Wilson's interval
corrected  the same labels, poststratified by what was volunteered and by the model's confidence (streams/estimation.py)
targeted   half of the labels from the audit, half drawn where they tell most (streams/sampling.py)

coverage   share of runs whose 95 % interval holds the accuracy of all answers of the window
bias       mean error of the estimate, points; thumbs_bias: of thumbs up among the thumbs, had they been taken for it
width      mean width of the interval as a share of the audit's
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import RESULTS, keep, machine, tell
from headrace.statistics.intervals import wilson
from simulation import company
from streams.estimation import Sample, Stratum, estimate
from streams.sampling import Layer, chances

RATE = 0.05
ACCURACIES = (0.7, 0.8, 0.9, 0.95, 0.98)
LABELS = (100, 200, 500, 1000, 2000)
Counts = NDArray[np.int64]
Interval = tuple[float, float, float]
# Shares of corrected, complained, silent and thanked, of right answers and of wrong ones.
_PUT_RIGHT = company.CORRECTS_IF_WRONG + company.REROUTES_IF_WRONG
_UNHAPPY = company.REACTS_IF_WRONG * (1 - company.HAPPY_IF_WRONG)
_COMPLAINS = company.DISPLEASED_IF_RIGHT * company.REACTS_IF_DISPLEASED
_THANKS = (1 - company.DISPLEASED_IF_RIGHT) * company.REACTS_IF_PLEASED
WORLDS: dict[str, tuple[Sequence[float], Sequence[float]]] = {
    "company": (
        (0, _COMPLAINS, 1 - _COMPLAINS - _THANKS, _THANKS),
        (_UNHAPPY * _PUT_RIGHT, _UNHAPPY * (1 - _PUT_RIGHT), 1 - company.REACTS_IF_WRONG,
         company.REACTS_IF_WRONG * company.HAPPY_IF_WRONG),
    ),
    "angry": ((0, 0.10, 0.89, 0.01), (0.05, 0.55, 0.40, 0)),
    "resigned": ((0, 0.02, 0.58, 0.40), (0, 0.01, 0.97, 0.02)),
}  # fmt: skip
# Shares of low, middle and high confidence, of right answers and of wrong ones.
CONFIDENT = ((0.05, 0.20, 0.75), (0.45, 0.35, 0.20))


def cells(world: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of right and of wrong answers by stratum: what was volunteered, and within it the confidence."""
    right, wrong = (np.outer(said, sure).ravel() for said, sure in zip(WORLDS[world], CONFIDENT, strict=True))
    return right, wrong


def windows(
    world: str, accuracy: float, answers: int, runs: int, rng: np.random.Generator
) -> Iterator[tuple[Counts, Counts]]:
    """Windows of answers: how many of each stratum are right, and how many wrong."""
    right, wrong = cells(world)
    for errors in rng.binomial(answers, 1 - accuracy, runs):
        yield rng.multinomial(answers - errors, right), rng.multinomial(errors, wrong)


def audit(right: Counts, wrong: Counts, rng: np.random.Generator) -> Interval:
    """The audit alone."""
    correct = int(rng.binomial(int(right.sum()), RATE))
    labelled = correct + int(rng.binomial(int(wrong.sum()), RATE))
    return (correct / labelled, *wilson(correct, labelled)) if labelled else (0.0, 0.0, 1.0)


def corrected(right: Counts, wrong: Counts, rng: np.random.Generator) -> Interval:
    """The same number of labels, poststratified."""
    correct, errors = rng.binomial(right, RATE), rng.binomial(wrong, RATE)
    return _estimate(right + wrong, [[(RATE, c + e, e)] for c, e in zip(correct, errors, strict=True)])


def targeted(right: Counts, wrong: Counts, rng: np.random.Generator) -> Interval:
    """The same number of labels, half of them drawn where the audit of a window before says that they tell most."""
    answers, half = right + wrong, RATE / 2
    past, past_errors = rng.binomial(right, half), rng.binomial(wrong, half)
    correct, errors = rng.binomial(right, half), rng.binomial(wrong, half)
    layers = [
        Layer(*map(int, row)) for row in zip(answers, correct + errors, past + past_errors, past_errors, strict=True)
    ]
    more = np.array(chances(layers, half * float(answers.sum())))
    correct = correct + rng.binomial(right - correct, more)
    errors = errors + rng.binomial(wrong - errors, more)
    return _estimate(
        answers,
        [[(1 - (1 - half) * (1 - m), c + e, e)] for m, c, e in zip(more, correct, errors, strict=True)],
    )


ESTIMATORS: dict[str, Callable[[Counts, Counts, np.random.Generator], Interval]] = {
    "audit": audit,
    "corrected": corrected,
    "targeted": targeted,
}


def _estimate(answers: Counts, drawn: Sequence[Sequence[tuple[float, int, int]]]) -> Interval:
    strata = [
        Stratum(int(n), tuple(Sample(float(chance), int(k), int(k), int(e)) for chance, k, e in samples if k))
        for n, samples in zip(answers, drawn, strict=True)
    ]
    found = estimate(strata)
    return found.value, found.low, found.high


def measure(world: str, labels: int, accuracy: float, runs: int, seed: int) -> dict[str, Any]:
    """One row: every estimator on the same windows."""
    rng = np.random.default_rng([seed, sorted(WORLDS).index(world), labels, round(accuracy * 1000)])
    answers = round(labels / RATE)
    drawn = list(windows(world, accuracy, answers, runs, rng))
    truth = np.array([right.sum() / answers for right, _ in drawn])
    # Complaints of any kind count as thumbs down: the kindest reading of them.
    up = np.array([right[9:].sum() + wrong[9:].sum() for right, wrong in drawn])
    down = np.array([right[:6].sum() + wrong[:6].sum() for right, wrong in drawn])
    row: dict[str, Any] = {"world": world, "labels": labels, "accuracy": accuracy, "runs": runs}
    row["thumbs_bias"] = _points(up / np.maximum(1, up + down) - truth)
    width = 0.0
    for name, estimator in ESTIMATORS.items():
        found = np.array([estimator(right, wrong, rng) for right, wrong in drawn])
        row[f"{name}_coverage"] = round(float(np.mean((found[:, 1] <= truth) & (truth <= found[:, 2]))), 4)
        row[f"{name}_bias"] = _points(found[:, 0] - truth)
        mean = float(np.mean(found[:, 2] - found[:, 1]))
        if name == "audit":
            row["audit_width_points"] = round(100 * mean, 2)
            width = mean
        else:
            row[f"{name}_width"] = round(mean / width, 3)
    return row


def _points(errors: NDArray[np.float64]) -> float:
    return round(100 * float(np.mean(errors)), 2)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="windows of each kind (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, default=RESULTS, help="where coverage.json goes (default %(default)s)")
    options = parser.parse_args(argv)
    began = time.monotonic()
    rows = [
        measure(world, labels, accuracy, options.runs, options.seed)
        for world in WORLDS
        for labels in LABELS
        for accuracy in ACCURACIES
    ]
    conditions = machine() | {"audit_rate": RATE, "seed": options.seed, "seconds": round(time.monotonic() - began)}
    tell("coverage", conditions, rows)
    print(keep("coverage", conditions, rows, options.home))
    for name in ESTIMATORS:
        covered = [row[f"{name}_coverage"] for row in rows]
        bias = max((abs(row[f"{name}_bias"]) for row in rows), default=0.0)
        print(f"{name}: coverage {min(covered):.3f} to {max(covered):.3f}, bias at most {bias:.2f} points")


if __name__ == "__main__":
    main()
