"""An attempt's report: from its rows of the table candidates to files in its folder, and never at a version's cost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from test_judgement import Silent, row
from trainer_history import START, job_file, plan

from headrace.contract import job_file as jobs
from headrace.plan import CandidateSpec
from headrace.settings import Settings
from trainer.curate.dataset import DataSet
from trainer.curate.rows import Curated
from trainer.process.report import Report
from trainer.process.telling import shown_in, tell
from trainer.progress import Progress
from trainer.tune.candidates import Tuned


class Heard(Silent):
    """What was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def say(self, stage: str, message: str, *args: Any) -> None:
        """Remember it."""
        self.said.append((stage, message))


class Nowhere:
    """A warehouse that keeps nothing."""

    def insert(self, table: str, rows: Any) -> None:
        """Nothing."""


@pytest.fixture
def job(tmp_path: Path) -> jobs.JobFile:
    """A job with one candidate on an engine that is not in process."""
    engines = {"big": {"kind": "vllm", "url": "http://127.0.0.1:9/v1"}}
    task = plan(("hr", "it"), engines, candidates={"probe": {"method": "probe", "engine": "big"}})
    settings = Settings(home=tmp_path)
    return jobs.read(job_file(settings, tmp_path / "work", task, START, datetime(2026, 4, 1, tzinfo=UTC)))


def test_a_run_without_a_tuned_candidate_says_why(job: jobs.JobFile) -> None:
    """The failure of each candidate is in the report, with the counts of the data set; what was asked is not."""
    rows = [row(number, "train", f"a secret question {number}", "hr") for number in range(3)]
    dataset = DataSet.of(Curated(tuple(rows), {"leakage": 2}, {"answers": 5, "train": 3}))
    report = Report(cast(Any, Nowhere()), job.work, job.of_attempt, dataset.digest, dataset.digest, {})
    failed = Tuned("probe", CandidateSpec(method="probe"), 0.1, None, failure="ran out of the plan's 2 minutes")
    report.write([report.failed(failed)])
    assert [one.name for one in shown_in(job.work)] == ["probe"]
    heard = Heard()
    written = tell(job, dataset, dataset.digest, "no_winner", "none was tuned", {}, cast(Progress, heard))
    assert [file.name for file in written] == ["report.html", "report.md"]
    assert heard.said == [("report", f"the report is {job.work / 'report.html'}")]
    text = (job.work / "report.md").read_text("utf-8")
    assert "ran out of the plan's 2 minutes" in text and "leakage" in text and dataset.digest in text
    assert "secret" not in text


def test_a_report_that_cannot_be_written_costs_no_version(job: jobs.JobFile) -> None:
    """Its failure is said, without what it may quote."""
    (job.work / "candidates.jsonl").write_text('{"name": "a secret"}\n')
    dataset, heard = DataSet.of(Curated((), {}, {})), Heard()
    assert tell(job, dataset, "", "won", "better", {}, cast(Progress, heard)) == ()
    assert heard.said == [("report", "the report could not be written: ValidationError")]
