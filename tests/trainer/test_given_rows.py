"""Rows of a file that a person gives: what is taken, what is left out and counted, what is refused."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.contract.job_file import JobError
from trainer.curate import given
from trainer.curate.dataset import DataSet
from trainer.curate.rows import Curated

LABELS = ("hr", "it")
WORDS = (("leave", "hr"), ("laptop", "it"))
ROWS = [{"text": f"{word} {number}", "label": label} for word, label in WORDS for number in range(50)]


def label_of(said: str) -> str:
    """The task's labels in any case."""
    return said.casefold() if said.casefold() in LABELS else ""


def jsonl(folder: Path, rows: Sequence[Any], name: str = "rows.jsonl") -> Path:
    """A file of JSON lines."""
    path = folder / name
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), "utf-8")
    return path


def curated(path: Path, test: Path | None = None, seed: int = 0) -> Curated:
    """The rows of files with their splits."""
    return given.data_set_rows(given.read(path), test and given.read(test), label_of, LABELS, seed)


def test_the_same_rows_in_each_format(tmp_path: Path) -> None:
    """JSON lines with a byte order mark, CSV with quoted line ends and Parquet give the same data set."""
    rows = [row | {"text": f"{row['text']}\nsecond, line"} for row in ROWS]
    lines = tmp_path / "a.jsonl"
    lines.write_text("\ufeff" + "\n\n".join(map(json.dumps, rows)), "utf-8")
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = {DataSet.of(curated(tmp_path / name)).digest for name in ("a.jsonl", "a.csv", "a.parquet")}
    assert len(found) == 1


def test_rows_without_a_split_are_drawn_label_by_label(tmp_path: Path) -> None:
    """A fifth of each label tests and a fifth of the rest compares; the seed decides which, and nothing else."""
    path = jsonl(tmp_path, ROWS)
    first = curated(path)
    counts = Counter((row.label, row.split) for row in first.rows)
    assert counts == {
        (label, split): n for label in LABELS for split, n in (("train", 32), ("validation", 8), ("test", 10))
    }
    assert first == curated(path) != curated(path, seed=1)
    assert DataSet.of(first).digest == DataSet.of(curated(path)).digest


def test_no_text_and_no_session_is_on_two_sides(tmp_path: Path) -> None:
    """Repetitions of a question, whatever their punctuation, and rows of one session stay together."""
    repeated = [row | {"text": f"{row['text']}!"} for row in ROWS]
    sessions = [row | {"session_id": f"s{number // 4}"} for number, row in enumerate([*ROWS, *repeated])]
    rows = curated(jsonl(tmp_path, sessions)).rows
    for name in ("text_digest", "cluster"):
        splits: dict[str, set[str]] = {}
        for row in rows:
            splits.setdefault(getattr(row, name), set()).add(row.split)
        if name == "text_digest":
            assert all(len(found) == 1 for found in splits.values())
    assert {row.split for row in rows} == {"train", "validation", "test"}


def test_a_test_file_tests_and_what_it_repeats_does_not_train(tmp_path: Path) -> None:
    """Training rows with a text of the test file are left out and counted; conflicting labels are kept and counted."""
    tests = [{"question": f"asked {n}", "intent": LABELS[n % 2]} for n in range(12)]
    tests.append({"question": "LEAVE 1", "intent": "hr"})
    odd = [*ROWS, {"text": "laptop 7", "label": "HR"}, {"text": "", "label": "hr"}, {"text": "no label", "label": None}]
    found = curated(jsonl(tmp_path, odd), jsonl(tmp_path, tests, "test.jsonl"))
    assert found.funnel["test"] == 13 and found.exclusions["leakage"] >= 1
    assert found.exclusions["without_text"] == found.exclusions["without_label"] == 1
    assert found.funnel["conflicting_texts"] == 1
    assert "leave 1" not in [row.text for row in found.rows if row.split == "train"]
    assert found.funnel["answers"] == len(found.rows) + sum(found.exclusions.values())


