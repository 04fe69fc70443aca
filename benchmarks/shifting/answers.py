"""What a window profile holds of answers that are already known, in numpy: tests show that it equals the SQL's.

Every question is answered once, beforehand; a window is then an array of row numbers, and its profile a few sums.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.shifting.questions import Ints, Model, Questions
from headrace import ids
from headrace.scoring import Floats
from streams.detectors import embedding_centroid, out_of_vocabulary, soft
from streams.detectors.embedding_centroid import FEWEST_QUESTIONS, tail
from streams.detectors.estimated_accuracy import MOST_LABELS, Step, isotonic
from streams.embed import QUESTIONS
from streams.embedder import DIMENSIONS
from streams.profiles import FEWEST, SAMPLED_QUESTIONS, Pair, Profile
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
        """From labelled answers, the first MOST_LABELS."""
        rows = rows[:MOST_LABELS]
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


def new_words(answers: Answers, references: list[Ints], window: Ints) -> soft.Tested | None:
    """out_of_vocabulary's test; references: rows by window, of which every second question makes the vocabulary."""
    samples = [rows[:SAMPLED_QUESTIONS] for rows in references]
    known = np.zeros(answers.vocabulary + 1, dtype=bool)
    known[answers.words[np.concatenate([rows[::2] for rows in samples])]] = True
    known[answers.vocabulary] = True
    rest = np.concatenate([rows[1::2] for rows in samples])
    before, now = (int((~known[answers.words[rows]]).any(axis=1).sum()) for rows in (rest, window[:SAMPLED_QUESTIONS]))
    n, m = len(rest), min(len(window), SAMPLED_QUESTIONS)
    return out_of_vocabulary.tested(0, before, n, now, m) if min(n, m) >= FEWEST else None


def centroid(answers: Answers, references: list[Ints], window: Ints) -> float | None:
    """embedding_centroid's p-value."""
    before = answers.points[np.concatenate([rows[:QUESTIONS] for rows in references])].astype(float)
    now = answers.points[window[:QUESTIONS]].astype(float)
    n, m = len(before), len(now)
    if min(n, m) < FEWEST_QUESTIONS or n + m < embedding_centroid.FEWEST_TOGETHER:
        return None
    return tail(t_squared(before, now), n, m, DIMENSIONS)


def t_squared(before: Doubles, now: Doubles) -> float:
    """embedding_centroid.t_squared of points, each a row."""
    n, m = len(before), len(now)
    old, new = before.mean(axis=0), now.mean(axis=0)
    covariance = (before.T @ before - n * np.outer(old, old) + now.T @ now - m * np.outer(new, new)) / (n + m - 2)
    return float((new - old) @ np.linalg.solve(covariance, new - old) * n * m / (n + m))


def paired(answers: Answers, references: list[Ints], window: Ints) -> Pair:
    """What the detectors on profiles compare."""
    return Pair(ids.EPOCH, answers.profile(np.concatenate(references)), answers.profile(window))
