"""The nearest training rows of a text, as a second opinion beside a linear head (Khandelwal et al., ICLR 2020, kNN-LM).

neighbours.safetensors holds no text, but what the tuned encoder makes of each training row:

    vectors  (rows, width) float32, unit length
    labels   (rows,) int64, numbers of the labels
    weights  (rows,) float32, how much each row counts

An embedding tells something of its text: the file is as private as the rows, and an erasure marks the version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import ArtifactError
from headrace.models.tensors import Floats

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NEIGHBOURS = "neighbours.safetensors"
TEMPERATURE = 0.05
"""By which cosines are divided: a neighbour that is .05 nearer counts e times as much."""
MAX_ROWS = 20_000
"""More are sampled: with them one question would take longer to compare than to embed."""


@dataclass(frozen=True)
class Neighbours:
    """The rows that a model remembers.

    k: how many of the nearest have a say; 10 by default
    """

    vectors: Floats
    labels: npt.NDArray[np.int64]
    weights: Floats
    k: int = 10

    @classmethod
    def of(cls, vectors: Floats, labels: Sequence[int], weights: Sequence[float], k: int) -> Neighbours:
        """At most MAX_ROWS of the rows, the heaviest first and else a sample, which is the same each time."""
        import numpy as np

        numbers, counts = np.asarray(labels, dtype=np.int64), np.asarray(weights, dtype=np.float32)
        kept = np.arange(len(numbers))
        if len(kept) > MAX_ROWS:
            drawn = np.random.default_rng(0).permutation(len(numbers))
            kept = np.sort(drawn[np.argsort(-counts[drawn], kind="stable")][:MAX_ROWS])
        return cls(vectors[kept], numbers[kept], counts[kept], k)

    def vote(self, vectors: Floats, labels: int) -> tuple[Floats, Floats]:
        """Of unit vectors (rows, width): probabilities (rows, labels), and the cosine of the nearest (rows,).

        A neighbour's vote is how much nearer it is than the first that has none, so that a vote fades out before it is
        lost: two machines that differ in the last bit give the same probabilities.
        """
        import numpy as np

        cosines = vectors @ self.vectors.T
        k = min(self.k, len(self.labels) - 1)
        if not len(vectors) or k < 1:
            nearest = cosines.max(axis=1, initial=-1)
            return np.full((len(vectors), labels), 1 / labels, dtype=np.float32), nearest
        places = np.argpartition(-cosines, k, axis=1)[:, : k + 1]
        near = np.take_along_axis(cosines, places, axis=1).astype(np.float64)
        last, first = near.min(axis=1, keepdims=True), near.max(axis=1, keepdims=True)
        # The small rest decides where all of them are equally near.
        votes = np.exp((near - first) / TEMPERATURE) - (1 - 1e-3) * np.exp((last - first) / TEMPERATURE)
        votes *= self.weights[places]
        share = np.zeros((len(vectors), labels))
        np.add.at(share, (np.arange(len(vectors))[:, None], self.labels[places]), votes)
        return (share / share.sum(axis=1, keepdims=True)).astype(np.float32), first[:, 0].astype(np.float32)

    def write(self, folder: Path) -> None:
        """Into a candidate's folder."""
        import numpy as np
        from safetensors.numpy import save_file

        tensors = {"vectors": self.vectors, "labels": self.labels, "weights": self.weights}
        save_file(
            {name: np.ascontiguousarray(one) for name, one in tensors.items()}, folder / NEIGHBOURS, {"k": str(self.k)}
        )

    @classmethod
    def read(cls, folder: Path, labels: int, width: int) -> Neighbours | None:
        """Of a bundle with so many labels, None where it has none. Raises ArtifactError in one sentence."""
        import numpy as np
        from safetensors import SafetensorError, safe_open

        file = folder / NEIGHBOURS
        if not file.exists():
            return None
        try:
            with safe_open(str(file), "np") as opened:
                vectors, numbers, weights = (opened.get_tensor(name) for name in ("vectors", "labels", "weights"))
                k = int((opened.metadata() or {})["k"])
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise ArtifactError(f"{file} holds no neighbours ({error}); publish the artifact again") from None
        rows = len(numbers)
        shapes = (vectors.shape, numbers.shape, weights.shape)
        if shapes != ((rows, width), (rows,), (rows,)) or not rows or k < 1:
            raise ArtifactError(
                f"{file} holds arrays of {shapes} and k {k}, which is not {width} numbers a row; refused"
            )
        fits = numbers.dtype.kind == "i" and numbers.min() >= 0 and numbers.max() < labels
        if not fits or not np.isfinite(vectors).all() or not (weights > 0).all():
            raise ArtifactError(f"{file} holds labels, weights or vectors that cannot be; publish the artifact again")
        return cls(vectors.astype(np.float32), numbers.astype(np.int64), weights.astype(np.float32), k)