def test_what_nearly_repeats_a_held_out_row_does_not_train(tmp_path: Path) -> None:
    """A word more makes no other question: not between training and test, nor between choosing and either of them."""
    asked = "where do I find the form for parental leave of more than two months"
    splits = [("train", f"{asked}, please"), ("validation", f"hello, {asked}"), ("test", asked)]
    rows = [{"text": text, "label": "hr", "split": split} for split, text in splits]
    rows += [{"text": f"{text} here", "label": "hr", "split": split} for split, text in splits[:1]]
    compared = ("train", "my laptop does not start any more since this morning, thanks")
    rows += [{"text": compared[1], "label": "it", "split": compared[0]}]
    rows += [{"text": compared[1].replace(", thanks", ""), "label": "it", "split": "validation"}]
    usual = ["train"] * 20 + ["validation"] * 15 + ["test"] * 15
    rows += [row | {"split": split} for row, split in zip(ROWS, usual * 2, strict=True)]
    found = curated(jsonl(tmp_path, rows))
    assert found.exclusions == {"leakage": 4}
    assert Counter(row.split for row in found.rows) == {"train": 40, "validation": 31, "test": 31}


def test_an_export_keeps_its_splits_and_weights(tmp_path: Path) -> None:
    """What `headrace dataset export` writes: splits and weights as they are, holes left out."""
    splits = ["train"] * 20 + ["validation"] * 10 + ["test"] * 10 + ["forget"] * 10
    rows = [row | {"split": split, "weight": 2.5, "hole": ""} for row, split in zip(ROWS, splits * 2, strict=True)]
    rows.append({"text": "", "label": "", "split": "train", "weight": 0.0, "hole": "erased"})
    found = curated(jsonl(tmp_path, rows))
    assert Counter(row.split for row in found.rows) == {"train": 40, "validation": 20, "test": 20, "forget": 20}
    assert {row.weight for row in found.rows} == {2.5} and found.exclusions == {"without_text": 1}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"text": "a", "topic": "hr"}], "has no column label or intent"),
        ([{"words": "a", "label": "hr"}], "it has words, label: name the right one with --text"),
        (["{", "x"], "rows.jsonl, line 1 is not a JSON object"),
        ([*ROWS, {"text": "sell", "label": "sales"}], "no label 'sales' (1 rows), first in row 101; it has hr, it"),
        ([*ROWS, {"text": "x", "label": "hr", "weight": "-1"}], "row 101: the weight is '-1', not a positive number"),
        ([*ROWS, {"text": "x", "label": "hr", "weight": 1e-46}], "row 101: the weight is 1e-46, not a positive number"),
        ([*ROWS, {"text": "x", "label": "hr", "weight": 1e39}], "row 101: the weight is 1e+39, not a positive number"),
        ([*ROWS, {"text": ["x"], "label": "hr"}], "row 101: the text is a list, not a text"),
        ([*ROWS, {"text": "x", "label": {"name": "hr"}}], "row 101: the label is a JSON object, not a text"),
        (["[" * 100_000], "rows.jsonl, line 1 is not a JSON object"),
        (ROWS[:51], "each label needs 2 training rows, and it has"),
        (ROWS[44:56], "too few rows"),
        ([], "holds no row with a text and a label"),
        ([{"text": "a", "label": "hr", "split": "training?"}], "row 1: there is no split 'training?'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(tmp_path: Path, rows: list[Any], says: str) -> None:
    """It names the file, the row and what to do."""
    with pytest.raises(JobError) as error:
        curated(jsonl(tmp_path, rows))
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    """None there, another kind, another encoding."""
    (tmp_path / "latin.csv").write_bytes("text,label\ncafé,hr\n".encode("latin-1"))
    for name, says in (("none.csv", "there is no file"), ("a.xlsx", "is none of .jsonl"), ("latin.csv", "not UTF-8")):
        with pytest.raises(JobError, match=says):
            given.read(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("text,label\nHello, where is my payslip,hr\n", "line 2 has more fields than the header; put a field"),
        ("text,label,label\nmy payslip,hr,it\n", "has several columns 'label'; give each a name of its own"),
    ],
)
def test_a_row_whose_columns_are_shifted_is_refused(tmp_path: Path, content: str, says: str) -> None:
    """A comma that nobody quoted would make the end of the question the label; empty fields at the end do not."""
    path = tmp_path / "rows.csv"
    path.write_text(content, "utf-8")
    with pytest.raises(JobError) as error:
        given.read(path)
    assert says in str(error.value)
    path.write_text("text,label\nmy payslip,hr,,\n", "utf-8")
    assert [row.label for row in given.read(path).rows] == ["hr"]


