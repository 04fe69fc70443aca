"""Rows of a file that a person gives: .jsonl, .csv or .parquet, as `headrace dataset export` writes them or plainer.

A row needs a text and a label, or of a task of kind generate the right answer in the label's place. Rows without are
left out and counted: in an export they are holes. An export's teacher rows stay a teacher's. The same text under two
labels stays as it is, and is counted. A training row that repeats or nearly repeats a row that compares candidates or
tests is left out, and so is one that compares and repeats one that tests [leakage].
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from headrace.contract.job_file import JobError
from headrace.contract.nothing import is_none
from headrace.contract.texts import carried
from headrace.plan.labels import folded
from trainer.curate import near
from trainer.curate.likeness import CHARACTERS, Likeness
from trainer.curate.records import records
from trainer.curate.rows import SPLITS, Curated, Row
from trainer.curate.teacher import TEACHER
from trainer.curate.text import digest, normal, uniform

TEXT = ("text", "question", "input", "utterance", "query", "sentence")
LABEL = ("label", "intent", "category", "class", "target")
ANSWER = ("answer", "output", "response", "completion", "target")
SPLIT = ("split",)
CLUSTER = ("cluster", "session_id", "session")
SPELLINGS = {
    **{name: name for name in SPLITS},
    **dict.fromkeys(("training",), "train"),
    **dict.fromkeys(("val", "valid", "dev", "eval"), "validation"),
    "testing": "test",
}
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.2
"""Of rows without a split, the share that tests; of the remaining ones, the share on which candidates are compared."""
LEAST_TRAIN, LEAST_HELD_OUT = 2, 10
"""Training rows of each label, and rows that compare and that test, below which nothing is trained."""
LIGHTEST, HEAVIEST = 1e-6, 1e6
"""Weights that training can tell from zero and from infinity in float32, many rows of them added up."""
SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)
"""A file does not say when its rows were asked, and the same file has to be the same data set tomorrow."""


@dataclass(frozen=True, slots=True)
class Given:
    """One row as it stands in a file.

    line: from 1, of the record; split: empty where the file says none; source: TEACHER of a row that nobody checked
    """

    line: int
    text: str
    label: str
    split: str
    weight: float
    cluster: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """The rows of a file, and how many were left out for the lack of a text or a label."""

    path: Path
    rows: tuple[Given, ...]
    without_text: int
    without_label: int


def read(path: Path, text: str = "", label: str = "", split: str = "", usual: Sequence[str] = LABEL) -> File:
    """Raises JobError in one sentence: no such file or column, a line that is no row, a split that is none.

    text, label, split: the columns' names; empty: a usual one is looked for, of the label one of `usual`
    """
    rows, counts, columns = list[Given](), Counter[str](), dict[str, Sequence[str]]()
    there: set[str] = set()
    for number, record in enumerate(records(path), 1):
        there.update(record)
        if not columns:
            columns = {
                "text": (_column(path, record, text, TEXT, "--text"),),
                "label": (_column(path, record, label, usual, "--label"),),
                # JSON lines have these where they say something: a first row without is no file without.
                "split": (split,) if split else SPLIT,
                "cluster": CLUSTER,
            }
        found = {name: next((record[one] for one in names if one in record), None) for name, names in columns.items()}
        said = {name: _said(path, number, name, value) for name, value in found.items()}
        if not said["text"] or not normal(said["text"]):
            counts["text"] += 1
        elif not said["label"]:
            counts["label"] += 1
        else:
            of = _split(path, number, said["split"])
            weight = _weight(path, number, record.get("weight"))
            source = TEACHER if record.get("source") == TEACHER else ""
            rows.append(Given(number, said["text"], said["label"], of, weight, said["cluster"], source))
    if split not in there | {""}:
        _column(path, dict.fromkeys(sorted(there)), split, (), "--split")
    if not rows:
        raise JobError(f"{path} holds no row with a text and a label ({counts.total()} without)")
    return File(path, tuple(rows), counts["text"], counts["label"])


def data_set_rows(
    data: File,
    test: File | None,
    label_of: Callable[[str], str],
    labels: Sequence[str],
    seed: int,
    characters: int = CHARACTERS,
) -> Curated:
    """The rows with their splits; a row of `test` tests whatever it says of itself.

    label_of: the id of a label as it is written, empty where the task has none
    labels: of the task; none where the rows' labels are texts that answer
    characters: how much of a text the models read (trainer/curate/likeness.py)
    Raises JobError in one sentence.
    """
    files = [(data, False)] + ([(test, True)] if test is not None else [])
    rows: list[Row] = []
    for file, tests in files:
        _check_labels(file, label_of, labels)
        rows += [_row(one, label_of(one.label), len(rows) + place, tests) for place, one in enumerate(file.rows)]
    rows = _drawn(rows, seed, bool(labels))
    kept = _apart(rows, characters)
    of_text: dict[str, set[str]] = {}
    for row in kept:
        of_text.setdefault(row.text_digest, set()).add(row.label)
    counts = {name: sum(row.split == name for row in kept) for name in SPLITS}
    out = {
        "without_text": sum(file.without_text for file, _ in files),
        "without_label": sum(file.without_label for file, _ in files),
        "leakage": len(rows) - len(kept),
    }
    conflicting = sum(len(said) > 1 for said in of_text.values())
    _check_enough(kept, labels)
    funnel = {"answers": len(rows) + out["without_text"] + out["without_label"], "ground_truth": len(kept)}
    found = {reason: count for reason, count in out.items() if count}
    return Curated(tuple(kept), found, funnel | counts | {"conflicting_texts": conflicting})


def labels_of(data: File) -> list[str]:
    """The labels of a file, as they are written first, in the order of the alphabet."""
    first: dict[str, str] = {}
    for row in data.rows:
        first.setdefault(folded(row.label), row.label)
    return sorted(first.values())


def _column(path: Path, record: Mapping[str, Any], asked: str, usual: Sequence[str], option: str) -> str:
    """The column's name. Raises JobError."""
    if found := next((name for name in ((asked,) if asked else usual) if name in record), ""):
        return found
    there = ", ".join(str(name) for name in record) or "none"
    looked = repr(asked) if asked else " or ".join(usual)
    raise JobError(f"{path} has no column {looked}; it has {there}: name the right one with {option}")


