"""A data set is immutable, named by its digest, and holds nothing that may no longer be used."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from curation_rules import LABELS, by_id, curated_history, many, rules
from trainer_history import START, TASK, History, job_file, plan

from headrace.contract import job_file as jobs
from headrace.contract.ids import uuid7
from headrace.contract.job_file import Attempt
from headrace.plan import Privacy
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from headrace.warehouse.datasets import ANSWERS, Hole, erase
from trainer.curate import sources
from trainer.curate.dataset import ASKED_ROWS, DataSet
from trainer.curate.rows import Curated
from trainer.curate.selection import curate
from trainer.process.rows import answered, curated
from trainer.progress import Progress

UNUSUAL = ("Zuš\u0301 पासवर्ड \U0001f511", 'tab\t, "quotes", line\nbreak, \x1f')


def stored(history: History, warehouse: Warehouse) -> DataSet:
    """The history's data set, in the warehouse."""
    dataset = DataSet.of(curated_history(history, warehouse))
    dataset.store(warehouse, Attempt(TASK, uuid7(history.now), 1, "router@1", "router@0"))
    return dataset


def check(warehouse: Warehouse, dataset: DataSet) -> dict[str, int]:
    (found,) = warehouse.query("datasets/check", dataset=dataset.digest)
    return found


def unusual(history: History) -> None:
    """Questions in whose texts, labels and weights a digest could go wrong."""
    many(history, 30)
    for number, text in enumerate(UNUSUAL):
        answer = history.ask(f"{text} {number}", "hr", session_id=f"s {number}")
        history.say(answer, "reviewer", "verdict", label="it", blame="routing")
    answer = history.ask("one in three is drawn", "hr", audited=True, audit_probability=1 / 3)
    history.say(answer, "audit", "label", label="it", inclusion_probability=1 / 3)


def test_consent_taken_back_takes_the_row_out(empty: Warehouse) -> None:
    """A later revision of the answer without consent leaves nothing of it, also in a data set that is taken over."""
    history = History()
    answers = many(history, 30)
    dataset = stored(history, empty)
    assert dataset.still_allowed(empty, rules())
    gone = next(row.inference_id for row in dataset.curated.rows if row.split == "train")
    found = [
        dataclasses.replace(answer, consent=answer.inference_id != gone) for answer in sources.answers(empty, TASK)
    ]
    again = curate(found, rules())
    assert gone not in by_id(again) and again.exclusions["no_consent"] == 1
    update = "ALTER TABLE inferences UPDATE {} WHERE inference_id = {{id:UUID}} SETTINGS mutations_sync = 2"
    empty.command(update.format("consent = false"), id=gone)
    assert not dataset.still_allowed(empty, rules())
    assert dataset.still_allowed(empty, rules(privacy=Privacy(require_consent=False)))
    empty.command(update.format("input = 'another question', consent = true"), id=gone)
    assert not dataset.still_allowed(empty, rules())
    empty.command("ALTER TABLE inferences DELETE WHERE inference_id = {id:UUID} SETTINGS mutations_sync = 2", id=gone)
    assert not dataset.still_allowed(empty, rules(privacy=Privacy(require_consent=False)))
    assert len(answers) == 30


def test_a_data_set_survives_its_files_and_tables(empty: Warehouse, database: Settings) -> None:
    """Read back from its folder it is the same; with one character changed it is none."""
    history = History()
    unusual(history)
    dataset = DataSet.of(curated_history(history, empty))
    folder = database.home / "dataset"
    dataset.write(folder)
    rows, texts = folder / "rows.jsonl", folder / "texts.jsonl"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (rows, texts)] == [0o600, 0o600]
    assert DataSet.read(folder) == dataset
    assert "question number 3 " in texts.read_text("utf-8") and "question" not in rows.read_text("utf-8")
    for path, one, other in (
        (texts, "question number 3 ", "question number 4 "),
        (rows, '"label": "it"', '"label": "hr"'),
    ):
        before = path.read_text("utf-8")
        path.write_text(before.replace(one, other, 1), "utf-8")
        assert DataSet.read(folder) is None
        path.write_text(before, "utf-8")
    assert DataSet.read(folder) == dataset


def test_a_text_that_was_taken_out_of_the_files_is_a_hole(empty: Warehouse, database: Settings) -> None:
    """The data set keeps its digest, and is not taken over."""
    history = History()
    many(history, 30)
    dataset = stored(history, empty)
    folder = database.home / "emptied"
    dataset.write(folder)
    texts = folder / "texts.jsonl"
    kept = texts.read_text("utf-8").splitlines()[1:]
    texts.write_text("\n".join(kept) + "\n", "utf-8")
    found = DataSet.read(folder)
    assert found is not None and found.digest == dataset.digest
    assert sum(row.text == "" for row in found.curated.rows) == 1
    assert dataset.still_allowed(empty, rules()) and not found.still_allowed(empty, rules())


