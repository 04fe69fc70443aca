"""A data set is immutable, named by its digest, and holds nothing that may no longer be used."""

from __future__ import annotations

import dataclasses

from curation_rules import by_id, curated_history, many, rules
from trainer_history import TASK, History

from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.dataset import DataSet
from trainer.curate.selection import curate


def test_consent_taken_back_takes_the_row_out(empty: Warehouse) -> None:
    """A later revision of the answer without consent leaves nothing of it, also in a data set that is taken over."""
    history = History()
    answers = many(history, 30)
    curated = curated_history(history, empty)
    dataset = DataSet.of(curated)
    assert dataset.still_allowed(sources.answers(empty, TASK), rules())
    gone = next(row.inference_id for row in curated.rows if row.split == "train")
    found = [
        dataclasses.replace(answer, consent=answer.inference_id != gone) for answer in sources.answers(empty, TASK)
    ]
    assert not dataset.still_allowed(found, rules())
    again = curate(found, rules())
    assert gone not in by_id(again) and again.exclusions["no_consent"] == 1
    empty.command("ALTER TABLE inferences DELETE WHERE inference_id = {id:UUID} SETTINGS mutations_sync = 2", id=gone)
    assert not dataset.still_allowed(sources.answers(empty, TASK), rules())
    assert len(answers) == 30


def test_a_data_set_survives_its_files_and_tables(empty: Warehouse, database: Settings) -> None:
    """Read back from its folder it is the same; with one character changed it is none."""
    history = History()
    many(history, 50)
    dataset = DataSet.of(curated_history(history, empty))
    folder = database.home / "dataset"
    dataset.write(folder)
    assert (folder / "rows.jsonl").stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700
    found = DataSet.read(folder)
    assert found == dataset
    text = (folder / "rows.jsonl").read_text("utf-8")
    (folder / "rows.jsonl").write_text(text.replace("question number 3 ", "question number 4 "), "utf-8")
    assert DataSet.read(folder) is None
