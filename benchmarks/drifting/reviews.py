"""A world that stays as it is while experts review twice as many of the answers that users were unhappy with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.drifting.worlds import REFERENCE, RUN_IN, Labels, World

QUIET = 10_000
# How often a user who got a wrong answer, or a right one, says that it was bad.
UNHAPPY_WRONG, UNHAPPY_RIGHT = 0.35, 0.02
# Targeted reviews for one label of the base audit, before and after.
USUAL, TWICE = 0.5, 1.0


def worlds(base: float, reviews: float, runs: int, seed: int) -> tuple[World, World]:
    """The labels of the base audit alone, and the same with `reviews` targeted ones for each among them.

    The rate of errors is `base` for ever. Reference and run-in have the usual number of reviews.
    """
    draw = np.random.default_rng([seed, round(base * 1000), round(reviews * 10)])
    unhappy = base * UNHAPPY_WRONG + (1 - base) * UNHAPPY_RIGHT

    def labels(n: int, targeted: float) -> tuple[Labels, NDArray[np.bool_]]:
        reviewed = draw.random((runs, n)) < targeted / (1 + targeted)
        return draw.random((runs, n)) < np.where(reviewed, base * UNHAPPY_WRONG / unhappy, base), reviewed

    known, _ = labels(REFERENCE, USUAL)
    before, before_reviewed = labels(round(RUN_IN * (1 + USUAL)), USUAL)
    after, after_reviewed = labels(round(QUIET * (1 + reviews)), reviews)
    # A little fewer than there are on average, so that each run has as many.
    audited = [
        _audits(before, before_reviewed, round(RUN_IN * 0.9)),
        _audits(after, after_reviewed, round(QUIET * 0.9)),
    ]
    audits = World(draw.random((runs, REFERENCE)) < base, np.concatenate(audited, axis=1), audited[0].shape[1])
    return audits, World(known, np.concatenate([before, after], axis=1), before.shape[1])


def _audits(labels: Labels, reviewed: NDArray[np.bool_], n: int) -> Labels:
    """The first n of each run that no targeted review gave."""
    return np.stack([run[~targeted][:n] for run, targeted in zip(labels, reviewed, strict=True)])
