"""Embeddings of a window's questions as moments that add up: what window_embeddings holds.

A fixed random projection of 384 to 96 dimensions keeps distances within some tenth (Johnson and Lindenstrauss, 1984),
and moments hold nothing of any one question.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streams.embedder import DIMENSIONS

SEED = 1

Floats = npt.NDArray[np.float32]


def projected(vectors: Floats) -> Floats:
    """(n, 384) to (n, DIMENSIONS). The draws are numpy's frozen generator's: the same on every machine."""
    draws = np.random.RandomState(SEED).standard_normal((vectors.shape[1], DIMENSIONS)) / np.sqrt(DIMENSIONS)
    found: Floats = (vectors @ draws).astype(np.float32)
    return found


def moments(points: Floats) -> dict[str, Any]:
    """The columns questions, sums and products of n points, each a row."""
    points = points.reshape(-1, DIMENSIONS).astype(np.float64)
    products = (points.T @ points)[np.tril_indices(DIMENSIONS)]
    return {"questions": len(points), "sums": points.sum(axis=0).tolist(), "products": products.tolist()}
