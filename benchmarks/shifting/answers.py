"""What a window profile holds of answers that are already known, in numpy: tests show that it equals the SQL's.

Every question is answered once, beforehand; a window is then an array of row numbers, and its profile a few sums.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.shifting.questions import Ints, Model, Questions
from headrace.contract import ids
from headrace.models.tensors import Floats
from streams.detectors import embedding_centroid, out_of_vocabulary, soft
from streams.detectors.embedding_centroid import MIN_QUESTIONS, tail
from streams.detectors.estimated_accuracy import MAX_LABELS, Step, isotonic
from streams.embed import QUESTIONS
from streams.embedder import DIMENSIONS
from streams.profiles import MIN_SAMPLES, SAMPLED_QUESTIONS, Pair, Profile
from streams.projection import projected

WORD = re.compile(r"[^\W\d_]+")
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Columns by question; words: numbers of the distinct words, padded with `vocabulary`, their count."""

    labels: tuple[str, ...]
    label: Ints
    right: npt.NDArray[np.bool_]
    confidence: Doubles
    entropy: Doubles
    bin: Ints
    words: Ints
    vocabulary: int
    points: Floats

    def profile(self, rows: Ints) -> Profile:
        """Of one inference a session, each with scores."""
        counts = np.bincount(self.label[rows], minlength=len(self.labels))
        bins, sizes = np.unique(self.bin[rows], return_counts=True)
        confidence, entropy = self.confidence[rows], self.entropy[rows]
        return Profile(
            sessions=len(rows),
            labels={name: int(count) for name, count in zip(self.labels, counts, strict=True) if count},
            scored=len(rows),
            confidences=dict(zip(bins.tolist(), sizes.tolist(), strict=True)),
            confidence_sum=float(confidence.sum()),
            entropy_sum=float(entropy.sum()),
            confidence_squares=float(confidence @ confidence),
            entropy_squares=float(entropy @ entropy),
            confidence_entropy=float(confidence @ entropy),
        )

    def calibration(self, rows: Ints) -> list[Step]:
        """From labelled answers, the first MAX_LABELS."""
        rows = rows[:MAX_LABELS]
        found = {int(b): (self.bin[rows] == b) for b in np.unique(self.bin[rows])}
        return isotonic({b: (int(at.sum()), int(self.right[rows][at].sum())) for b, at in found.items()})


def answered(questions: Questions, model: Model) -> Answers:
    """The model's answers to all questions."""
    scores = model.scores(questions.vectors).astype(np.float32).astype(np.float64)
    label = scores.argmax(axis=1)
    words, vocabulary = numbered(questions.texts)
    return columns(model.labels, scores, model.probe.classes_[label] == questions.truth, words, vocabulary, questions)


def columns(
    labels: tuple[str, ...],
    scores: Doubles,
    right: npt.NDArray[np.bool_],
    words: Ints,
    vocabulary: int,
    questions: Questions,
) -> Answers:
    """As window_profiles computes them: confidence, entropy, bin."""
    confidence = scores.max(axis=1)
    capped = np.clip(confidence, 1e-4, 1 - 1e-6)
    entropy = -(scores * np.log(np.maximum(scores, 1e-300))).sum(axis=1)
    bins = np.floor(20 * np.log(capped / (1 - capped))).astype(int)
    points = projected(questions.vectors)
    return Answers(labels, scores.argmax(axis=1), right, confidence, entropy, bins, words, vocabulary, points)


def numbered(texts: tuple[str, ...]) -> tuple[Ints, int]:
    """The distinct words of each text as numbers, padded with the count of all words; and that count."""
    numbers: dict[str, int] = {}
    said = [list({numbers.setdefault(word, len(numbers)) for word in WORD.findall(text.lower())}) for text in texts]
    words = np.full((len(texts), max(map(len, said))), len(numbers))
    for row, each in enumerate(said):
        words[row, : len(each)] = each
    return words, len(numbers)


