"""Encoders: any BERT- or ModernBERT-like one, with a linear head that scores labels.

    text → tokens → encoder → mean over tokens → unit length → linear head → softmax over labels ┐
                                                             → nearest training rows' labels     ┴→ mean → temperature

The default base is sentence-transformers/all-MiniLM-L6-v2 (Reimers & Gurevych, EMNLP 2019; Wang et al., NeurIPS 2020),
22.7 million parameters. torch and transformers are imported when the first model is loaded, so that importing this
module stays cheap.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, Self

from headrace.errors import ArtifactError
from headrace.models.bases import Base, device
from headrace.models.bundle import Kind, Manifest
from headrace.models.encoder_base import CONFIG, Encoder, load_state, of_config, shallower, write_config
from headrace.models.family import LabelSet, Model, Step, Unsupported
from headrace.models.neighbours import NEIGHBOURS, Neighbours
from headrace.models.onnx_encoder import Graph, OnnxEncoder
from headrace.models.recall import Recall
from headrace.models.scoring import HALF, SCORING, Scoring
from headrace.models.tensors import (
    Floats,
    log_softmax,
    merged,
    read_arrays,
    read_tensors,
    write_adapter,
    write_tensors,
)
from headrace.statistics.calibration import fit_temperature

CAN = frozenset({"head", "gradient", "int8"})
DTYPES = ("float32",)
SCALE = 20.0
"""Inverse temperature of cosine similarities: sentence encoders are commonly trained with this one."""
log = logging.getLogger(__name__)
TINY = 1e-12  # No label is less probable where neighbours have a say.


class Embeds(Protocol):
    """What a scorer needs of an encoder: torch's (encoder_base.py) or ONNX Runtime's (onnx_encoder.py)."""

    recall: Recall

    @property
    def width(self) -> int: ...

    def tokens(self, texts: Sequence[str]) -> list[list[int]]: ...

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats: ...


class Scorer(Model):
    """A published bundle of this family, loaded. See models/family.py, Model."""

    def __init__(
        self,
        encoder: Embeds,
        weight: Floats,
        bias: Floats,
        manifest: Manifest,
        folder: Path,
        neighbours: Neighbours | None = None,
        scoring: Scoring | None = None,
    ) -> None:
        self.encoder = encoder
        self.weight = weight
        self.bias = bias
        self.manifest = manifest
        self.folder = folder
        self.neighbours = neighbours
        self.scoring = scoring or Scoring()

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, threads: int = 0, base: Encoder | None = None) -> Self:
        """See family.Family.open."""
        if manifest.of_kind == "int8":
            raise ArtifactError(f"{manifest.version} is quantised; answer it on an engine of kind onnx")
        # An adapter is merged into the module, and a tuned encoder's weights replace it: neither may touch others'.
        encoder = Encoder(manifest.of_base, manifest.max_length, threads, base if manifest.keeps_base else None)
        if manifest.of_kind == "full" and (folder / CONFIG).exists():
            encoder.module = of_config(folder, encoder.module)
        if (folder / "adapter_model.safetensors").exists():
            encoder.module = merged(encoder.module, folder)
        elif (folder / "encoder.safetensors").exists():
            load_state(encoder.module, read_tensors(folder / "encoder.safetensors"), folder / "encoder.safetensors")
        encoder.module.eval()
        return cls.on(encoder, folder, manifest)

    @classmethod
    def on(cls, encoder: Embeds, folder: Path, manifest: Manifest) -> Self:
        """A bundle's head, neighbours and scoring on its encoder. Raises ArtifactError."""
        head = read_arrays(folder / "head.safetensors")
        shapes = {name: tuple(array.shape) for name, array in head.items()}
        expected = {"weight": (len(manifest.labels), encoder.width), "bias": (len(manifest.labels),)}
        if shapes != expected:
            raise ArtifactError(f"{folder / 'head.safetensors'} holds {shapes}; its manifest's labels need {expected}")
        neighbours = Neighbours.read(folder, len(manifest.labels), encoder.width)
        scoring = Scoring.read(folder)
        if scoring.neighbours and neighbours is None:
            raise ArtifactError(f"{folder / SCORING} counts on {NEIGHBOURS}, which is not there; publish it again")
        return cls(encoder, head["weight"], head["bias"], manifest, folder, neighbours, scoring)

    def log_probabilities(self, texts: Sequence[str]) -> Floats:
        """See Model."""
        return self.scoring.calibrated(self._said(self.encoder.embed(texts), self.scoring.share))

    def novelty(self, texts: Sequence[str]) -> Floats | None:
        """See Model. By the nearest training rows and the logits' energy; by that alone where no row is remembered."""
        if not self.scoring.nearness:
            return None
        return self.scoring.novelty(self.scoring.near(*self._nearness(self.encoder.embed(texts))))

    def calibrate(self, texts: Sequence[str], truth: Sequence[int]) -> None:
        """See Model. Neighbours have a share of one half, or none where the rows are likelier without them."""
        import numpy as np

        vectors, rows, right = self.encoder.embed(texts), np.arange(len(texts)), np.asarray(truth, dtype=np.intp)
        nearness = self._nearness(vectors)
        fitted: list[tuple[float, Scoring]] = []
        for share in (HALF, 0.0) if self.neighbours is not None else (HALF,):
            said = self._said(vectors, share)
            scoring = Scoring(fit_temperature(said, truth), share, self.neighbours is not None).knowing(*nearness)
            fitted.append((float(scoring.calibrated(said)[rows, right].sum()), scoring))
        self.scoring = max(fitted, key=lambda one: one[0])[1]
        self.scoring.write(self.folder)

    def remembering(self) -> AbstractContextManager[None]:
        """See Model."""
        return self.encoder.recall.on()

    def _logits(self, vectors: Floats) -> Floats:
        found: Floats = vectors @ self.weight.T + self.bias
        return found

    def _said(self, vectors: Floats, share: float) -> Floats:
        """Log-probabilities (rows, labels), not calibrated, of which neighbours have a share."""
        import numpy as np

        said = log_softmax(self._logits(vectors))
        if self.neighbours is None or not share:
            return said
        vote = self.neighbours.vote(vectors, len(self.labels))
        mixed: Floats = np.log(np.maximum((1 - share) * np.exp(said) + share * vote, TINY))
        return mixed

    def _nearness(self, vectors: Floats) -> tuple[Floats | None, Floats]:
        """To the rows that are remembered, None where none is; the logits' energy (Liu et al., NeurIPS 2020)."""
        import numpy as np

        energies: Floats = np.logaddexp.reduce(self._logits(vectors), axis=1)
        return None if self.neighbours is None else self.neighbours.nearness(vectors), energies

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """See Model."""
        return [len(ids) for ids in self.encoder.tokens(texts)]

    def generate(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """An encoder generates nothing. Raises Unsupported."""
        raise Unsupported(f"{self.manifest.version} is an encoder, which scores labels and generates no text")

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """See Model."""
        return self.encoder.embed(texts, step)


class TunableEncoder:
    """An encoder with a linear head. See models/family.py, Tunable.

    It begins as the nearest label by cosine between the question and the label's name and description.

    neighbours: the training rows that the bundle will remember
    """

    kind: Kind = "head"
    neighbours: Neighbours | None = None
    _fewer_layers = False

    def __init__(self, base: Base, labels: LabelSet, threads: int = 0) -> None:
        import numpy as np
        import torch

        self.encoder = Encoder(base, threads=threads)
        self.encoder.module.to(device())
        self.head = torch.nn.Linear(self.encoder.width, len(labels.ids)).to(device())
        self.set_head(SCALE * self.encoder.embed(labels.lines()), np.zeros(len(labels.ids), dtype=np.float32))

    @property
    def module(self) -> Any:
        return self.encoder.module

    @module.setter
    def module(self, module: Any) -> None:
        self.encoder.module = module

    @property
    def parameters(self) -> int:
        return self.encoder.parameters + sum(int(tensor.numel()) for tensor in self.head.parameters())

    def trainable(self) -> dict[str, Any]:
        named = {f"encoder.{name}": tensor for name, tensor in self.module.named_parameters() if tensor.requires_grad}
        return named | {f"head.{name}": tensor for name, tensor in self.head.named_parameters()}

    def prepare(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        return self.encoder.tokens(texts)

    def logits(self, rows: Sequence[Sequence[int]]) -> Any:
        return self.head(self.encoder.pooled(rows))

    def losses(self, rows: Sequence[Sequence[int]], truth: Sequence[int]) -> Any:
        import torch

        logits = self.logits(rows)
        return torch.nn.functional.cross_entropy(logits, torch.tensor(truth, device=logits.device), reduction="none")

    def consistent_losses(self, rows: Sequence[Sequence[int]], truth: Sequence[int]) -> Any:
        import torch

        # R-Drop, Liang et al., NeurIPS 2021: the symmetric divergence of two passes, beside their mean cross-entropy.
        logits = self.logits([*rows, *rows]).float()
        first, second = logits.log_softmax(1).chunk(2)
        label = torch.tensor(truth, device=logits.device).unsqueeze(1)
        entropy = -(first.gather(1, label) + second.gather(1, label)).squeeze(1) / 2
        return entropy + ((first.exp() - second.exp()) * (first - second)).sum(1) / 2

    def embed(self, texts: Sequence[str]) -> Floats:
        return self.encoder.embed(texts)

    def keep_layers(self, layers: int) -> None:
        if layers < self.module.config.num_hidden_layers:
            self.module = shallower(self.module, layers)
            self._fewer_layers = True

    def set_head(self, weight: Floats, bias: Floats) -> None:
        import torch

        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weight))
            self.head.bias.copy_(torch.from_numpy(bias))

    def remember(
        self,
        texts: Sequence[str],
        truth: Sequence[int],
        weights: Sequence[float],
        k: int,
        vectors: Floats | None = None,
    ) -> None:
        self.neighbours = Neighbours.of(self.encoder.embed(texts) if vectors is None else vectors, truth, weights, k)

    def save(self, folder: Path, kind: Kind) -> None:
        """See family.Tunable. With a graph for ONNX Runtime where that can be made; raises Unsupported where int8 needs
        one.
        """
        if self.neighbours is not None:
            self.neighbours.write(folder)
        write_tensors(folder / "head.safetensors", {"weight": self.head.weight, "bias": self.head.bias})
        self._write_graph(folder, kind)
        if kind == "adapter":
            write_adapter(self.module, folder)
        elif kind == "full":
            write_tensors(folder / "encoder.safetensors", self.module.state_dict())
            if self._fewer_layers:
                write_config(self.module, folder)

    def _write_graph(self, folder: Path, kind: Kind) -> None:
        from headrace.models.onnx_graph import write_graph, write_quantised

        if kind == "int8":
            # What a method wrapped around the module is merged into a copy of it.
            module = (
                copy.deepcopy(self.module).merge_and_unload() if hasattr(self.module, "peft_config") else self.module
            )
            write_quantised(module.config, module.state_dict(), folder)
            return
        try:
            write_graph(self.module.config, folder)
        except Unsupported as error:
            log.warning("%s; torch answers instead", error)


def open_on_graph(folder: Path, manifest: Manifest, graph: Graph) -> Scorer:
    """Load a bundle that is answered by a graph, which is loaded already. Raises ArtifactError."""
    return Scorer.on(OnnxEncoder(manifest.of_base, manifest.max_length, graph), folder, manifest)


open = Scorer.open
tunable = TunableEncoder


def embedded(base: Base, texts: Sequence[str], threads: int = 0, step: Step | None = None) -> Floats:
    """See models/family.py, Family."""
    return Encoder(base, threads=threads).embed(texts, step)


def load_base(base: Base, threads: int = 0) -> Encoder:
    """See family.Family.load_base."""
    return Encoder(base, threads=threads)
