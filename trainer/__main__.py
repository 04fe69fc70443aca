"""`python -m trainer job.json`: one attempt at one retraining job, as a child process of whoever owns the job.

Standard output: JSON lines of progress. Standard input: a pipe whose end the parent holds; it closing ends the
trainer at once. <work>/result.json: the outcome. Exit code: headrace.contract.job_file.Exit; anything else is a crash.
"""

from __future__ import annotations

import sys
from pathlib import Path

from headrace.contract import job_file as jobs
from headrace.errors import UserError
from headrace.models.bundle import REPORT
from headrace.models.encoder_base import sleep_while_waiting
from trainer.process import crash, lifecycle
from trainer.progress import on_stdout


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    lifecycle.die_with_parent()
    sys.excepthook = crash.hook
    if len(arguments) != 1:
        print("trainer takes one argument, the path of a job.json", file=sys.stderr)
        return jobs.Exit.BAD_JOB
    lifecycle.stay_offline()
    sleep_while_waiting()  # before the stages import torch
    from trainer.process.run import run

    progress = on_stdout()
    job: jobs.JobFile | None = None
    try:
        job = jobs.read(Path(arguments[0]))
        settings = jobs.settings_of(job)
        job.work.mkdir(parents=True, exist_ok=True, mode=0o700)
        lifecycle.be_bounded(job.plan.budget.memory_gib)
        with lifecycle.device(settings.home, progress):
            result = run(job, progress)
    except UserError as error:
        print(error, file=sys.stderr)
        result = jobs.Result(outcome="bad_job", reason=str(error))
    if job is not None:
        report = (Path(result.served.artifact) if result.served else job.work) / REPORT
        named = result.model_copy(update={"report": str(report) if report.exists() else ""})
        jobs.write_json(job.work / jobs.RESULT, named)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
