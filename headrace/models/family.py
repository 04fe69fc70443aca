"""What a family of models is: it loads a published bundle, and the model that comes of it answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from headrace.errors import ArtifactError
from headrace.models.bases import Base
from headrace.models.bundle import Kind, Manifest
from headrace.models.generation import Generation, Sampling, never
from headrace.models.scoring import Scoring
from headrace.models.tensors import Floats
from headrace.statistics.calibration import fit_temperature

Step = Callable[[int, int], None]
"""Told how many texts are done, of how many."""

PARITY_TOLERANCE = {"float32": 0.01, "bfloat16": 0.25, "float16": 0.05, "int8": 0.1}
"""Greatest difference of log-probabilities between two machines that load the same bundle, by dtype; float32 noise is
1e-4, and in int8 it can round a number to its neighbour."""


class Model(Protocol):
    """A published bundle, loaded: safe to call from several threads."""

    manifest: Manifest
    folder: Path
    scoring: Scoring
    writes_text: ClassVar[bool] = False
    """Whether it can generate and stream."""
    usd_per_1k: float | None = None
    """US dollars for a thousand requests, of a model that asks others and knows; None: its seconds have the price."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The order of the scores."""
        return self.manifest.labels

    def log_probabilities(self, texts: Sequence[str]) -> Floats:
        """Float32 (len(texts), len(labels)): of each label, natural logarithms; exp of a row adds up to 1."""
        ...

    def score(self, texts: Sequence[str]) -> Floats:
        """Probabilities, float32 (len(texts), len(labels)); each row adds up to 1."""
        import numpy as np

        probabilities: Floats = np.exp(self.log_probabilities(texts))
        return probabilities

    def calibrate(self, texts: Sequence[str], truth: Sequence[int]) -> None:
        """Fit what turns raw scores into probabilities on rows that trained nothing, and write it into the folder.

        truth: numbers of the labels. A family that has more to choose than the temperature does it here.
        """
        self.scoring = Scoring()
        self.scoring = Scoring(fit_temperature(self.log_probabilities(texts), truth))
        self.scoring.write(self.folder)

    def remembering(self) -> AbstractContextManager[None]:
        """Within it a text asked before costs nothing, where the family can (Recall); nothing is timed there."""
        return nullcontext()

    def novelty(self, texts: Sequence[str]) -> Floats | None:
        """How unlike what the model knows each text is, float32 (len(texts),) in [0, 1] (Scoring.novelty).

        None where the family has no such distance, or the bundle was not calibrated.
        """
        return None

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens the model reads of each."""
        ...

    def answer_losses(self, texts: Sequence[str], answers: Sequence[str]) -> tuple[Floats, Floats]:
        """Of an answer to each text: -log probability, summed over its tokens and the end of its turn; how many these
        are. Float32 (len(texts),) both. Raises Unsupported where the family writes none.
        """
        raise Unsupported(f"{self.manifest.version} scores labels and generates no text")

    def generate(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """A text for each, greedily, of at most so many tokens. Raises Unsupported where the family makes none."""
        ...

    def stream(
        self, messages: Sequence[tuple[str, str]], sampling: Sampling, stopped: Callable[[], bool] = never
    ) -> Generation:
        """An answer to a conversation of (role, content), token by token. Raises Unsupported as `generate` does.

        stopped: see Generation
        """
        raise Unsupported(f"{self.manifest.version} scores labels and generates no text")

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """Unit vectors, float32 (len(texts), width)."""
        ...


class Unsupported(ArtifactError):
    """The family cannot do that."""


class Family(Protocol):
    """A file of headrace/models/families.

    CAN: what its tunables can do beside their own start: `head`, take a linear head on their embeddings; `gradient`, be
        trained; `prompt`, be told and shown (Prompted); `text`, learn to write (Writes);
        `int8`, be saved as a bundle of that kind. A method says what it NEEDS of
        them, so that a plan is refused and not a job
    DTYPES: as which it loads a base
    """

    CAN: frozenset[str]
    DTYPES: tuple[str, ...]

    def load_base(self, base: Base, threads: int) -> Any:
        """What `open` takes as `base`: shared by bundles that leave its weights as they are. Raises ArtifactError."""
        ...

    def open(self, folder: Path, manifest: Manifest, threads: int, base: Any = None) -> Model:
        """Load a folder laid out as models/bundle.py says without checking its digests. Raises ArtifactError.

        base: as `load_base` gave it, taken where Manifest.keeps_base; None loads one for this bundle alone
        """
        ...

    def tunable(self, base: Base, labels: LabelSet, threads: int) -> Tunable:
        """Load a base to be tuned; 0 threads leaves torch's choice. Raises ArtifactError."""
        ...

    def embedded(self, base: Base, texts: Sequence[str], threads: int, step: Step | None = None) -> Floats:
        """Unit vectors of the base as it is, float32 (len(texts), width). Raises ArtifactError."""
        ...


