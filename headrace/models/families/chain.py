"""Several models as one: each answers what it is sure of, and the next, dearer one is asked the rest.

The last may be the plan's incumbent, which answers at its address and has no probabilities: its label gets the share of
the validation rows that it had right of those it was asked, and the other labels the rest in equal parts. Whoever loads
such a chain says how the incumbent is asked (`ask`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import log
from pathlib import Path
from typing import Any, Self

from headrace.errors import ArtifactError
from headrace.models.bases import Base
from headrace.models.bundle import MANIFEST, Kind, Manifest, read_manifest
from headrace.models.chain import Chain, Tier, place
from headrace.models.family import LabelSet, Model, Step, Unsupported
from headrace.models.scoring import Scoring
from headrace.models.tensors import Floats

CAN = frozenset({"chain"})
DTYPES = ("float32",)
Ask = Callable[[Sequence[str]], Sequence[str]]
"""The incumbent's labels of texts."""


class ChainModel(Model):
    """A published bundle of this family, loaded. See models/family.py, Model.

    tiers: its bundles, loaded
    ask: asks the incumbent; known: its answers by text, as recorded, which are used while an evaluation is
        `remembering`, and never where something is timed
    """

    def __init__(self, chain: Chain, tiers: Sequence[Model], manifest: Manifest, folder: Path) -> None:
        self.chain, self.tiers = chain, tiers
        self.manifest, self.folder = manifest, folder
        self.scoring = Scoring()
        self.usd_per_1k = chain.usd_per_1k
        self.ask: Ask | None = None
        self.known: dict[str, str] = {}
        self._remembers = 0

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, threads: int = 0, base: None = None) -> Self:
        """See family.Family.open."""
        from headrace.models.families import open_as_served

        chain = Chain.read(folder)
        folders = [place(folder, tier) for tier in chain.bundles]
        tiers = [
            open_as_served(at, read_manifest(at, tier.digest), threads)
            for at, tier in zip(folders, chain.bundles, strict=True)
        ]
        for tier in tiers:
            if tier.labels != manifest.labels:
                raise ArtifactError(f"{tier.folder} scores other labels than its chain at {folder}; publish it again")
        return cls(chain, tiers, manifest, folder)

    def routed(self, texts: Sequence[str]) -> tuple[Floats, Any]:
        """Log-probabilities (texts, labels), and the number of the tier that answered each, int (texts,).

        As at the gateway (serving/engines/chain.py): where the incumbent names no label the tier before it answers.
        """
        import numpy as np

        out = np.empty((len(texts), len(self.labels)), np.float32)
        by = np.zeros(len(texts), np.intp)
        left = np.arange(len(texts))
        for number, tier in enumerate(self.chain.tiers):
            asked = [texts[row] for row in left.tolist()]
            if not asked:
                break
            answered = np.ones(len(asked), dtype=bool)
            if tier.folder:
                found = self.tiers[number].log_probabilities(asked)
            else:
                said = self._incumbent(asked)
                found = named(tier, self.labels, said)
                if number and self.chain.on_failure == "cheaper":
                    answered = np.array([label in self.labels for label in said])
            out[left[answered]], by[left[answered]] = found[answered], number
            if tier.threshold is not None:
                left = left[answered & (found.max(axis=1) < log(max(tier.threshold, 1e-30)))]
        return out, by

    def log_probabilities(self, texts: Sequence[str]) -> Floats:
        """Of the tier that answers. See Model."""
        return self.routed(texts)[0]

    def calibrate(self, texts: Sequence[str], truth: Sequence[int]) -> None:
        """Nothing: its tiers were calibrated on these rows before its thresholds were fitted."""

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """See Model."""
        self._remembers += 1
        try:
            with ExitStack() as stack:
                for tier in self.tiers:
                    stack.enter_context(tier.remembering())
                yield
        finally:
            self._remembers -= 1

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """That its first tier reads."""
        return self.tiers[0].tokens(texts)

    def generate(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """Raises Unsupported."""
        raise Unsupported(f"{self.manifest.version} is a chain: it scores labels and generates no text")

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """Raises Unsupported."""
        raise Unsupported(f"{self.manifest.version} is a chain: it has no embeddings")

    def _incumbent(self, texts: Sequence[str]) -> list[str]:
        if self.ask is None:
            raise ArtifactError(f"{self.manifest.version} asks {self.chain.incumbent}, and nothing here says how")
        if not self._remembers:
            return list(self.ask(texts))
        fresh = [text for text in dict.fromkeys(texts) if text not in self.known]
        if fresh:
            self.known.update(zip(fresh, self.ask(fresh), strict=True))
        return [self.known[text] for text in texts]


def named(tier: Tier, labels: Sequence[str], said: Sequence[str]) -> Floats:
    """Log-probabilities (answers, labels) of an incumbent that names labels: its accuracy; the rest in equal parts."""
    import numpy as np

    others = (1 - tier.accuracy) / max(1, len(labels) - 1)
    out = np.full((len(said), len(labels)), log(max(others, 1e-6)), np.float32)
    for row, label in enumerate(said):
        if label in labels:
            out[row, labels.index(label)] = log(max(tier.accuracy, 1e-6))
        else:
            out[row] = -log(len(labels))
    return out


class TunableChain:
    """A chain that is about to be put together. See models/family.py, Tunable."""

    kind: Kind = "chain"
    module: Any = None

    def __init__(self, base: Base, labels: LabelSet, threads: int = 0) -> None:
        self._chain: Chain | None = None
        self._models: dict[str, Model] = {}
        self.parameters = 0

    def set_chain(self, chain: Chain, models: dict[str, Model], parameters: int) -> None:
        """Take what a method fitted. models: of the tiers that are bundles, by name; parameters: of them together"""
        self._chain, self._models, self.parameters = chain, models, parameters

    def save(self, folder: Path, kind: Kind) -> None:
        """chain.json, and a copy of each tier beside the folder."""
        assert self._chain is not None, "a chain is saved after its method has fitted it"
        tiers = []
        for tier in self._chain.tiers:
            if (model := self._models.get(tier.name)) is not None:
                tier = tier.model_copy(update={"folder": f"{folder.name}+{tier.name}"})
                target = place(folder, tier)
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(model.folder, target)
                (target / MANIFEST).write_text(model.manifest.model_dump_json(), "utf-8")
            tiers.append(tier)
        self._chain.model_copy(update={"tiers": tuple(tiers)}).write(folder)


open = ChainModel.open
tunable = TunableChain


def embedded(base: Base, texts: Sequence[str], threads: int = 0, step: Step | None = None) -> Floats:
    """See models/family.py, Family. Raises Unsupported."""
    raise Unsupported(f"base {base.name!r} is no model of its own: it has no embeddings")


def load_base(base: Base, threads: int = 0) -> None:
    """Nothing: a chain's tiers bring theirs."""
