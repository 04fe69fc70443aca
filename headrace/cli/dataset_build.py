"""Asks the trainer for a data set, and for nothing else."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.cli.ask import moment
from headrace.cli.clickhouse import connect
from headrace.cli.trainer import run
from headrace.contract.control import Served, Trigger, TriggerKind
from headrace.contract.ids import uuid7
from headrace.contract.job_file import JOB, RESULT, JobFile
from headrace.errors import SettingsError
from headrace.plan import Plan
from headrace.warehouse.copies import Copies

if TYPE_CHECKING:
    from headrace.settings import Settings

TRAINER = (sys.executable, "-m", "trainer.process.build")
# A data set that no job asked for is stored under this id.
NO_JOB = UUID(int=0)
# Where no version was ever promoted everything is the incumbent's.
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def build(settings: Settings, task: str, test_from: str, *, store: bool) -> dict[str, Any]:
    """What the data set of a job of now is: dataset, task, counts, exclusions, funnel, missing.

    test_from: a time as a person writes it; empty: since the live version serves
    Raises SettingsError, PlanError, HeadraceError in the trainer's words.
    """
    from headrace import plan

    found = plan.load(settings.plan)
    if found.task(task).kind == "generate":
        raise SettingsError(f'{task} is of kind = "generate", which no job trains: it has no data sets')
    with TemporaryDirectory(prefix="headrace-dataset-") as work:
        path = Path(work) / JOB
        path.touch(mode=0o600)
        path.write_text(_job(settings, found, task, test_from, Path(work)).model_dump_json(), "utf-8")
        run([*TRAINER, str(path), *(["--store"] if store else [])])
        story: dict[str, Any] = json.loads((Path(work) / RESULT).read_text("utf-8"))
    return story


def _job(settings: Settings, found: Plan, task: str, test_from: str, work: Path) -> JobFile:
    """A job that a person asks for now, against the version that is live as far as the warehouse knows."""
    promotion = Copies(connect(settings)).promotion(task)
    now = datetime.now(UTC)
    live = promotion.live if promotion else Served(version=found.task(task).incumbent.version)
    since = promotion.since if promotion else BEGINNING
    trigger = Trigger(
        trigger_id=uuid7(now),
        task=task,
        kind=TriggerKind.MANUAL,
        decided_at=now,
        reason="headrace dataset build",
        test_from=_moment(test_from) if test_from else since,
    )
    return JobFile(
        job_id=NO_JOB,
        trigger_id=trigger.trigger_id,
        task=task,
        number=1,
        attempt=0,
        version=f"{task}@1",
        work=work,
        trigger=trigger,
        live=live,
        plan=found,
        settings=settings.environ(secrets=()),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(moment(text)).replace(tzinfo=UTC)
