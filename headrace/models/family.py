"""What a family of models is: it loads a published bundle, and the model that comes of it answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from headrace.errors import ArtifactError
from headrace.models.bases import Base
from headrace.models.bundle import Manifest
from headrace.models.generation import Generation, Sampling
from headrace.models.tensors import Floats

Step = Callable[[int, int], None]
"""Told how many texts are done, of how many."""

PARITY_TOLERANCE = {"float32": 0.01, "bfloat16": 0.25, "float16": 0.05}
"""Greatest difference of log-probabilities between two machines that load the same bundle, by dtype; float32 noise is
1e-4."""


class Model(Protocol):
    """A published bundle, loaded: safe to call from several threads."""

    manifest: Manifest
    folder: Path
    writes_text: ClassVar[bool] = False
    """Whether it can generate and stream."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The order of the scores."""
        return self.manifest.labels

    def log_probabilities(self, texts: Sequence[str]) -> Floats:
        """Float32 (len(texts), len(labels)): of each label, natural logarithms; exp of a row adds up to 1."""
        ...

    def score(self, texts: Sequence[str]) -> Floats:
        """Probabilities, float32 (len(texts), len(labels)); each row adds up to 1."""
        probabilities: Floats = np.exp(self.log_probabilities(texts))
        return probabilities

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens the model reads of each."""
        ...

    def generate(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """A text for each, greedily, of at most so many tokens. Raises Unsupported where the family makes none."""
        ...

    def stream(self, messages: Sequence[tuple[str, str]], sampling: Sampling) -> Generation:
        """An answer to a conversation of (role, content), token by token. Raises Unsupported as `generate` does."""
        raise Unsupported(f"{self.manifest.version} scores labels and generates no text")

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """Unit vectors, float32 (len(texts), width)."""
        ...


class Unsupported(ArtifactError):
    """The family cannot do that."""


class Family(Protocol):
    """A file of headrace/models/families."""

    def load_base(self, base: Base, threads: int) -> Any:
        """What `open` takes as `base`: shared by bundles that leave its weights as they are. Raises ArtifactError."""
        ...

    def open(self, folder: Path, manifest: Manifest, threads: int, base: Any = None) -> Model:
        """Load a folder laid out as models/bundle.py says without checking its digests. Raises ArtifactError.

        base: as `load_base` gave it, taken where Manifest.keeps_base; None loads one for this bundle alone
        """
        ...


def parity(model: Model) -> float:
    """Greatest |difference| to the log-probabilities that evaluation recorded; over PARITY_TOLERANCE, do not serve.

    An adapter can load without an error and still leave the base model as it was: this is what notices.
    Raises ArtifactError where the bundle recorded none.
    """
    file = model.folder / "parity.json"
    try:
        recorded = json.loads(file.read_text("utf-8"))
        texts = [str(text) for text in recorded["texts"]]
        expected = np.asarray(recorded["log_probabilities"], dtype=np.float32)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{file} holds no texts with log_probabilities ({error}); publish it again") from None
    if expected.shape != (len(texts), len(model.labels)) or not texts:
        raise ArtifactError(f"{file} holds log-probabilities of shape {expected.shape}; publish it again")
    difference = float(np.abs(model.log_probabilities(texts) - expected).max())
    return difference if math.isfinite(difference) else math.inf
