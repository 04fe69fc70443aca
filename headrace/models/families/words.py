"""Words and pieces of words, TF-IDF weighted, with a linear head: no encoder, no pre-trained weights.

    text → NFKC, case folded → word 1- and 2-grams, character 2- to 5-grams within words → TF-IDF → linear head

The cheapest model that learns: a baseline that every candidate has to beat. A bundle holds no word of any row, only
hashes of what it counts, in words.safetensors:

    features  (features,) int64, ascending: CRC-32 of each n-gram
    idf       (features,) float32
    weight    (labels, features) float32, bias (labels,) float32
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from math import log
from pathlib import Path
from typing import Any, Self
from zlib import crc32

from headrace.errors import ArtifactError
from headrace.models.bases import Base
from headrace.models.bundle import Kind, Manifest
from headrace.models.family import LabelSet, Model, Step, Unsupported
from headrace.models.scoring import Scoring
from headrace.models.tensors import Floats, log_softmax

CAN = frozenset({"words"})
DTYPES = ("float32",)
WORDS = "words.safetensors"
WORD_GRAMS, CHARACTER_GRAMS = (1, 2), (2, 3, 4, 5)
MAX_LETTERS = 40
"""Of a word: what follows is cut, so that a text without blanks has no million n-grams."""
_WORD = re.compile(r"\w+")


def words(text: str, most: int) -> list[str]:
    """The first `most` words, case folded, each of at most MAX_LETTERS."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    found = (match[0][:MAX_LETTERS] for match in _WORD.finditer(folded))
    return [word for word, _ in zip(found, range(most), strict=False)]


def features(text: str, most: int) -> tuple[Counter[int], Counter[int]]:
    """Hashes of the n-grams of words, and of those of characters, and how often each occurs."""
    of = words(text, most)
    whole = Counter(_hash(gram) for gram in _grams(of))
    return whole, Counter(_hash(gram) for word in of for gram in _pieces(word))


def _grams(of: Sequence[str]) -> Iterator[str]:
    for n in WORD_GRAMS:
        for start in range(len(of) - n + 1):
            yield "w " + " ".join(of[start : start + n])


def _pieces(word: str) -> Iterator[str]:
    marked = f" {word} "
    for n in CHARACTER_GRAMS:
        for start in range(max(1, len(marked) - n + 1)):
            yield "c" + marked[start : start + n]
        if n >= len(marked):
            return


def _hash(gram: str) -> int:
    # Half a surrogate pair, which no encoding has, is text too.
    return crc32(gram.encode("utf-8", "surrogatepass"))


class Vectoriser:
    """Texts to sparse rows of TF-IDF weights, of unit length for words and for characters alike.

    features: what is counted, ascending; idf: of each
    """

    def __init__(self, features: Any, idf: Floats, most: int) -> None:
        self.features, self.idf, self.most = features, idf, most
        self._place = {int(one): place for place, one in enumerate(features)}

    @classmethod
    def of(cls, texts: Sequence[str], most: int) -> Self:
        """Of the rows that train: each n-gram that occurs in two of them, and of few rows every one."""
        import numpy as np

        rows = Counter(gram for text in texts for gram in set().union(*features(text, most)))
        fewest = 2 if len(texts) >= 1_000 else 1
        kept = sorted(gram for gram, n in rows.items() if n >= fewest)
        idf = [log((1 + len(texts)) / (1 + rows[gram])) + 1 for gram in kept]
        return cls(np.array(kept, dtype=np.int64), np.array(idf, dtype=np.float32), most)

    def row(self, text: str) -> tuple[Any, Floats]:
        """Places among the features, and their weights."""
        import numpy as np

        places: list[int] = []
        weights: list[Floats] = []
        for counted in features(text, self.most):
            known = [(self._place[gram], n) for gram, n in counted.items() if gram in self._place]
            at = [place for place, _ in known]
            found = (1 + np.log(np.array([n for _, n in known], dtype=np.float32))) * self.idf[at]
            places += at
            weights.append(found / max(float(np.linalg.norm(found)), 1e-9))
        return np.array(places, dtype=np.int64), np.concatenate(weights).astype(np.float32)