def test_an_exports_teacher_rows_stay_a_teachers(tmp_path: Path) -> None:
    """By their source and not by their weight, which a person may give as he likes: they are trained otherwise."""
    rows = [row | {"weight": 0.5, "source": ("teacher", "audit", None)[n % 3]} for n, row in enumerate(ROWS)]
    splits = ["train"] * 25 + ["validation"] * 10 + ["test"] * 15
    rows = [row | {"split": split} for row, split in zip(rows, splits * 2, strict=True)]
    found = curated(jsonl(tmp_path, rows)).rows
    assert Counter(row.source for row in found) == {"teacher": 34, "file": 66}


def test_half_an_emoji_is_replaced(tmp_path: Path) -> None:
    """JavaScript writes half of a surrogate pair where a program cut a text; such a row is one like any other."""
    odd = [{"text": "thanks \ud83d", "label": "hr"}, {"text": "a\x00b", "label": "it"}]
    found = curated(jsonl(tmp_path, [*ROWS, *odd]))
    assert {"thanks \ufffd", "a\ufffdb"} <= {row.text for row in found.rows}
    assert DataSet.of(found).digest


def test_spellings_of_one_label_are_one_label(tmp_path: Path) -> None:
    """Case, blanks around it, and whether its accents are composed: as in a plan."""
    spelled = ("Café", "Cafe\u0301", " CAFÉ ", "hr")
    path = jsonl(tmp_path, [{"text": f"asked {n}", "label": spelled[n % 4]} for n in range(8)])
    assert given.labels_of(given.read(path)) == ["Café", "hr"]


def test_a_split_holds_wherever_it_first_stands(tmp_path: Path) -> None:
    """Of JSON lines the test rows alone may say theirs; a column that was asked for has to be in some row."""
    tests = [{"text": f"asked {n}", "label": LABELS[n % 2], "split": "test", "session": "s"} for n in range(12)]
    path = jsonl(tmp_path, [*ROWS, *tests])
    found = curated(path)
    assert {row.text for row in found.rows if row.split == "test"} == {row["text"] for row in tests}
    assert {row.cluster for row in found.rows if row.split == "test"} == {"s"}
    with pytest.raises(JobError, match="has no column 'fold'; it has label, session, split, text: name the right one"):
        given.read(path, split="fold")


def test_what_pandas_writes_for_nothing_is_nothing(tmp_path: Path) -> None:
    """NaN is no text, no label and no session, and a label of a column with gaps is the number that it was."""
    nan = float("nan")
    rows = [{"text": "a", "label": 3.0, "session": nan}, {"text": "b", "label": 3.0, "session": "b"}]
    rows += [{"text": "c", "label": 3.0, "session": "None"}, {"text": nan, "label": 3.0}, {"text": "d", "label": nan}]
    found = given.read(jsonl(tmp_path, rows))
    assert [(row.text, row.label, row.cluster) for row in found.rows] == [
        ("a", "3", ""),
        ("b", "3", "b"),
        ("c", "3", ""),
    ]
    assert (found.without_text, found.without_label) == (1, 1)
