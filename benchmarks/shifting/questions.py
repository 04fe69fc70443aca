"""Real questions and a model that answers them: CLINC150's ten domains, BANKING77, a probe on MiniLM's embeddings.

Nothing is downloaded: the questions are read from a folder (docs/running.md says where anyone gets them), the encoder
from its wheel. Embeddings are kept under var/, named by what they embed.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from headrace.models.encoder_base import Encoder
from headrace.models.tensors import Floats

CACHE = Path("var/embeddings")
REGULARISATION = 30.0
"""C of the logistic regression, as trainer/ fits its probe."""
FITTED_ON = 1000
"""Labelled questions: as many as a company may have. The probe is right in about nine of ten."""

Ints = npt.NDArray[np.int_]


@dataclass(frozen=True)
class Questions:
    """Questions, their embeddings (n, 384), and the domain of each; -1: out of scope."""

    texts: tuple[str, ...]
    vectors: Floats
    truth: Ints

    def __getitem__(self, rows: Ints) -> Questions:
        return Questions(tuple(self.texts[row] for row in rows), self.vectors[rows], self.truth[rows])

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Model:
    """A probe: probabilities of its labels, (n, labels)."""

    labels: tuple[str, ...]
    probe: LogisticRegression

    def scores(self, vectors: Floats) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = self.probe.predict_proba(vectors)
        return found


def fitted(questions: Questions, labels: Sequence[str], draw: np.random.Generator) -> Model:
    """A probe on FITTED_ON of the questions."""
    rows = draw.choice(len(questions), FITTED_ON, replace=False)
    probe = LogisticRegression(C=REGULARISATION, max_iter=1000).fit(questions.vectors[rows], questions.truth[rows])
    return Model(tuple(labels), probe)


def clinc(data: Path) -> tuple[tuple[str, ...], Questions, Questions]:
    """The domains; questions in scope; questions out of scope."""
    labels, inside, outside = asked(data)
    return labels, _embedded(inside), _embedded(outside)


def asked(data: Path) -> tuple[tuple[str, ...], list[tuple[str, int]], list[tuple[str, int]]]:
    """The same as texts with the numbers of their domains; those in scope in the order train, validation, test."""
    splits = json.loads((data / "clinc150.json").read_text("utf-8"))
    domains = json.loads((data / "clinc150_domains.json").read_text("utf-8"))
    domain_of = {intent: place for place, intents in enumerate(domains.values()) for intent in intents}
    inside = [(text, domain_of[intent]) for name in ("train", "val", "test") for text, intent in splits[name]]
    outside = [(text, -1) for name in ("oos_train", "oos_val", "oos_test") for text, _ in splits[name]]
    return tuple(domains), inside, outside


def banking(data: Path) -> Questions:
    """BANKING77, all of it out of scope: another company's customers."""
    rows = []
    for name in ("banking77_train.csv", "banking77_test.csv"):
        with (data / name).open(encoding="utf-8", newline="") as file:
            rows += [(row["text"], -1) for row in csv.DictReader(file)]
    return _embedded(rows)


def embedded(texts: Sequence[str]) -> Floats:
    """Embeddings of texts, computed once."""
    name = hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:16]
    file = CACHE / f"{name}.npy"
    if file.exists():
        found: Floats = np.load(file)
        return found
    vectors = _encoder().embed(texts)
    CACHE.mkdir(parents=True, exist_ok=True)
    np.save(file, vectors)
    return vectors


def _embedded(rows: Sequence[tuple[str, int]]) -> Questions:
    texts = tuple(text for text, _ in rows)
    return Questions(texts, embedded(texts), np.array([truth for _, truth in rows]))


@cache
def _encoder() -> Encoder:
    return Encoder()
