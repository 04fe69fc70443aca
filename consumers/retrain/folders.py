"""Where attempts work, and what is left there: questions only while an attempt runs or may be resumed."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from headrace.contract.control import FINAL_STATES, Job, JobState
from headrace.contract.job_file import CANDIDATES, DATASET, HELD, RESULT, kept_in
from headrace.models.bundle import CARD, REPORT, REPORT_TEXT
from headrace.settings import Settings

log = logging.getLogger(__name__)

ERRORS = "stderr.log"
_NAME = re.compile(r"([0-9]+)-a([0-9]+)")


def work_folder(settings: Settings, job: Job) -> Path:
    """Where the attempt works: jobs/<task>/<number>-a<attempt> under home."""
    return settings.home.resolve() / "jobs" / job.task / f"{job.number}-a{job.attempt}"


def make(settings: Settings, job: Job) -> Path:
    """The attempt's folder, which only its owner may enter. Raises OSError."""
    folder = work_folder(settings, job)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def settled(job: Job) -> bool:
    """Whether what its attempts have left is needed no more, but for a candidate that waits for more test rows.

    A job that waits without one is curated again when the labels are there.
    """
    return job.state in FINAL_STATES or job.state is JobState.WAITING


def clear(settings: Settings, jobs: Iterable[Job]) -> None:
    """Remove what the attempts of jobs that need it no more have left: data sets, checkpoints, candidates, job files.

    result.json and the report, which quotes no question, stay, and of a failed job what its trainer printed on stderr.
    Of a job that waits, its last attempt keeps the undecided candidate and the rows that it learned from. What cannot
    be removed is logged, and tried again at the next start.
    """
    done = {(job.task, job.number): job for job in jobs if settled(job)}
    for one in done.values():
        _remove(kept_in(settings.artifacts, one.task, one.job_id))
    for folder in (settings.home.resolve() / "jobs").glob("*/*"):
        name = _NAME.fullmatch(folder.name)
        job = done.get((folder.parent.name, int(name[1]))) if name else None
        # A job that waited when it was read may have begun its next attempt since.
        if name and job and (job.state in FINAL_STATES or int(name[2]) <= job.attempt):
            kept = {RESULT, REPORT, REPORT_TEXT, CARD} | ({ERRORS} if job.state is JobState.FAILED else set())
            if job.state is JobState.WAITING and int(name[2]) == job.attempt and (folder / HELD).exists():
                kept |= {HELD, DATASET, CANDIDATES}
            _empty(folder, kept)


def earlier(settings: Settings, job: Job) -> tuple[Path, ...]:
    """Folders of the earlier attempts on this machine, the newest first."""
    attempts = (job.model_copy(update={"attempt": number}) for number in range(job.attempt - 1, 0, -1))
    return tuple(folder for one in attempts if (folder := work_folder(settings, one)).is_dir())


def resumable(settings: Settings, job: Job) -> Path | None:
    """The newest earlier attempt's folder that holds something to go on from; None where there is none.

    An attempt that crashed before it had a data set hides no earlier one.
    """
    left = earlier(settings, job)
    return next((folder for folder in left if any((folder / kept).exists() for kept in (HELD, DATASET))), None)


def _remove(folder: Path) -> None:
    """What the job has left in the artifact store."""
    try:
        if folder.is_dir():
            shutil.rmtree(folder)
    except OSError as error:
        log.warning("%s still holds what a finished job left: %s", folder, error)


def _empty(folder: Path, kept: set[str]) -> None:
    try:
        for entry in folder.iterdir():
            if entry.name in kept:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s still holds what a finished job left: %s", folder, error)
