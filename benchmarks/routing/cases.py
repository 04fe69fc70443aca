"""The rows that train, validate and test, of CLINC150 and BANKING77.

Validation rows calibrate and choose the neighbours' share; no other way of making a classifier uses them. Test rows
choose nothing.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import teacher
from benchmarks.routing.rows import Rows, Split
from benchmarks.shifting.questions import Ints, asked

FEW = 10
"""Rows an intent, where there are few."""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Goal:
    """At least so accurate, in at most so many seconds of one core, and apart from questions out of scope."""

    accuracy: float
    seconds: float = 0.0
    auroc: float = 0.0


def _of(labels: Sequence[str], train: Pairs, validation: Pairs, test: Pairs, outside: list[str]) -> Rows:
    number = {label: place for place, label in enumerate(labels)}

    def split(pairs: Pairs) -> Split:
        return [text for text, _ in pairs], [number[label] for _, label in pairs]

    texts, truth = split(train)
    return Rows(
        tuple(labels), texts, truth, [1.0] * len(texts), (texts, truth), split(validation), split(test), outside
    )


def domains(data: Path, seed: int, checked: int = teacher.CHECKED) -> Rows:
    """CLINC's ten domains, checked rows alone."""
    labels, inside, _ = asked(data)
    order, tested, _ = teacher.split_of(seed, len(inside))

    def at(places: Ints) -> Pairs:
        return [(inside[place][0], labels[inside[place][1]]) for place in places]

    return _of(labels, at(order[:checked]), at(teacher.validating(seed)), at(tested), _outside(data))


def _taught(data: Path, seed: int, right: float, errors: str) -> Rows:
    """The same 411 rows, and 5,000 of a teacher (benchmarks/teacher.py): cleaned, and raw."""
    raw, kept = (
        teacher.rows_of(teacher.drawn(teacher.Case(seed, right, errors, cleaned), data), seed)
        for cleaned in (False, True)
    )
    return replace(kept, raw=raw.raw, outside=_outside(data))


def _outside(data: Path) -> list[str]:
    return [text for text, _ in json.loads((data / "clinc150.json").read_text("utf-8"))["oos_test"]]


def _intents(data: Path, seed: int) -> Rows:
    """CLINC's 150 intents, ten rows each."""
    splits = json.loads((data / "clinc150.json").read_text("utf-8"))
    pairs: dict[str, Pairs] = {name: [(text, label) for text, label in splits[name]] for name in splits}
    draw = np.random.default_rng(seed)
    validation = [pairs["val"][row] for row in draw.permutation(len(pairs["val"]))[: teacher.VALIDATION_ROWS]]
    labels = sorted({label for _, label in pairs["train"]})
    return _of(labels, _few(pairs["train"], draw), validation, pairs["test"], _outside(data))


def _banking(data: Path, seed: int, few: bool) -> Rows:
    """BANKING77, ten rows an intent or all but those that validate."""
    train, test = (_read(data / f"banking77_{name}.csv") for name in ("train", "test"))
    draw = np.random.default_rng(seed)
    order = [train[row] for row in draw.permutation(len(train))]
    validation, rest = order[: teacher.VALIDATION_ROWS], order[teacher.VALIDATION_ROWS :]
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


def _with_teacher(right: float, errors: str) -> tuple[Callable[[Path, int], Rows], Goal]:
    return partial(_taught, right=right, errors=errors), Goal(0.965 if right == 0.96 else 0.95, 90, 0.97)


CASES: dict[str, tuple[Callable[[Path, int], Rows], Goal]] = {
    "domains-411": (domains, Goal(0.908, 25, 0.93)),
    "domains-2000": (partial(domains, checked=2000), Goal(0.955)),
    **{
        f"domains-411+5000-{right:.0%}-{errors}".replace("%", ""): _with_teacher(right, errors)
        for right in (0.96, 0.90)
        for errors in ("uniform", "hard")
    },
    "banking-10": (partial(_banking, few=True), Goal(0.875)),
    "banking-all": (partial(_banking, few=False), Goal(0.940)),
    "intents-10": (_intents, Goal(0.940)),
}
"""By name. A teacher's name has how many of its answers in a hundred are right, and which are wrong."""
