"""How often the test rows have been looked at since the live version won: what alpha is spent over."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from trainer_history import START, TASK, job_file, plan

from headrace.contract.findings import Candidate
from headrace.contract.ids import uuid7
from headrace.contract.job_file import JobFile, read
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate import sources


def job(settings: Settings, folder: Path) -> JobFile:
    """Any job."""
    return read(job_file(settings, folder, plan(("hr", "it")), START, START))


def met(
    warehouse: Warehouse, job_id: UUID, dataset: str, at: datetime, gate: str = "failed", version: str = ""
) -> None:
    """A candidate met the test rows of a data set."""
    row = Candidate(
        job_id=job_id,
        attempt=1,
        task=TASK,
        name="lora",
        at=at,
        gate=gate,
        split="test",
        version=version,
        dataset=dataset,
    ).model_dump(mode="json")
    warehouse.insert("candidates", [json.dumps({**row, "detail": "{}"}).encode()])


def test_looks_count_data_sets_since_the_live_version_won(empty: Warehouse, database: Settings, tmp_path: Path) -> None:
    """Each data set met since the last win counts once; the same job's same rows, and what came before, do not."""
    this = job(database, tmp_path)
    assert sources.look(empty, this.of_attempt, "now") == 1
    met(empty, this.job_id, "now", START)
    assert sources.look(empty, this.of_attempt, "now") == 1, "a second attempt on the same rows is the same look"
    met(empty, uuid7(START), "before", START, "vetoed")
    met(empty, uuid7(START), "validated", START, "not_selected")
    assert sources.look(empty, this.of_attempt, "now") == 2
    met(empty, uuid7(START), "won", START + timedelta(hours=1), "passed", this.live.version)
    assert sources.look(empty, this.of_attempt, "now") == 1, "the live version's own win starts the count again"
    met(empty, uuid7(START), "after", START + timedelta(hours=2))
    assert sources.look(empty, this.of_attempt, "now") == 2
