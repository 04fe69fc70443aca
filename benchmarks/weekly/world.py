"""Labels after a change as they arrive, what can be learned from them, and how right a candidate is. All simulated.

The live version is right in BEFORE of the answers. At day 0 a share of the questions begins to mean something else, so
that it is wrong in each of them. Base-audit labels come as a Poisson process. Users correct CORRECTED of the wrong
answers (simulation/company.py: of those who get a wrong answer .245 react, and .20 of these name the right expert).

A candidate is as good as the live version on the other questions, though they disagree on DISCORDANT of them in being
right. Of the changed ones it is right in a share that follows the rows of the change that it learned from: what a
frozen probe reaches on CLINC's ten domains by rows a domain (a tuned encoder reaches more).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.gate.outcomes import Floats, Outcomes

BEFORE = 0.96
DISCORDANT = 0.07
AUDIT_RATE = 0.05
CORRECTED = 0.245 * 0.20
LEARNED = (0.0, 10.0, 41.0, 100.0, 200.0, 1500.0)
RIGHT = (0.0, 0.717, 0.864, 0.908, 0.932, 0.959)
"""Rows of the change, and the share of the changed questions that a candidate is then right in."""
LABELS = ("hr", "it", "finance", "product", "out_of_scope")
SHARES = (0.25, 0.3, 0.2, 0.15, 0.1)
RUN_IN_DAYS = 30


@dataclass(frozen=True, slots=True)
class World:
    """after: accuracy of the live version from day 0 on; per_day: base-audit labels

    corrections: whether users' corrections train too; equal: no candidate is better than the live version
    """

    after: float = 0.80
    per_day: float = 50.0
    corrections: bool = True
    equal: bool = False

    @property
    def changed(self) -> float:
        """Share of the questions that the live version is wrong in since day 0."""
        return 1 - self.after / BEFORE


@dataclass(frozen=True, slots=True)
class History:
    """Labels in order of time, one element each, from RUN_IN_DAYS before the change to the horizon.

    at: days since the change; changed: of a question that means something else now; wrong: the live version
    split, pool: uniform draws that divide them; learned_at: days of the corrections that train
    """

    at: Floats
    changed: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    split: Floats
    pool: Floats
    label: NDArray[np.intp]
    learned_at: Floats


def history(world: World, days: float, validation_share: float, random: np.random.Generator) -> History:
    """One history."""
    n = random.poisson(world.per_day * (RUN_IN_DAYS + days))
    at = np.sort(random.uniform(-RUN_IN_DAYS, days, n))
    changed = (at >= 0) & (random.random(n) < world.changed)
    corrected = 0.0
    if world.corrections:
        corrected = world.per_day / AUDIT_RATE * world.changed * CORRECTED * (1 - validation_share)
    return History(
        at=at,
        changed=changed,
        wrong=changed | (random.random(n) >= BEFORE),
        split=random.random(n),
        pool=random.random(n),
        label=random.choice(len(LABELS), size=n, p=np.asarray(SHARES)),
        learned_at=np.sort(random.uniform(0, days, random.poisson(corrected * days))),
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tuned candidate's draw for each label of a history; the same at each look.

    number: of those that met test rows; learned: rows since the change that it learned from
    """

    number: int
    learned: int
    draw: Floats
    right_if_changed: float

    def scores(self, world: World, found: History) -> Floats:
        """1 where it is right, of every label."""
        right = ~found.wrong
        if world.equal:
            # As often right where the live version is wrong as wrong where it is right, of all rows.
            swapped = DISCORDANT / 2 / np.where(right, world.after, 1 - world.after)
            return np.where(self.draw < swapped, ~right, right).astype(np.float64)
        swapped = DISCORDANT / 2 / np.where(right, BEFORE, 1 - BEFORE)
        unchanged = np.where(self.draw < swapped, ~right, right)
        return np.where(found.changed, self.draw < self.right_if_changed, unchanged).astype(np.float64)


def tuned(number: int, rows: int, changed_rows: int, found: History, random: np.random.Generator) -> Candidate:
    """A candidate that learned from so many rows since the change, so many of them of the changed questions."""
    return Candidate(number, rows, random.random(len(found.at)), float(np.interp(changed_rows, LEARNED, RIGHT)))


def test_outcomes(world: World, found: History, candidate: Candidate, rows: NDArray[np.intp]) -> Outcomes:
    """What the gate sees of these labels: independent rows, in order of time."""
    return Outcomes(
        labels=LABELS,
        label=found.label[rows],
        candidate=candidate.scores(world, found)[rows],
        live=(~found.wrong[rows]).astype(np.float64),
        reference=None,
        weight=np.ones(len(rows)),
        cluster=np.arange(len(rows)),
    )