def compared_by(model: Model, texts: Sequence[str]) -> Floats:
    """By what two machines that load the same bundle are compared: log-probabilities, float32 (len(texts), n).

    Of the labels; of a version without any, of each text as its own answer, the mean over its tokens.
    """
    if model.labels:
        return model.log_probabilities(texts)
    totals, tokens = model.answer_losses(texts, texts)
    found: Floats = -(totals / tokens)[:, None]
    return found


def recorded(folder: Path, columns: int) -> tuple[list[str], Floats]:
    """What evaluation recorded in a bundle: texts, and float32 (len(texts), columns) log-probabilities.

    Raises ArtifactError where the bundle recorded none of that shape.
    """
    import numpy as np

    file = folder / "parity.json"
    try:
        content = json.loads(file.read_text("utf-8"))
        texts = [str(text) for text in content["texts"]]
        expected = np.asarray(content["log_probabilities"], dtype=np.float32)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{file} holds no texts with log_probabilities ({error}); publish it again") from None
    if expected.shape != (len(texts), columns) or not texts:
        raise ArtifactError(f"{file} holds log-probabilities of shape {expected.shape}; publish it again")
    return texts, expected


def tolerance(manifest: Manifest) -> float:
    """See PARITY_TOLERANCE; of a bundle."""
    return PARITY_TOLERANCE["int8" if manifest.of_kind == "int8" else manifest.of_base.dtype]


def parity(model: Model) -> float:
    """Greatest |difference| to the log-probabilities that evaluation recorded; over `tolerance`, do not serve.

    An adapter can load without an error and still leave the base model as it was: this is what notices.
    Raises ArtifactError where the bundle recorded none.
    """
    import numpy as np

    texts, expected = recorded(model.folder, len(model.labels) or 1)
    difference = float(np.abs(compared_by(model, texts) - expected).max())
    return difference if math.isfinite(difference) else math.inf


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of a task, as a model is told of them.

    ids: the order of the scores; texts: what people call a label; describe: what it stands for, where it is said
    """

    ids: tuple[str, ...]
    texts: Mapping[str, str]
    describe: Mapping[str, str]

    def lines(self) -> list[str]:
        """Each label as `text: what it stands for`."""
        return [f"{self.texts[label]}: {self.describe.get(label, '')}".rstrip(": ") for label in self.ids]


class Tunable(Protocol):
    """A base that is about to answer a task's labels: loaded once for one candidate, and tuned in place.

    module: the transformers model, which a method may wrap and train
    kind: of the bundle that it makes before anything is trained
    """

    module: Any
    kind: Kind

    @property
    def parameters(self) -> int:
        """Of the whole model, what it needs for the labels included."""
        ...

    def trainable(self) -> dict[str, Any]:
        """The tensors that a gradient may change, by name."""
        ...

    def prepare(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        """What the model reads of each text, as token ids."""
        ...

    def losses(self, rows: Sequence[Sequence[int]], truth: Sequence[int]) -> Any:
        """A torch tensor (len(rows),): how improbable the true label of each prepared row is; truth: label numbers."""
        ...

    def consistent_losses(self, rows: Sequence[Sequence[int]], truth: Sequence[int]) -> Any:
        """Like `losses`, and how much two readings under dropout differ (R-Drop). Only of one that CAN do `head`."""
        ...

    def set_head(self, weight: Floats, bias: Floats) -> None:
        """Start from a linear head, float32 (labels, width) and (labels,). Only of a family that CAN do `head`."""
        ...

    def remember(
        self,
        texts: Sequence[str],
        truth: Sequence[int],
        weights: Sequence[float],
        k: int,
        vectors: Floats | None = None,
    ) -> None:
        """Keep embeddings of training rows, k of which have a say in each answer. Only of one that CAN do `head`.

        vectors: of the texts by the base, where nothing but the head was tuned
        """
        ...

    def save(self, folder: Path, kind: Kind) -> None:
        """Write what a bundle of that kind holds, but its manifest and parity.json."""
        ...


class Prompted(Tunable, Protocol):
    """A tunable of a family that CAN do `prompt`."""

    def set_examples(self, texts: Sequence[str], truth: Sequence[int], shown: int) -> None:
        """Show those of these rows that are nearest to a question, at most so many; truth: label numbers."""
        ...

    def set_virtual_tokens(self, count: int) -> int:
        """Train so many virtual tokens before each prompt, and nothing else; the number of trained parameters."""
        ...


class Headed(Tunable, Protocol):
    """A tunable of a family that CAN do `head`."""

    def logits(self, rows: Sequence[Sequence[int]]) -> Any:
        """A torch tensor (len(rows), labels), of prepared rows."""
        ...

    def embed(self, texts: Sequence[str]) -> Floats:
        """What the head reads of texts, as the module is now: float32 (len(texts), width)."""
        ...

    def keep_layers(self, layers: int) -> None:
        """Leave so many of the module's layers, spread evenly; of as many or more than it has, all.

        Raises Unsupported where its layers cannot be left out.
        """
        ...


class Writes(Family, Protocol):
    """A family that CAN do `text`."""

    def writer(self, base: Base, instructions: str, answers: Sequence[str], threads: int) -> Tunable:
        """Load a base that is to learn these answers; the truth of a row is the number of its answer.

        instructions: what it is told before each question. Raises ArtifactError.
        """
        ...