class Reference:
    """Windows of rows that several windows are compared with, summed up once."""

    def __init__(self, answers: Answers, windows: list[Ints]) -> None:
        self.answers = answers
        self.profile = replace(answers.profile(np.concatenate(windows)), **self._by_window(windows))
        samples = [rows[:SAMPLED_QUESTIONS] for rows in windows]
        self._known = np.zeros(answers.vocabulary + 1, dtype=bool)
        self._known[answers.words[np.concatenate([rows[::2] for rows in samples])]] = True
        self._known[answers.vocabulary] = True
        rest = np.concatenate([rows[1::2] for rows in samples])
        self._expected = self._strange(rest), len(rest)
        points = [answers.points[rows[:QUESTIONS]] for rows in windows]
        self._points = moments_of(np.concatenate(points))
        self._means = np.array([each.mean(axis=0, dtype=np.float64) for each in points])
        self._sizes = np.array([len(each) for each in points])

    def pair(self, window: Ints) -> Pair:
        """What the detectors on profiles compare."""
        return Pair(ids.EPOCH, self.profile, self.answers.profile(window))

    def new_words(self, window: Ints) -> soft.Tested | None:
        """out_of_vocabulary's test; every second question of the reference makes the vocabulary."""
        before, n = self._expected
        m = min(len(window), SAMPLED_QUESTIONS)
        now = self._strange(window[:SAMPLED_QUESTIONS])
        return out_of_vocabulary.tested(0, before, n, now, m) if min(n, m) >= MIN_SAMPLES else None

    def centroid(self, window: Ints) -> float | None:
        """embedding_centroid's p-value."""
        now = moments_of(self.answers.points[window[:QUESTIONS]])
        n, m = self._points[0], now[0]
        if min(n, m) < MIN_QUESTIONS or n + m < embedding_centroid.MIN_TOGETHER:
            return None
        return tail(t_squared(self._points, now) / self._dispersion(now), n, m, DIMENSIONS)

    def _dispersion(self, now: Moments) -> float:
        """embedding_centroid.dispersion."""
        if len(self._sizes) < soft.MIN_WINDOWS:
            return 1.0
        differences = self._means - self._points[1]
        solved = np.linalg.solve(covariance(self._points, now), differences.T)
        found = float((self._sizes * np.einsum("ij,ji->i", differences, solved)).sum())
        return max(1.0, found / ((len(self._sizes) - 1) * DIMENSIONS))

    def _by_window(self, windows: list[Ints]) -> dict[str, Any]:
        counts = np.array(
            [np.bincount(self.answers.label[rows], minlength=len(self.answers.labels)) for rows in windows]
        )
        squares = (counts**2 / counts.sum(axis=1, keepdims=True)).sum(axis=0)
        named = zip(self.answers.labels, squares.tolist(), strict=True)
        return {"windows": len(windows), "label_squares": {name: square for name, square in named if square}}

    def _strange(self, rows: Ints) -> int:
        return int((~self._known[self.answers.words[rows]]).any(axis=1).sum())


Moments = tuple[int, Doubles, Doubles]
"""How many points, their mean, and their centred sums of products."""


def moments_of(points: Floats) -> Moments:
    """Of points in rows; single precision, as the warehouse keeps them."""
    n, mean = len(points), points.mean(axis=0, dtype=np.float64)
    centred = points - mean.astype(np.float32)
    return n, mean, (centred.T @ centred).astype(np.float64)


def covariance(before: Moments, now: Moments) -> Doubles:
    """Pooled."""
    pooled: Doubles = (before[2] + now[2]) / (before[0] + now[0] - 2)
    return pooled


def t_squared(before: Moments, now: Moments) -> float:
    """embedding_centroid.t_squared."""
    (n, old, _), (m, new, _) = before, now
    return float((new - old) @ np.linalg.solve(covariance(before, now), new - old) * n * m / (n + m))
