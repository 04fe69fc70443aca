"""make bench-router: a missed goal is said, seeds are averaged, and rows that train never test or validate."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks.router import missed, summed
from benchmarks.routing.cases import CASES, FEW
from benchmarks.routing.pairs import ITERATIONS, pairs_of
from benchmarks.teacher import VALIDATION_ROWS


def row(**fields: Any) -> dict[str, Any]:
    """Of 411 rows, with every goal reached."""
    values = {"case": "domains-411", "way": "ours", "seed": 1, "tested": 1500, "accuracy": 0.92, "seconds": 20.0}
    values |= {"wall_s": 30.0, "p50_ms": 7.0, "p95_ms": 9.0, "parameters": 22_000_000, "rows_per_s": 90.0}
    return values | {"auroc": 0.94, "ece": 0.01} | fields


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row()], []),
        ([row(accuracy=0.9)], ["accuracy 0.9000 < 0.908"]),
        ([row(accuracy=0.9), row(accuracy=0.92, seed=2)], []),
        ([row(seconds=26)], ["26 s > 25 s"]),
        ([row(auroc=0.92)], ["AUROC 0.9200 < 0.93"]),
        ([row(ece=0.04)], ["calibration error 0.0400 > 0.03"]),
        ([row(), row(way="trainer-full", rows_per_s=70.0)], ["90 rows/s < 1.5 x 70"]),
        ([row(), row(way="trainer-full", accuracy=0.93, rows_per_s=50.0)], ["the plain Trainer is more accurate"]),
        ([row(way="probe", accuracy=0.5)], []),
    ],
)
def test_a_missed_goal_is_said(rows: list[dict[str, Any]], says: list[str]) -> None:
    """Goals are of our own way, and of the mean over seeds."""
    found = missed(rows)
    assert len(found) == len(says) and all(part in one for part, one in zip(says, found, strict=True))


def test_seeds_are_averaged_within_an_interval() -> None:
    """One row a case and way; a figure that a case does not have stays empty."""
    (found,) = summed([row(auroc=None), row(auroc=None, accuracy=0.9, seed=2)])
    assert found["seeds"] == 2 and found["accuracy"] == pytest.approx(0.91) and found["auroc"] is None
    assert 0.89 < found["low"] < 0.91 < found["high"] < 0.93


def test_pairs_are_of_one_label_and_of_two() -> None:
    """Twenty of each for every row, as SetFit makes them."""
    truth = [0, 0, 1, 1, 2]
    found = pairs_of(truth, random.Random(1))
    assert len(found) == 2 * ITERATIONS * len(truth)
    assert all((truth[one] == truth[other]) == (wanted == 1.0) for one, other, wanted in found)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files as the data sets', of questions that this test makes: four labels with 150 training rows each."""
    splits = {name: made(name, count) for name, count in (("train", 600), ("val", 400), ("test", 40), ("oos_test", 10))}
    (tmp_path / "clinc150.json").write_text(json.dumps(splits), "utf-8")
    for name in ("train", "test"):
        with (tmp_path / f"banking77_{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows([("text", "category"), *splits[name]])
    return tmp_path


def made(split: str, count: int) -> list[tuple[str, str]]:
    """Questions and labels."""
    return [(f"{split} question {number}, with a comma", f"label {number % 4}") for number in range(count)]


@pytest.mark.parametrize("case", ["banking-10", "intents-10"])
def test_rows_that_train_are_no_others(case: str, data: Path) -> None:
    """Ten of each label; none of them validates or tests, and a seed draws the same ones again, another seed others."""
    rows = CASES[case][0](data, 1)
    assert len(rows.labels) == 4 and {rows.truth.count(label) for label in range(4)} == {FEW}
    assert len(rows.validation[0]) == VALIDATION_ROWS and len(rows.test[0]) == 40
    assert not set(rows.texts) & {*rows.validation[0], *rows.test[0]}
    assert rows.texts == CASES[case][0](data, 1).texts != CASES[case][0](data, 2).texts
