"""The rows that train, validate and test, of CLINC150 and BANKING77.

Validation rows calibrate and choose the neighbours' share; no other way of making a classifier uses them. Test rows
choose nothing.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import teacher

VALIDATION_ROWS = 274
"""As many as the plan's validation_share of .4 leaves beside 411 rows that train: 685 in all."""
FEW = 10
"""Rows an intent, where there are few."""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Rows:
    """A case: texts and numbers of their labels.

    weights: how much each training row counts; raw: training rows as whoever cleans none has them
    outside: questions out of scope; none where the data set has none
    """

    labels: tuple[str, ...]
    texts: list[str]
    truth: list[int]
    weights: list[float]
    raw: tuple[list[str], list[int]]
    validation: tuple[list[str], list[int]]
    test: tuple[list[str], list[int]]
    outside: list[str]


@dataclass(frozen=True)
class Goal:
    """At least so accurate, in at most so many seconds of one core, and apart from questions out of scope."""

    accuracy: float
    seconds: float = 0.0
    auroc: float = 0.0


def _of(labels: Sequence[str], train: Pairs, validation: Pairs, test: Pairs, outside: list[str]) -> Rows:
    number = {label: place for place, label in enumerate(labels)}

    def split(pairs: Pairs) -> tuple[list[str], list[int]]:
        return [text for text, _ in pairs], [number[label] for _, label in pairs]

    texts, truth = split(train)
    return Rows(
        tuple(labels), texts, truth, [1.0] * len(texts), (texts, truth), split(validation), split(test), outside
    )


def _domains(data: Path, seed: int, right: float = 1.0, errors: str = "", checked: int = teacher.CHECKED) -> Rows:
    """CLINC's ten domains: checked rows, and 5,000 of a teacher where it makes errors (benchmarks/teacher.py)."""
    raw, kept = (
        teacher.drawn(teacher.Case(seed, right, errors, cleaned, checked=checked), data)
        for cleaned in (False, bool(errors))
    )
    others = np.random.default_rng([seed, 1]).permutation(teacher.VALIDATION)[:VALIDATION_ROWS] + teacher.TRAIN
    questions = kept.questions

    def at(places: np.ndarray) -> tuple[list[str], list[int]]:
        return list(questions[places].texts), questions.truth[places].tolist()

    return Rows(
        kept.labels,
        at(kept.places)[0],
        kept.truth.tolist(),
        kept.weights.tolist(),
        (at(raw.places)[0], raw.truth.tolist()),
        at(others),
        at(kept.tested),
        [text for text, _ in json.loads((data / "clinc150.json").read_text("utf-8"))["oos_test"]],
    )


def _intents(data: Path, seed: int) -> Rows:
    """CLINC's 150 intents, ten rows each."""
    splits = json.loads((data / "clinc150.json").read_text("utf-8"))
    pairs: dict[str, Pairs] = {name: [(text, label) for text, label in splits[name]] for name in splits}
    draw = np.random.default_rng(seed)
    validation = [pairs["val"][row] for row in draw.permutation(len(pairs["val"]))[:VALIDATION_ROWS]]
    outside = [text for text, _ in pairs["oos_test"]]
    labels = sorted({label for _, label in pairs["train"]})
    return _of(labels, _few(pairs["train"], draw), validation, pairs["test"], outside)


def _banking(data: Path, seed: int, few: bool) -> Rows:
    """BANKING77, ten rows an intent or all but those that validate."""
    train, test = (_read(data / f"banking77_{name}.csv") for name in ("train", "test"))
    draw = np.random.default_rng(seed)
    order = [train[row] for row in draw.permutation(len(train))]
    validation, rest = order[:VALIDATION_ROWS], order[VALIDATION_ROWS:]
    return _of(sorted({label for _, label in train}), _few(rest, draw) if few else rest, validation, test, [])


def _few(pairs: Pairs, draw: np.random.Generator) -> Pairs:
    found: dict[str, Pairs] = {}
    for row in draw.permutation(len(pairs)):
        kept = found.setdefault(pairs[row][1], [])
        if len(kept) < FEW:
            kept.append(pairs[row])
    return [pair for kept in found.values() for pair in kept]


def _read(file: Path) -> Pairs:
    with file.open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["category"]) for row in csv.DictReader(stream)]


def _taught(right: float, errors: str) -> tuple[Callable[[Path, int], Rows], Goal]:
    goal = Goal(0.965, 90, 0.97) if right == 0.96 else Goal(0.95, 90, 0.97)
    return (lambda data, seed: _domains(data, seed, right, errors)), goal


CASES: dict[str, tuple[Callable[[Path, int], Rows], Goal]] = {
    "domains-411": (_domains, Goal(0.908, 25, 0.93)),
    "domains-2000": (lambda data, seed: _domains(data, seed, checked=2000), Goal(0.955)),
    **{
        f"domains-411+5000-{right:.0%}-{errors}".replace("%", ""): _taught(right, errors)
        for right in (0.96, 0.90)
        for errors in ("uniform", "hard")
    },
    "banking-10": (lambda data, seed: _banking(data, seed, few=True), Goal(0.875)),
    "banking-all": (lambda data, seed: _banking(data, seed, few=False), Goal(0.940)),
    "intents-10": (_intents, Goal(0.940)),
}
"""By name. A teacher's name has how many of its answers in a hundred are right, and which are wrong."""
