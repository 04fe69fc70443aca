"""What a trainer is told, job.json, and how it answers: its exit code and result.json, both in the attempt's folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, ValidationError, model_validator

from headrace.contract.control import Served, Trigger
from headrace.contract.events import Name, Record, Text, sentence
from headrace.contract.verdict import Verdict
from headrace.errors import UserError
from headrace.plan import Plan, Task
from headrace.settings import FROM_FILE, PREFIX, Settings

JOB, RESULT = "job.json", "result.json"
HELD = "candidate.json"
"""In the work folder of an attempt whose tuned candidate waits for more test rows: which one that is."""
DATASET, CANDIDATES = "dataset", "candidates"
"""Folders in the work folder that the next look at a waiting candidate reads."""
WAIT = "wait"
"""The stage of progress of a trainer that waits for the device: its time is no part of the plan's budget."""


class Exit(IntEnum):
    """How the process ends. Anything else is a crash and may be tried again: a signal, too, whoever sent it.

    One whose budget is spent judges what it has finished and ends as any other: NO_WINNER where that is nothing.
    """

    WON = 0
    NO_WINNER = 10
    NOT_ENOUGH_LABELS = 11
    BAD_JOB = 12
    UNDECIDED = 13


class JobError(UserError):
    """The job file, its plan or an artifact it names cannot be used; trying again would not help."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which attempt something comes from.

    number: counts the job's attempts; version: what its winner is called; live: the version to beat
    """

    task: str
    job_id: UUID
    number: int
    version: str
    live: str


class JobFile(Record):
    """One attempt at one job.

    number: counts the task's jobs; version: what a winner is called, task@number
    attempt: counts the runs for this job; work: this run's own folder
    resume_from: the folder of an earlier attempt whose data set or waiting candidate may be taken over
    earlier: folders of all earlier attempts on this machine, the newest first, whose checkpoints may be copied
    live: the version to beat; settings: HEADRACE_* variables
    """

    job_id: UUID
    trigger_id: UUID
    task: Name
    number: Annotated[int, Field(ge=1)]
    attempt: Annotated[int, Field(ge=0)]
    version: Name
    work: Path
    resume_from: Path | None = None
    earlier: tuple[Path, ...] = ()
    trigger: Trigger
    live: Served
    plan: Plan
    settings: dict[str, str]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> JobFile:
        if self.task not in self.plan.tasks:
            raise ValueError(f"the plan has no task {self.task!r}")
        if self.version != f"{self.task}@{self.number}":
            raise ValueError(f"version is {self.version!r}, but job {self.number} makes {self.task}@{self.number}")
        if self.work.resolve() in {folder.resolve() for folder in self.left}:
            raise ValueError("resume_from is this attempt's own work folder")
        return self

    @property
    def of_attempt(self) -> Attempt:
        """What its rows and its bundle say of where they come from."""
        return Attempt(self.task, self.job_id, self.attempt, self.version, self.live.version)

    @property
    def left(self) -> tuple[Path, ...]:
        """Folders of earlier attempts on this machine, the newest first."""
        first = (self.resume_from,) if self.resume_from is not None else ()
        return tuple(dict.fromkeys([*first, *self.earlier]))

    @property
    def of_task(self) -> Task:
        """The plan's section for the task."""
        return self.plan.task(self.task)


class ByHand(Record):
    """What `headrace train` asks of a trainer: models of a file of rows, without Kafka and ClickHouse.

    data, test: files of rows; test: empty to split the test rows off
    text, label, split: names of their columns; empty: a usual name is looked for
    plan: empty to take the labels of the rows and the usual candidates; task: of it
    out: the folder for bundles, figures.json and the report; minutes: of the budget, 0 for the plan's
    """

    data: Path
    test: Path | None = None
    text: str = ""
    label: str = ""
    split: str = ""
    plan: Plan | None = None
    task: Name = "task"
    out: Path
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    minutes: Annotated[float, Field(ge=0)] = 0.0


FIGURES, REPORT, PAGE = "figures.json", "report.md", "report.html"
"""What training by hand leaves in its folder beside the bundles."""


class Result(Record):
    """What stands in result.json.

    outcome: undecided where the candidate in the work folder (HELD) waits for more test rows
    needs: after how many more blind audit labels to look again; served: what to promote
    verdict: the gate's, where a candidate met the test rows and did not win
    report: where the report of the run is; empty where there is none
    seconds: curate, training, evaluation; funnel: counts from feedback to rows
    """

    outcome: Literal["won", "no_winner", "not_enough_labels", "undecided", "bad_job"]
    reason: Text
    needs: int = 0
    served: Served | None = None
    verdict: Verdict | None = None
    dataset: str = ""
    report: str = ""
    seconds: dict[str, float] = Field(default_factory=dict)
    funnel: dict[str, int] = Field(default_factory=dict)

    @property
    def exit_code(self) -> Exit:
        """The process's exit code for this outcome."""
        return Exit[self.outcome.upper()]


def kept_in(artifacts: Path, task: str, job_id: UUID) -> Path:
    """The job's place in the artifact store: what its next attempt may go on from on another machine.

    It is no bundle's: a task's name does not begin with a dot. It is removed when the job needs it no more."""
    return artifacts.resolve() / ".jobs" / task / str(job_id)


def read(path: Path) -> JobFile:
    """Raises JobError in one sentence."""
    try:
        return JobFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise JobError(f"there is no job file at {path}; give the path of a job.json") from None
    except OSError as error:
        raise JobError(f"the job file {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise JobError(f"the job file {path} is malformed: {sentence('job', error)}") from None


def settings_of(job: JobFile) -> Settings:
    """The job file's settings, with the secrets of this process's own environment. Raises SettingsError."""
    own = {f"{PREFIX}{name}{end}".upper() for name in Settings.SECRETS for end in ("", FROM_FILE)}
    return Settings.from_environ({name: value for name, value in os.environ.items() if name in own} | job.settings)


def write_json(path: Path, value: Record | dict[str, Any]) -> None:
    """Appears whole or not at all."""
    text = value.model_dump_json(indent=1) if isinstance(value, Record) else json.dumps(value, indent=1, default=str)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, "utf-8")
    partial.replace(path)
