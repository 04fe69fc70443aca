"""The incumbent: a model that is really trained, in place of the case study's router of 70 billion parameters.

Its answers, right and wrong, are those of a classifier with thousands of rows: it errs where questions are hard. Its
size, its latency and its price are the large router's (studying/costs.py).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.routing import ours
from benchmarks.routing.rows import Rows
from benchmarks.shifting.questions import Ints
from benchmarks.studying.split import World

FOLDER = Path("var/case_study")
METHOD, ROWS, EPOCHS = "full", 2_000, 1
"""One pass over so many rows of its half. On all 7,500 it was right in 98.7 % of the traffic of seed 1, and in 98.4 %
elsewhere, too far above the case study's 96 %."""


@dataclass(frozen=True)
class Incumbent:
    """Its answer to each question of the world, as a number of a label; -1 for what it was not asked.

    seconds: of one core, training
    """

    said: Ints
    seconds: float

    def accuracy(self, world: World, places: Ints) -> float:
        """Share of these questions that it answers rightly."""
        return float((self.said[places] == world.truth[places]).mean())


def incumbent(world: World, seed: int, folder: Path = FOLDER) -> Incumbent:
    """Trained, or as it was kept in the folder."""
    file = folder / f"incumbent-{METHOD}-{ROWS}-{EPOCHS}-{seed}.npz"
    if file.exists():
        with np.load(file) as kept:
            return Incumbent(kept["said"], float(kept["seconds"]))
    texts, truth = world.at(world.incumbent[:ROWS])
    rows = Rows(
        labels=world.labels,
        texts=texts,
        truth=truth,
        weights=[1.0] * len(texts),
        raw=(texts, truth),
        validation=world.at(world.calibration),
        test=world.at(world.test),
        outside=[],
    )
    asked = np.concatenate([world.traffic, world.audits, world.test])
    said = np.full(len(world.texts), -1)
    with tempfile.TemporaryDirectory() as work:
        made, clock = ours.tuned(rows, seed, Path(work), METHOD, epochs=EPOCHS)
        for at in range(0, len(asked), 256):
            places = asked[at : at + 256]
            said[places] = made.score([world.texts[place] for place in places]).argmax(axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(file, said=said, seconds=clock.core_s)
    return Incumbent(said, clock.core_s)
