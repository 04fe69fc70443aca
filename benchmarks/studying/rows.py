"""The rows that a candidate is given: from the incumbent's answers and the feedback on them to 411 that train."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.routing.rows import Rows, Split
from benchmarks.shifting.questions import Ints, embedded
from benchmarks.studying.incumbent import Incumbent
from benchmarks.studying.split import World
from simulation.complaints import Funnel, funnel
from trainer.curate.cleaning import contradicted
from trainer.curate.teacher import WEIGHT

TRAIN_SHARE = 0.6
TAUGHT = 5_000
"""Teacher rows at most, as `make bench-teacher` has."""


@dataclass(frozen=True)
class Study:
    """One seed's world, its incumbent, and what the feedback on its answers gave.

    train, test: places of the ground truth's rows in the world, with the labels that it gives them
    """

    world: World
    incumbent: Incumbent
    funnel: Funnel
    train: tuple[Ints, Ints]
    test: tuple[Ints, Ints]
    seed: int

    @property
    def counts(self) -> dict[str, int]:
        """The funnel, as the case study told its own, and how many labels of the ground truth are wrong."""
        found = self.funnel
        return {
            "answers": found.given,
            "feedback": len(found.satisfied) + len(found.displeased),
            "satisfied": len(found.satisfied),
            "not": len(found.displeased),
            "flagged": len(found.flagged),
            "confirmed": len(found.confirmed),
            "rows": len(found.truth),
            "train": len(self.train[0]),
            "test": len(self.test[0]),
            "wrong": sum(int((self.world.truth[places] != said).sum()) for places, said in (self.train, self.test)),
        }

    def rows(self, taught: bool) -> Rows:
        """411 rows that train; taught: and the incumbent's answers that nobody said anything about, cleaned."""
        places, said = self.train
        weights = np.ones(len(places))
        if taught:
            places, said, weights = self.with_teacher
        texts, truth = self.world.at(places, said)
        return Rows(
            labels=self.world.labels,
            texts=texts,
            truth=truth,
            weights=weights.tolist(),
            raw=(texts, truth),
            validation=self.validation,
            test=self.world.at(self.world.test),
            outside=[],
        )

    @property
    def validation(self) -> Split:
        """Rows that calibrate."""
        return self.world.at(self.world.calibration)

    @cached_property
    def with_teacher(self) -> tuple[Ints, Ints, np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """Places, labels and weights. No blind audit of the funnel says which labels the teacher has wrong, so that a
        teacher row is left out only where a probe contradicts it.
        """
        silent = self.world.traffic[list(self.funnel.silent)]
        later = self.world.traffic[self.funnel.given :]
        taught = np.concatenate([silent, later])[:TAUGHT]
        places = np.concatenate([self.train[0], taught])
        said = np.concatenate([self.train[1], self.incumbent.said[taught]])
        checked = np.arange(len(places)) < len(self.train[0])
        weights = np.where(checked, 1.0, WEIGHT)
        vectors = embedded([self.world.texts[place] for place in places])
        out = contradicted(
            vectors, said.tolist(), weights.tolist(), checked.tolist(), len(self.world.labels), self.seed
        )
        return places[~out], said[~out], weights[~out]


def study(world: World, incumbent: Incumbent, seed: int) -> Study:
    """Ask, hear, judge, confirm, and split what is known 60 to 40."""
    asked, labels = world.traffic, world.labels
    found = funnel(
        [world.texts[place] for place in asked],
        [labels[number] for number in world.truth[asked]],
        [labels[number] for number in incumbent.said[asked]],
        labels,
        seed,
    )
    places = asked[[place for place, _ in found.truth]]
    said = np.array([labels.index(label) for _, label in found.truth])
    train = round(TRAIN_SHARE * len(places))
    return Study(world, incumbent, found, (places[:train], said[:train]), (places[train:], said[train:]), seed)
