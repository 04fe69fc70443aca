"""How a bundle's raw scores become calibrated probabilities, and how unlike everything known a text is.

Both are fitted on validation rows when a candidate is evaluated, and kept in its folder as scoring.json:

    temperature  log-probabilities are divided by it (Guo et al., ICML 2017)
    share        of the neighbours in the probabilities, where the bundle has neighbours (neighbours.py)
    neighbours   whether it has them
    nearness     quantiles of how near validation rows are to what the model knows, in ascending order
    energy       what the logits' energy counts in that beside the nearness of the neighbours
    usual        the mean of that energy

A bundle without the file answers as it did, and so does one whose file is of before `energy`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import ArtifactError
from headrace.models.tensors import Floats, log_softmax

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SCORING = "scoring.json"
HALF = 0.5
QUANTILES = 41
STEP = 1e-6
"""Quantiles are kept to so much, and machines agree on a vector to less."""
FEWEST_ROWS = 20
"""With fewer validation rows, quantiles of their nearness say nothing."""
ENERGY = 0.5
"""Of energy beside the neighbours' nearness, each in standard deviations of the validation rows (docs/log.md)."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """See above; the defaults are those of a bundle that was not calibrated."""

    temperature: float = 1.0
    share: float = HALF
    neighbours: bool = False
    nearness: tuple[float, ...] = ()
    energy: float = 0.0
    usual: float = 0.0

    def near(self, neighbours: Floats | None, energies: Floats) -> Floats:
        """How near texts are to what the model knows, float32 (rows,).

        neighbours: Neighbours.nearness; None where there are none: then the energy alone says it
        """
        if neighbours is None:
            return energies
        found: Floats = neighbours + self.energy * (energies - self.usual)
        return found

    def knowing(self, neighbours: Floats | None, energies: Floats) -> Scoring:
        """The same, fitted on how near validation rows are."""
        import numpy as np

        found = self
        if neighbours is not None and len(neighbours) >= FEWEST_ROWS and (spread := float(np.std(energies))) > 0:
            energy = ENERGY * float(np.std(neighbours)) / spread
            found = replace(self, energy=round(energy, 9), usual=round(float(np.mean(energies)), 6))
        return replace(found, nearness=quantiles(found.near(neighbours, energies)))

    def calibrated(self, log_probabilities: Floats) -> Floats:
        """Log-probabilities (rows, labels) at the temperature; each row's probabilities add up to 1 again."""
        return log_probabilities if self.temperature == 1 else log_softmax(log_probabilities / self.temperature)

    def novelty(self, nearness: Floats) -> Floats | None:
        """Of each text, float32 (rows,) in [0, 1]: the share of validation rows that were nearer to what is known.

        At .95 one question in twenty of those that the model was made for is as far away. None where no validation rows
        were seen. Beyond the farthest of them it grows on towards 1, so that far texts are still told apart.
        """
        import numpy as np

        if not self.nearness:
            return None
        known = np.asarray(self.nearness, dtype=np.float64)
        steps = np.arange(len(known))
        # Equal quantiles make a step, as repeated questions do. A text at it stands in its middle, whichever side the
        # last bits of its vector put it on.
        sides = [np.interp(nearness + aside, known + 1e-9 * steps, steps / (len(known) + 1)) for aside in (-STEP, STEP)]
        inside = (sides[0] + sides[1]) / 2
        below = np.maximum(0, known[0] - nearness)
        spread = max(known[-1] - known[0], 1e-3)
        nearest = 1 / (len(known) + 1)
        found = 1 - nearest - inside
        found += nearest * below / (below + spread)
        out: Floats = found.astype(np.float32)
        return out

    def write(self, folder: Path) -> None:
        """Into a candidate's folder."""
        (folder / SCORING).write_text(json.dumps(asdict(self), indent=1, sort_keys=True), "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Scoring:
        """Of a bundle's folder; the defaults where it has no such file. Raises ArtifactError."""
        file = folder / SCORING
        if not file.exists():
            return cls()
        try:
            said = json.loads(file.read_text("utf-8"))
            found = cls(
                float(said["temperature"]),
                float(said["share"]),
                bool(said["neighbours"]),
                tuple(float(value) for value in said["nearness"]),
                float(said.get("energy", 0.0)),
                float(said.get("usual", 0.0)),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{file} holds no scoring ({error!r}); publish the artifact again") from None
        whole = sum(found.nearness, found.temperature + found.energy + found.usual)
        ascends = list(found.nearness) == sorted(found.nearness)
        if not (found.temperature > 0 and 0 <= found.share < 1 and isfinite(whole) and ascends):
            raise ArtifactError(f"{file} holds figures that cannot be; publish the artifact again")
        return found


def quantiles(nearness: npt.NDArray[np.floating]) -> tuple[float, ...]:
    """What Scoring keeps of the nearness of validation rows; nothing of too few rows."""
    import numpy as np

    if len(nearness) < FEWEST_ROWS:
        return ()
    places = np.linspace(0, 1, min(QUANTILES, len(nearness)))
    return tuple(float(value) for value in np.quantile(np.asarray(nearness, dtype=np.float64), places).round(6))