def test_a_next_attempt_takes_a_data_set_over_while_it_may(empty: Warehouse, database: Settings) -> None:
    """Labels that came since change nothing; a consent that was taken back makes it curate again."""
    history = History()
    many(history, 60)
    history.store(empty)
    few = plan(LABELS, curation={"min_test_rows": 30, "min_train_rows": 10})

    def attempt(number: int, **fields: Any) -> DataSet:
        path = job_file(database, database.home / f"attempt {number}", few, START, history.now, **fields)
        job = jobs.read(path)
        progress = Progress(io.StringIO())
        return curated(job, answered(job, empty, jobs.settings_of(job), progress), empty, progress)

    first = attempt(1)
    history.audited("a question that came later", "hr", "hr")
    history.store(empty)
    assert attempt(2, resume_from=str(database.home / "attempt 1")) == first != attempt(3)
    taken_back = first.curated.rows[7].inference_id
    update = "ALTER TABLE inferences UPDATE consent = false WHERE inference_id = {id:UUID} SETTINGS mutations_sync = 2"
    empty.command(update, id=taken_back)
    again = attempt(4, resume_from=str(database.home / "attempt 2"))
    assert len(again.curated.rows) == 60 and taken_back not in by_id(again.curated)


def test_a_data_set_of_an_older_version_is_not_taken_over(tmp_path: Path) -> None:
    """Its rows are not known to be what they were; the attempt curates again."""
    (tmp_path / "rows.jsonl").write_text("", "utf-8")
    (tmp_path / "manifest.json").write_text(json.dumps({"dataset": "d" * 64, "exclusions": {}, "funnel": {}}), "utf-8")
    assert DataSet.read(tmp_path) is None


def test_the_warehouse_checks_a_digest(empty: Warehouse) -> None:
    """SQL makes the same digests of the stored rows as the trainer did, and finds a row that was changed."""
    history = History()
    unusual(history)
    dataset = stored(history, empty)
    rows = len(dataset.curated.rows)
    assert {"rows": rows, "erased": 0, "wrong": 0, "same": 1} == check(empty, dataset)
    weights = {row.weight for row in dataset.curated.rows}
    assert rows == 33 and max(weights) == pytest.approx(20) and any(weight == pytest.approx(3) for weight in weights)
    answer = dataset.curated.rows[0].inference_id
    change = "ALTER TABLE dataset_rows UPDATE label = 'x' WHERE inference_id = {id:UUID} SETTINGS mutations_sync = 1"
    empty.command(change, id=answer)
    assert check(empty, dataset)["wrong"] == 1


def test_an_erasure_empties_rows_and_names_the_holes(empty: Warehouse) -> None:
    """Of an erased answer its place is left in a data set, whose digest still holds; and where that is can be named."""
    history = History()
    many(history, 30)
    dataset = stored(history, empty)
    gone = dataset.curated.rows[5]
    someone = [
        (gone.tenant, gone.inference_id),
        ("another", dataset.curated.rows[6].inference_id),
        *((gone.tenant, uuid7(history.now)) for _ in range(2 * ANSWERS)),
    ]
    assert erase(empty, someone, "erasure 1") == [Hole(dataset.digest, 1)]
    assert erase(empty, someone, "erasure 2") == []
    assert check(empty, dataset) == {"rows": 30, "erased": 1, "wrong": 0, "same": 1}
    (row,) = empty.rows("SELECT * FROM dataset_rows FINAL WHERE erasure != ''")
    assert row["erasure"] == "erasure 1" and row["erased_at"].year > 2000
    assert (row["inference_id"], row["split"]) == (gone.inference_id, gone.split)
    left = {name for name, value in row.items() if value and value != UUID(int=0)}
    assert left == {"dataset", "split", "tenant", "inference_id", "source", "row_digest", "erased_at", "erasure"}


def test_many_rows_are_asked_in_pieces(empty: Warehouse) -> None:
    """As many ids as one statement names fit into it."""
    history = History()
    many(history, 1)
    (row,) = stored(history, empty).curated.rows
    rows = tuple(dataclasses.replace(row, feedback_id=uuid7(history.now)) for _ in range(ASKED_ROWS + 1))
    counts: dict[str, int] = {}
    assert DataSet.of(Curated(rows, counts, counts)).still_allowed(empty, rules())
    other = (*rows, dataclasses.replace(row, inference_id=uuid7(history.now)))
    assert not DataSet.of(Curated(other, counts, counts)).still_allowed(empty, rules())
