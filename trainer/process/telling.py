"""The report of an attempt, written into its folder before anything is published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from headrace.contract.findings import Candidate
from headrace.contract.job_file import JobFile
from headrace.plan import Plan, Task
from trainer.curate.dataset import DataSet
from trainer.progress import Progress
from trainer.publish.artifact import code_revision
from trainer.report import files
from trainer.report.story import Story

SHOWN = "candidates.jsonl"
"""In the attempt's folder: the rows of the table candidates that it wrote."""
IN_PROCESS = "in_process"


def tell(
    job: JobFile,
    dataset: DataSet,
    tuned_on: str,
    outcome: str,
    reason: str,
    seconds: Mapping[str, float],
    progress: Progress,
) -> tuple[Path, ...]:
    """The files of the report; none where it could not be written, which costs no version its publication."""
    try:
        story = _story(job, dataset, tuned_on, outcome, reason, seconds)
        written = files.write(story, job.work)
    except Exception as error:  # nobody waits for a report: a mistake in it is said, and the run goes on
        progress.say("report", f"the report could not be written: {type(error).__name__}", 1, 1)
        return ()
    progress.say("report", f"the report is {written[0]}", 1, 1)
    return written


def _story(
    job: JobFile, dataset: DataSet, tuned_on: str, outcome: str, reason: str, seconds: Mapping[str, float]
) -> Story:
    task, trigger = job.of_task, job.trigger
    return Story(
        task=job.task,
        version=job.version,
        live=job.live.version,
        run=f"attempt {job.attempt} at job {job.number} of {job.task} ({job.job_id})",
        at=datetime.now(UTC),
        why=f"{trigger.kind}: {trigger.reason}",
        outcome=outcome,
        reason=reason,
        dataset=dataset.digest,
        tuned_on=tuned_on,
        curated=dataset.curated,
        shown=shown_in(job.work),
        labels=task.labels,
        describe=task.describe,
        specs=task.candidates,
        bases={spec.base: job.plan.base(spec.base) for spec in task.candidates.values()},
        engines=_elsewhere(job.plan, task),
        seed=job.seed,
        code=code_revision(),
        seconds=dict(seconds),
    )


def shown_in(folder: Path) -> list[Candidate]:
    """The rows that the attempt wrote; none where it came to no candidate."""
    file = folder / SHOWN
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [Candidate.model_validate_json(line) for line in lines]


def _elsewhere(plan: Plan, task: Task) -> dict[str, str]:
    """The engine of each candidate that would not answer in a process as this one; empty for those that would."""
    named = {name: spec.engine or task.engine for name, spec in task.candidates.items()}
    return {
        name: engine if engine in plan.engines and plan.engines[engine].kind != IN_PROCESS else ""
        for name, engine in named.items()
    }
