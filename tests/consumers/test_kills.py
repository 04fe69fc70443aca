"""SIGKILL at random moments: each job ends published once, or failed with a reason.

The moments are drawn by SEED. Fourteen meet the stand-in, at the consumer or at its child; six the real trainer: the
consumer, the child, the child in the middle of a save, and an artifact store that is away when it publishes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from following import Process, send, tail, trigger, until
from test_retrain import SCRIPT, office, runs
from trainer_history import History, questions

from headrace.contract.control import FINAL_STATES, Job, JobState
from headrace.contract.ids import uuid7
from headrace.contract.topics import JOBS, ROLLOUTS, TRIGGERS
from headrace.models import bundle
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = [pytest.mark.stack, pytest.mark.acceptance, pytest.mark.timeout(3600)]

Start = Callable[..., Process]
SEED = int(os.environ.get("SEED", "1"))
KILLS = 14
PATIENCE_S = 1800.0
REAL = ["-m", "consumers.retrain"]
PLAN = """
version = 2
[budget]
threads = 2
attempts = 12
minutes = 30
[tasks.router]
mode = "auto"
labels = [{labels}]
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
version = "router@0"
[tasks.router.curation]
test_share = 0.4
min_test_rows = 120
min_train_rows = 50
min_new_rows = 0
[tasks.router.gate]
max_ece = 0.5
per_label_drop = 0.5
max_cost_ratio = 1000
[tasks.router.candidates.adapted]
method = "lora"
rank = 8
epochs = 6
"""


def last(jobs: list[Job]) -> dict[str, Job]:
    """The newest state of each job, by task and number."""
    return {f"{job.task}@{job.number}": job for job in jobs}


async def test_the_stand_in_is_killed_at_random_moments(stack: Settings, processes: Start) -> None:
    """Whoever dies, when, and how often: a job has one end, and a rollout request exactly where it won."""
    draw = random.Random(SEED)
    tasks = [f"k{number}" for number in range(KILLS)]
    settings = office(stack, "kills", "attempts = 3", **{task: ["work:1.5"] for task in tasks})
    process = await processes(settings, SCRIPT, "retrain").ready()
    await send(settings, TRIGGERS, *(trigger(task) for task in tasks))
    killed = Counter[str]()
    async with tail(settings, JOBS) as jobs, tail(settings, ROLLOUTS) as rollouts:
        for _ in range(KILLS):
            await asyncio.sleep(draw.uniform(0.2, 3.0))
            if draw.random() < 0.5:
                process.signal(signal.SIGKILL)
                await process.ended()
                process = processes(settings, SCRIPT, "retrain")
                killed["consumer"] += 1
            else:
                with suppress(ProcessLookupError, IndexError):
                    os.kill([run for task in tasks for run in runs(settings, task)][-1]["pid"], signal.SIGKILL)
                    killed["child"] += 1
        ended = await jobs.until(lambda found: _all_ended(found, len(tasks)), PATIENCE_S)
        await jobs.more(2.0)
        won = [job for job in ended.values() if job.state is JobState.WON]
        await rollouts.until(lambda found: len({request.task for request in found}) >= len(won))
        await rollouts.more(2.0)
    print(f"\n{dict(killed)} killed, {dict(Counter(job.state.value for job in ended.values()))}")
    assert Counter(request.task for request in rollouts.records) == Counter(job.task for job in won)
    assert all(job.state in (JobState.WON, JobState.FAILED) and job.reason for job in ended.values())
    ends = Counter((job.task, job.number) for job in jobs.records if job.state in FINAL_STATES)
    assert set(ends.values()) == {1} and len(ends) == len(tasks)


def _all_ended(jobs: list[Job], number: int) -> dict[str, Job]:
    found = last(jobs)
    done = len(found) == number and all(job.state in FINAL_STATES for job in found.values())
    return found if done else {}


@pytest.fixture(scope="module")
def asked(stack: Settings, warehouse: Warehouse) -> History:
    """Questions of five labels, of which an incumbent has a third right, each with a blind label.

    Three in five of them may train, and what they teach has to be proven better on the others.
    """
    rows, draw, history = questions(500), random.Random(3), History()
    labels = sorted({label for _, label in rows})
    for text, label in rows:
        history.audited(text, label if draw.random() < 0.15 else draw.choice(labels), label)
    history.store(warehouse)
    return history


async def test_the_trainer_is_killed_at_random_moments(stack: Settings, processes: Start, asked: History) -> None:
    """Six faults in one job: it is published once, and its adapter is, byte for byte, that of a run without a fault."""
    faults, draw = ["consumer", "child", "save", "consumer", "child", "store"], random.Random(SEED)
    settings = _home(stack, "real")
    process = await processes(settings, REAL, "retrain").ready()
    midnight = asked.now.replace(hour=0, minute=0, second=0)
    wanted = trigger("router", decided_at=asked.now, test_from=midnight)
    await send(settings, TRIGGERS, wanted)
    job_json: dict[str, Any] = {}
    async with tail(settings, JOBS) as jobs, tail(settings, ROLLOUTS) as rollouts:
        for attempt, fault in enumerate(faults, 1):
            await jobs.until(partial(_running_or_ended, attempt=attempt), PATIENCE_S)
            if _newest(jobs.records).state in FINAL_STATES:
                break
            work = settings.home / "jobs" / "router" / f"1-a{attempt}"
            job_json = job_json or json.loads(await until(partial(_text, work / "job.json"), PATIENCE_S))
            if fault == "store":
                with _away(settings.artifacts):
                    await jobs.until(partial(_stopped, attempt=attempt), PATIENCE_S)
                continue
            await until((work / "dataset" / "manifest.json").exists, PATIENCE_S)
            child = await until(partial(_trainer_of, process), PATIENCE_S)
            if fault == "save":
                await _saves(work / "checkpoints", child)
            else:
                await asyncio.sleep(draw.uniform(0.0, 20.0))
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                (process.popen if fault == "consumer" else child).send_signal(signal.SIGKILL)
            if fault == "consumer":
                await process.ended()
                process = processes(settings, REAL, "retrain")
        await jobs.until(lambda found: _newest(found).state in FINAL_STATES, PATIENCE_S)
        done = _newest(jobs.records)
        assert done.state is JobState.WON, done.reason
        await rollouts.until(lambda found: [one for one in found if one.task == "router"])
        await rollouts.more(2.0)
    print(f"\nattempt {done.attempt} won, after {faults}")
    (request,) = [one for one in rollouts.records if one.task == "router"]
    assert not list((settings.artifacts / ".jobs").glob("*/*"))
    resumed = bundle.verify(Path(request.candidate.artifact), request.candidate.digest)
    assert _read_by_models(resumed) == _read_by_models(_straight(settings, job_json))


def _read_by_models(manifest: bundle.Manifest) -> dict[str, str]:
    """The digest of each file but those for people, which say when and as what the job ran."""
    for_people = {bundle.REPORT, bundle.REPORT_TEXT, bundle.CARD}
    return {name: digest for name, digest in manifest.files.items() if name not in for_people}


def _home(stack: Settings, name: str) -> Settings:
    home = stack.home / name
    (home / "artifacts").mkdir(parents=True)
    labels = ", ".join(f'"{label}"' for label in sorted({label for _, label in questions(500)}))
    (home / "flywheel.toml").write_text(PLAN.format(labels=labels))
    return stack.replaced(home=home, plan=home / "flywheel.toml", artifacts=home / "artifacts")


def _straight(settings: Settings, job: dict[str, Any]) -> bundle.Manifest:
    """The same job as another one, without a fault: what it published."""
    work = settings.home / "straight"
    work.mkdir()
    changed = {"job_id": str(uuid7()), "number": 2, "version": "router@2", "attempt": 1, "work": str(work)}
    (work / "job.json").write_text(json.dumps(job | changed | {"resume_from": None, "earlier": []}))
    command = [sys.executable, "-m", "trainer", str(work / "job.json")]
    environ = os.environ | settings.environ(secrets=("clickhouse_password",))
    # Its stdin stays open until it ends: a trainer whose stdin closes takes its parent for dead.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait() == 0, errors
    served = json.loads((work / "result.json").read_text())["served"]
    return bundle.verify(Path(served["artifact"]), served["digest"])


async def _saves(folder: Path, child: psutil.Process) -> None:
    """Until a checkpoint is being written, or has just been."""
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")}
    while child.is_running() and not list(folder.glob(".*.partial")):
        if any(file.stat().st_mtime_ns != before.get(file) for file in folder.glob("*.safetensors")):
            return
        await asyncio.sleep(0.001)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _running_or_ended(jobs: list[Job], attempt: int) -> bool:
    """Whether the newest state of the job is at least the attempt's run, or its end."""
    own = [job for job in jobs if job.task == "router"]
    return bool(own) and (own[-1].state in FINAL_STATES or (_runs(own[-1]) and own[-1].attempt >= attempt))


def _stopped(jobs: list[Job], attempt: int) -> bool:
    """Whether the attempt's run has come to an end."""
    return _newest(jobs).attempt > attempt or not _runs(_newest(jobs))


def _newest(jobs: list[Job]) -> Job:
    """The newest state of the router's job."""
    return [job for job in jobs if job.task == "router"][-1]


def _runs(job: Job) -> bool:
    return job.state is JobState.RUNNING


def _trainer_of(process: Process) -> psutil.Process | None:
    """The trainer that a consumer runs."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.popen.pid).children(recursive=True):
            if "trainer" in child.cmdline():
                return child
    return None


@contextmanager
def _away(store: Path) -> Iterator[None]:
    """No folder where the store was, and none can be made there."""
    aside = store.with_name("aside")
    store.rename(aside)
    store.write_text("away")
    try:
        yield
    finally:
        store.unlink()
        aside.rename(store)
