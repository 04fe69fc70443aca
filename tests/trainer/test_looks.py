"""How many candidates have met the test rows since the live version won: what alpha is spent over."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from trainer_history import START, TASK, History, job_file, plan

from headrace.contract.findings import Candidate
from headrace.contract.ids import uuid7
from headrace.contract.job_file import JobFile, read
from headrace.plan import Curation
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.process.pace import Labels, unlearned


def job(settings: Settings, folder: Path) -> JobFile:
    """Any job."""
    return read(job_file(settings, folder, plan(("hr", "it")), START, START))


def met(
    warehouse: Warehouse,
    job_id: UUID,
    dataset: str,
    at: datetime,
    gate: str = "failed",
    version: str = "",
    tuned_on: str = "",
    attempt: int = 1,
) -> None:
    """A candidate met the test rows of a data set."""
    row = Candidate(
        job_id=job_id,
        attempt=attempt,
        task=TASK,
        name="lora",
        at=at,
        gate=gate,
        split="test",
        version=version,
        dataset=dataset,
    ).model_dump(mode="json")
    detail = json.dumps({"tuned_on": tuned_on} if tuned_on else {})
    warehouse.insert("candidates", [json.dumps({**row, "detail": detail}).encode()])


def test_candidates_are_counted_since_the_live_version_won(
    empty: Warehouse, database: Settings, tmp_path: Path
) -> None:
    """Each candidate that met test rows since the last win counts once; this one's own looks do not, nor what came
    before."""
    this = job(database, tmp_path)
    assert sources.number(empty, this.of_attempt, "lora", "now") == 1
    met(empty, this.job_id, "now", START)
    assert sources.number(empty, this.of_attempt, "lora", "now") == 1, "a second attempt on the same rows is one look"
    assert sources.number(empty, this.of_attempt, "probe", "now") == 2, (
        "another candidate of the same attempt is another"
    )
    met(empty, uuid7(START), "before", START - timedelta(hours=1), "vetoed")
    met(empty, uuid7(START), "validated", START, "not_selected")
    assert sources.number(empty, this.of_attempt, "lora", "now") == 2
    met(empty, uuid7(START), "won", START + timedelta(hours=1), "passed", this.live.version)
    assert sources.number(empty, this.of_attempt, "lora", "now") == 1, (
        "the live version's own win starts the count again"
    )
    met(empty, uuid7(START), "after", START + timedelta(hours=2))
    assert sources.number(empty, this.of_attempt, "lora", "now") == 2


def test_looks_at_one_candidate_are_one(empty: Warehouse, database: Settings, tmp_path: Path) -> None:
    """A candidate that waits keeps its share of alpha over any number of data sets and of candidates after it."""
    this = job(database, tmp_path)
    for day, gate in enumerate(["undecided", "undecided", "undecided"]):
        met(empty, this.job_id, f"day {day}", START + timedelta(days=day), gate, tuned_on="day 0", attempt=day + 1)
    assert sources.number(empty, this.of_attempt, "lora", "day 0") == 1
    assert sources.number(empty, this.of_attempt, "lora", "day 3") == 2, "a new candidate of the same job is the second"
    met(empty, this.job_id, "day 3", START + timedelta(days=3), "undecided", tuned_on="day 3", attempt=4)
    met(empty, uuid7(START), "other", START + timedelta(days=4))
    assert sources.number(empty, this.of_attempt, "lora", "day 0") == 1
    assert sources.number(empty, this.of_attempt, "lora", "day 3") == 2


def test_the_rate_of_labels_is_that_of_the_last_week(empty: Warehouse) -> None:
    """Older labels do not count; labels of less than a day are no rate of more; where none come, none are promised."""
    assert sources.labels_per_day(empty, TASK, "") == 0
    history = History()
    for _ in range(6):
        history.audited("Where is my payslip?", "hr", "hr")
    history.store(empty)
    assert sources.labels_per_day(empty, TASK, "") == 6
    history.pass_time(days=20)
    for _ in range(10):
        history.pass_time(hours=12)
        history.audited("Where is my payslip?", "hr", "hr")
    history.store(empty)
    assert 2 <= round(sources.labels_per_day(empty, TASK, ""), 1) <= 2.3
    # Questions go on, and no label comes any more.
    history.pass_time(days=40)
    history.ask("Where is my payslip?", "hr")
    history.store(empty)
    assert sources.labels_per_day(empty, TASK, "") == 0
    assert sources.labels_per_day(empty, TASK, "another tenant") == 0


def test_an_emitter_whose_clock_is_ahead_stops_no_labels(empty: Warehouse) -> None:
    """Its answer of next decade is not the newest, from which the last week is counted."""
    history, ahead = History(), History()
    for _ in range(6):
        history.audited("Where is my payslip?", "hr", "hr")
    ahead.pass_time(days=4000)
    ahead.audited("Where is my payslip?", "hr", "hr")
    for one in (history, ahead):
        one.store(empty)
    assert sources.labels_per_day(empty, TASK, "") == 6


def test_how_many_more_labels_is_said_in_days() -> None:
    """Days at today's rate, hours where it is less, and no promise where no labels come."""
    assert Labels(100, 50.0).more(150) == "150 more, about 3 days at today's rate of 50 a day"
    assert Labels(100, 50.0).more(25) == "25 more, about 12 hours at today's rate of 50 a day"
    assert Labels(100, 0.0).more(25) == "25 more, and none come at present"
    assert unlearned(0, Curation(min_new_rows=30)) == (
        200,
        "0 training rows since the change of the 30 asked for",
    )
    assert unlearned(30, Curation(min_new_rows=30)) == (0, "")
    assert Labels(200, 50.0).for_rows(150, 300) == 200 and Labels(0, 0.0).for_rows(0, 0) == 1
    assert Labels(200, 50.0).until_next_look(400) == 20 and Labels(20, 50.0).until_next_look(4) == 4