def _said(path: Path, line: int, name: str, value: Any) -> str:
    if isinstance(value, list | dict):
        kind = "list" if isinstance(value, list) else "JSON object"
        raise JobError(f"{path}, row {line}: the {name} is a {kind}, not a text")
    if isinstance(value, float):
        # pandas makes floats of whole numbers in a column with gaps, and NaN of the gaps.
        value = None if math.isnan(value) else int(value) if value.is_integer() else value
    # NUL and half of a surrogate pair are replaced as in events; no tokenizer takes the latter.
    text = "" if value is None else carried(str(value)).strip()
    # One conversation called None would be all of those without one.
    return "" if name == "cluster" and is_none(text) else text


def _split(path: Path, line: int, said: str) -> str:
    if not said:
        return ""
    if said.casefold() not in SPELLINGS:
        known = ", ".join(SPLITS)
        raise JobError(f"{path}, row {line}: there is no split {said!r}; there are {known}")
    return SPELLINGS[said.casefold()]


def _weight(path: Path, line: int, said: Any) -> float:
    if said is None or said == "":
        return 1.0
    try:
        weight = float(said)
    except (TypeError, ValueError):
        weight = 0.0
    if not LIGHTEST <= weight <= HEAVIEST:
        raise JobError(
            f"{path}, row {line}: the weight is {said!r}, not a positive number from {LIGHTEST:g} to {HEAVIEST:g}"
        )
    return weight


def _check_labels(file: File, label_of: Callable[[str], str], labels: Sequence[str]) -> None:
    unknown = Counter(row.label for row in file.rows if not label_of(row.label))
    if unknown:
        first = next(row.line for row in file.rows if row.label in unknown)
        named = ", ".join(f"{label!r} ({count} rows)" for label, count in unknown.most_common(3))
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        known = ", ".join(labels[:10]) + (", …" if len(labels) > 10 else "")
        raise JobError(
            f"{file.path}: the task has no label {named}{more}, first in row {first}; it has {known}."
            " Add them to the plan's labels, or correct the rows"
        )


def _row(given: Given, label: str, place: int, tests: bool) -> Row:
    name = digest(normal(given.text))
    of = UUID(bytes=hashlib.sha256(f"{place}\x1f{given.text}\x1f{label}".encode()).digest()[:16])
    return Row(
        split="test" if tests else given.split,
        tenant="",
        inference_id=of,
        feedback_id=of,
        occurred_at=SOME_DAY,
        text=given.text,
        text_digest=name,
        label=label,
        source=given.source or "file",
        rank=4 if not given.source else 0,
        answered="",
        version="",
        weight=given.weight,
        cluster=given.cluster or name,
    )


def _drawn(rows: Sequence[Row], seed: int, by_label: bool) -> list[Row]:
    """Rows with a split each: where no row tests, or compares candidates, some of the others are drawn for it.

    by_label: label by label, so that each has its share; rows of one text or session go together.
    """
    found = [row if row.split else replace(row, split="train") for row in rows]
    for split, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
        if any(row.split == split for row in found):
            continue
        clusters: dict[str, list[str]] = {}
        for row in found:
            if row.split == "train":
                clusters.setdefault(row.cluster, []).append(row.label)
        of_label: dict[str, list[str]] = {}
        for cluster, labels in clusters.items():
            of_label.setdefault(labels[0] if by_label else "", []).append(cluster)
        chosen: set[str] = set()
        for members in of_label.values():
            drawn = sorted(members, key=lambda cluster: uniform(cluster, f"{seed}\x1f{split}"))
            chosen |= set(drawn[: round(share * len(drawn))])
        found = [replace(row, split=split) if row.split == "train" and row.cluster in chosen else row for row in found]
    return found


def _apart(rows: Sequence[Row], characters: int) -> list[Row]:
    """The rows without those that stand, or nearly stand, in a split that is held out from theirs."""
    likeness = Likeness.of_texts([row.text for row in rows], characters)
    places = likeness.places([row.text_digest for row in rows])
    split = np.array([row.split for row in rows])
    kept = np.isin(split, ("test", "forget"))
    for name in ("validation", "train"):
        inside = np.flatnonzero(split == name)
        kept[inside] = ~(
            np.isin(places[inside], places[kept]) | near.leaked(likeness.sketches, places[inside], places[kept])
        )
    return [row for row, is_kept in zip(rows, kept.tolist(), strict=True) if is_kept]


def _check_enough(rows: Sequence[Row], labels: Sequence[str]) -> None:
    trained = Counter(row.label for row in rows if row.split == "train")
    few = [f"{label} has {trained[label]}" for label in labels if trained[label] < LEAST_TRAIN]
    if few:
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        raise JobError(
            f"too few rows: each label needs {LEAST_TRAIN} training rows, and {', '.join(few[:5])}{more}; add rows, or"
            " leave the label out of the plan"
        )
    if not trained:
        raise JobError("too few rows: none trains")
    for split in ("validation", "test"):
        count = sum(row.split == split for row in rows)
        if count < LEAST_HELD_OUT:
            raise JobError(f"too few rows: {count} of {len(rows)} are {split} rows, and {LEAST_HELD_OUT} are needed")
