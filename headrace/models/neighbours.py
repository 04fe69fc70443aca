"""The nearest training rows of a text, as a second opinion beside a linear head (Khandelwal et al., ICLR 2020, kNN-LM).

neighbours.safetensors holds no text, but what the tuned encoder makes of each training row:

    vectors  (rows, width) float32, unit length
    labels   (rows,) int64, numbers of the labels
    weights  (rows,) float32, how much each row counts
    density  (rows,) float32, the mean cosine of its own k nearest others; not in what was written before it was kept

An embedding tells something of its text: the file is as private as the rows, and an erasure marks the version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
NEAREST, OF_DENSITY = 4, 0.5
"""Of the rows that say how near a text is, and of their density that counts against it (docs/log.md)."""
AT_ONCE = 256
"""Texts that are compared at once: with 20,000 rows 20 MB."""


@dataclass(frozen=True)
class Neighbours:
    """The rows that a model remembers.

    k: how many of the nearest have a say; 10 by default
    """

    vectors: Floats
    labels: npt.NDArray[np.int64]
    weights: Floats
    k: int = 10
    density: Floats | None = None

    @classmethod
    def of(cls, vectors: Floats, labels: Sequence[int], weights: Sequence[float], k: int) -> Neighbours:
        """At most MAX_ROWS of the rows, the heaviest first and else a sample, which is the same each time."""
        import numpy as np

        numbers, counts = np.asarray(labels, dtype=np.int64), np.asarray(weights, dtype=np.float32)
        kept = np.arange(len(numbers))
        if len(kept) > MAX_ROWS:
            drawn = np.random.default_rng(0).permutation(len(numbers))
            kept = np.sort(drawn[np.argsort(-counts[drawn], kind="stable")][:MAX_ROWS])
        return cls(vectors[kept], numbers[kept], counts[kept], k, _density(vectors[kept], k))

    def nearness(self, vectors: Floats) -> Floats:
        """How near unit vectors (rows, width) are to what is remembered, (rows,).

        A row counts by its cosine less half of its density, as the local outlier factor does (Breunig et al., SIGMOD
        2000): far from rows that lie close together is farther than as far from rows that lie apart. Without densities
        it is the cosine of the nearest.
        """
        import numpy as np

        if self.density is None:
            return self._compared(vectors, lambda cosines: cosines.max(axis=1, initial=-1))
        apart, most = OF_DENSITY * self.density, min(NEAREST, len(self.labels))
        return self._compared(vectors, lambda cosines: np.partition(cosines - apart, -most)[:, -most:].mean(axis=1))

    def vote(self, vectors: Floats, labels: int) -> Floats:
        """Probabilities (rows, labels) of unit vectors (rows, width).

        A neighbour's vote is how much nearer it is than the first that has none, so that a vote fades out before it is
        lost: two machines that differ in the last bit give the same probabilities.
        """
        return self._compared(vectors, lambda cosines: self._votes(cosines, labels))

    def _compared(self, vectors: Floats, read: Callable[[Floats], Floats]) -> Floats:
        """What is read from the cosines (texts, rows) of each few texts, float32."""
        import numpy as np

        starts = range(0, max(1, len(vectors)), AT_ONCE)
        found = [read(vectors[start : start + AT_ONCE] @ self.vectors.T) for start in starts]
        return np.concatenate(found).astype(np.float32)

    def _votes(self, cosines: Floats, labels: int) -> Floats:
        import numpy as np

        k = min(self.k, len(self.labels) - 1)
        if k < 1:
            return np.full((len(cosines), labels), 1 / labels, dtype=np.float32)
        places = np.argpartition(-cosines, k, axis=1)[:, : k + 1]
        near = np.take_along_axis(cosines, places, axis=1).astype(np.float64)
        last, first = near.min(axis=1, keepdims=True), near.max(axis=1, keepdims=True)
        # The small rest decides where all of them are equally near.
        votes = np.exp((near - first) / TEMPERATURE) - (1 - 1e-3) * np.exp((last - first) / TEMPERATURE)
        votes *= self.weights[places]
        share = np.zeros((len(cosines), labels))
        np.add.at(share, (np.arange(len(cosines))[:, None], self.labels[places]), votes)
        found: Floats = share / share.sum(axis=1, keepdims=True)
        return found

    def write(self, folder: Path) -> None:
        """Into a candidate's folder."""
        import numpy as np
        from safetensors.numpy import save_file

        tensors = {"vectors": self.vectors, "labels": self.labels, "weights": self.weights}
        if self.density is not None:
            tensors["density"] = self.density
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
                density = opened.get_tensor("density") if "density" in set(opened.keys()) else None
                k = int((opened.metadata() or {})["k"])
            # numpy knows no bfloat16, which is a TypeError, but where onnx has made it known to this process.
            if odd := [one.dtype for one in (vectors, weights, density) if one is not None and one.dtype.kind != "f"]:
                raise TypeError(f"numbers of the type {odd[0]}")
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{file} holds no neighbours ({error}); publish the artifact again") from None
        rows = numbers.size
        shapes = (vectors.shape, numbers.shape, weights.shape, *([] if density is None else [density.shape]))
        if shapes[0] != (rows, width) or {*shapes[1:]} != {(rows,)} or not rows or k < 1:
            raise ArtifactError(
                f"{file} holds arrays of {shapes} and k {k}, which is not {width} numbers a row; refused"
            )
        fits = numbers.dtype.kind == "i" and numbers.min() >= 0 and numbers.max() < labels
        finite = all(np.isfinite(array).all() for array in (vectors, weights, density) if array is not None)
        if not fits or not finite or not (weights > 0).all():
            raise ArtifactError(
                f"{file} holds labels, weights, densities or vectors that cannot be; publish the artifact again"
            )
        numbers, dense = numbers.astype(np.int64), None if density is None else density.astype(np.float32)
        return cls(vectors.astype(np.float32), numbers, weights.astype(np.float32), k, dense)


def _density(vectors: Floats, k: int) -> Floats:
    """The mean cosine of each row's k nearest others, (rows,); 0 where there is no other."""
    import numpy as np

    near = min(k, len(vectors) - 1)
    if near < 1:
        return np.zeros(len(vectors), dtype=np.float32)
    found = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), AT_ONCE):
        cosines = vectors[start : start + AT_ONCE] @ vectors.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        found[start : start + AT_ONCE] = np.partition(cosines, -near)[:, -near:].mean(axis=1)
    return found
