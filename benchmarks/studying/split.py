"""The questions of the case study: who trains on which, and which of them are asked.

CLINC150's ten domains. Of the training split one half trains the incumbent; the other half is the traffic that it
answers. The test split is what nobody trains on and nobody gives feedback to: some of it are blind audits, the rest is
the truth that all verdicts are compared with. Validation rows calibrate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.routing.rows import Split
from benchmarks.shifting.questions import Ints, asked
from headrace.plan import Gate

TRAIN, VALIDATION = 15_000, 3_000
CALIBRATION = 274
"""Validation rows that every model is calibrated on, as in `make bench-router`."""
AUDITS = Gate().planned_rows
"""Blind audits, drawn uniformly, with which the gate is asked once more."""


@dataclass(frozen=True)
class World:
    """All questions with the number of their domain, and the places of each group; none is in two groups."""

    labels: tuple[str, ...]
    texts: list[str]
    truth: Ints
    incumbent: Ints
    traffic: Ints
    calibration: Ints
    audits: Ints
    test: Ints

    def at(self, places: Ints, said: Ints | None = None) -> Split:
        """Texts of these places with the truth, or with what was said instead."""
        return [self.texts[place] for place in places], (self.truth[places] if said is None else said).tolist()


def world(data: Path, seed: int) -> World:
    """The questions in an order of the seed's own. Traffic repeats no question."""
    labels, inside, _ = asked(data)
    return divided(labels, inside, seed, TRAIN, VALIDATION, AUDITS)


def divided(
    labels: tuple[str, ...], inside: list[tuple[str, int]], seed: int, train: int, validation: int, audits: int
) -> World:
    """inside: questions in the order train, validation, test, of which the first two have so many."""
    draw = np.random.default_rng([seed, 15])
    order = draw.permutation(train)
    rest = train + validation + draw.permutation(len(inside) - train - validation)
    known = {inside[place][0] for place in order[: train // 2]}
    traffic = []
    for place in order[train // 2 :]:
        if inside[place][0] not in known:
            known.add(inside[place][0])
            traffic.append(place)
    return World(
        labels=labels,
        texts=[text for text, _ in inside],
        truth=np.array([label for _, label in inside]),
        incumbent=order[: train // 2],
        traffic=np.array(traffic),
        calibration=train + draw.permutation(validation)[:CALIBRATION],
        audits=rest[:audits],
        test=rest[audits:],
    )