class WordModel(Model):
    """A published bundle of this family, loaded. See models/family.py, Model."""

    def __init__(self, vectoriser: Vectoriser, weight: Floats, bias: Floats, manifest: Manifest, folder: Path) -> None:
        self.vectoriser, self.weight, self.bias = vectoriser, weight, bias
        self.manifest, self.folder = manifest, folder
        self.scoring = Scoring.read(folder)

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, threads: int = 0, base: None = None) -> Self:
        """See family.Family.open."""
        import numpy as np
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        file = folder / WORDS
        try:
            held = load_file(file)
            known, idf, weight, bias = (held[name] for name in ("features", "idf", "weight", "bias"))
        except (SafetensorError, OSError, KeyError) as error:
            raise ArtifactError(f"{file} holds no words with weights ({error}); publish the artifact again") from None
        shapes, labels = (idf.shape, weight.shape, bias.shape), len(manifest.labels)
        if known.ndim != 1 or shapes != ((len(known),), (labels, len(known)), (labels,)):
            raise ArtifactError(f"{file} holds {shapes} for {len(known)} features; its manifest has {labels} labels")
        if not (np.isfinite(idf).all() and np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ArtifactError(f"{file} holds weights that are no numbers; publish the artifact again")
        return cls(Vectoriser(known, idf, manifest.max_length), weight, bias, manifest, folder)

    def log_probabilities(self, texts: Sequence[str]) -> Floats:
        """See Model."""
        import numpy as np

        logits = np.tile(self.bias, (len(texts), 1))
        for number, text in enumerate(texts):
            places, weights = self.vectoriser.row(text)
            logits[number] += self.weight[:, places] @ weights
        return self.scoring.calibrated(log_softmax(logits))

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Words. See Model."""
        return [len(words(text, self.manifest.max_length)) for text in texts]

    def generate(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """Words in no order generate nothing. Raises Unsupported."""
        raise Unsupported(f"{self.manifest.version} counts words: it scores labels and generates no text")

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """Raises Unsupported."""
        raise Unsupported(f"{self.manifest.version} counts words: it has no embeddings")


class TunableWords:
    """Words that are to be counted. See models/family.py, Tunable; untuned it knows no label from another."""

    kind: Kind = "words"
    module: Any = None

    def __init__(self, base: Base, labels: LabelSet, threads: int = 0) -> None:
        import numpy as np

        self._labels = len(labels.ids)
        self.vectoriser = Vectoriser.of((), base.max_length)
        self.set_words(self.vectoriser, np.zeros((self._labels, 0), np.float32), np.zeros(self._labels, np.float32))

    @property
    def parameters(self) -> int:
        return int(self._weight.size + self._bias.size)

    def set_words(self, vectoriser: Vectoriser, weight: Floats, bias: Floats) -> None:
        """Take what a method fitted: weight (labels, features), bias (labels,)."""
        self.vectoriser, self._weight, self._bias = vectoriser, weight, bias

    def save(self, folder: Path, kind: Kind) -> None:
        from safetensors.numpy import save_file

        counted = {"features": self.vectoriser.features, "idf": self.vectoriser.idf}
        save_file(counted | {"weight": self._weight, "bias": self._bias}, folder / WORDS)


open = WordModel.open
tunable = TunableWords


def embedded(base: Base, texts: Sequence[str], threads: int = 0, step: Step | None = None) -> Floats:
    """See models/family.py, Family. Raises Unsupported."""
    raise Unsupported(f"base {base.name!r} counts words: it has no embeddings")


def load_base(base: Base, threads: int = 0) -> None:
    """Nothing: a bundle brings all there is."""
