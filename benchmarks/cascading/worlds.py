"""Tiers whose answers are drawn, so that the accuracy of any thresholds is known.

abrupt   the first tier is as sure of its wrong answers as of its right ones, and where it is sure the chain loses the
         margin and EXCESS: every configuration that uses it breaks the promise, and the test is all that prevents it
gradual  tiers of growing skill on questions of different difficulty, too sure of themselves; their temperature is
         fitted on the rows that the thresholds are fitted on, as an evaluation does
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headrace.statistics.calibration import fit_temperature
from trainer.tune.method import Unproven
from trainer.tune.thresholds import Asked, Bar, Bools, Floats, fit

EXCESS = 1e-6
LABELS = 5
POPULATION = 100_000
Random = np.random.Generator
Trial = Callable[[Random, int, Bar], float | None]
"""By how much the accuracy of fitted thresholds is above the bar, in truth; None where none are proven."""


@dataclass(frozen=True)
class Abrupt:
    """sure, gained: shares of the rows of which the first tier is sure, and in which it alone is right; last: the last
    tier's accuracy
    """

    sure: float = 0.5
    gained: float = 0.01
    last: float = 0.95

    def __call__(self, random: Random, rows: int, bar: Bar) -> float | None:
        lost = self.gained + bar.margin + EXCESS
        drawn = random.random(rows)
        by_last = drawn >= 1 - self.last
        # Of the rows that the last tier has wrong the first ones are gained; of those that it has right, the last lost.
        first = np.where(by_last, drawn < 1 - lost, drawn < self.gained)
        sure = (drawn < self.gained) | (drawn >= 1 - lost)
        others = random.random(rows) < (self.sure - self.gained - lost) / (1 - self.gained - lost)
        confidence = np.where(sure | others, 0.999, 0.2)[None, :]
        first = np.where(sure | ~others, first, by_last)
        try:
            fit(Asked(confidence, np.stack([first, by_last]), (1.0, 100.0)), bar)
        except Unproven:
            return None
        return self.gained - lost + bar.margin


@dataclass(frozen=True)
class Gradual:
    """skills: of the tiers, in logits of the right label; prices: US dollars for a thousand requests"""

    skills: tuple[float, ...]
    prices: tuple[float, ...]
    too_sure: float = 2.5

    def __call__(self, random: Random, rows: int, bar: Bar) -> float | None:
        logits, truth = self._drawn(random, rows)
        temperatures = [fit_temperature(tier, truth) for tier in logits[:-1]]
        asked = _asked(logits, truth, temperatures, self.prices)
        try:
            found = fit(asked, bar)
        except Unproven:
            return None
        everyone = _asked(*self._population, temperatures, self.prices)
        by = everyone.answered_by(found.chosen.thresholds)
        right = everyone.right[by, np.arange(everyone.rows)].mean()
        return float(right - everyone.right[-1].mean() + bar.margin)

    @cached_property
    def _population(self) -> tuple[Floats, Bools]:
        return self._drawn(np.random.default_rng(0), POPULATION)

    def _drawn(self, random: Random, rows: int) -> tuple[Floats, Bools]:
        """Logits (tiers, rows, labels), and the right labels; tiers fail on the same questions, partly."""
        truth = random.integers(LABELS, size=rows)
        shared = random.normal(size=(rows, LABELS))
        own = random.normal(size=(len(self.skills), rows, LABELS))
        logits = 0.8 * shared[None] + 0.6 * own
        hard = random.exponential(1.0, size=rows)
        for tier, skill in enumerate(self.skills):
            logits[tier, np.arange(rows), truth] += skill - hard
        return self.too_sure * logits, truth


def _asked(logits: Floats, truth: Bools, temperatures: Sequence[float], prices: Sequence[float]) -> Asked:
    scaled = logits[:-1] / np.array(temperatures)[:, None, None]
    scaled = np.exp(scaled - scaled.max(axis=2, keepdims=True))
    return Asked(1 / scaled.sum(axis=2), logits.argmax(axis=2) == truth, prices)


WORLDS: dict[str, tuple[Trial, int]] = {
    "abrupt, 300 rows": (Abrupt(), 300),
    "abrupt, 2,000 rows": (Abrupt(), 2000),
    "gradual, two tiers, 300 rows": (Gradual((3.5, 5.0), (0.01, 1.0)), 300),
    "gradual, two tiers, 2,000 rows": (Gradual((3.5, 5.0), (0.01, 1.0)), 2000),
    "gradual, three tiers, 2,000 rows": (Gradual((3.0, 4.0, 5.0), (0.01, 0.1, 1.0)), 2000),
}
"""By name, with how many validation rows a draw has."""
