"""consumers.retrain as its own process on a real Kafka and ClickHouse, with a trainer that does as it is told."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from following import Process, alive, send, tail, trigger, until
from slowness import slowness

from headrace.bus.kafka import KafkaProducer
from headrace.contract import ids
from headrace.contract.control import Job, JobState, Promotion, RequestKind, Served, Step, TriggerKind
from headrace.contract.events import new_feedback, new_inference
from headrace.contract.topics import DEAD_LETTERS, JOBS, PROGRESS, PROMOTIONS, ROLLOUTS, TRIGGERS
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

SCRIPT = [str(Path(__file__).with_name("retrain_process.py"))]
TASK = """
[tasks.{name}]
labels = ["hr", "it"]
[tasks.{name}.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
version = "{name}@0"
[tasks.{name}.candidates.probe]
method = "probe"
"""

Start = Callable[..., Process]


def office(settings: Settings, folder: str, budget: str = "", **actions: list[str]) -> Settings:
    """Settings of a home of its own whose plan has the given tasks, and whose trainer does the given things."""
    home = settings.home / folder
    home.mkdir()
    (home / "fake.json").write_text(json.dumps(actions))
    (home / "flywheel.toml").write_text(
        "version = 1\n" + "".join(TASK.format(name=name) for name in actions) + f"[budget]\n{budget}\n"
    )
    return settings.replaced(home=home, plan=home / "flywheel.toml", artifacts=home / "artifacts")


def runs(settings: Settings, task: str) -> list[dict[str, Any]]:
    """The trainer's runs that held the device, as it wrote them down."""
    file = settings.home / "runs.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [run for line in lines if (run := json.loads(line))["task"] == task]


def left(settings: Settings, task: str) -> dict[str, list[str]]:
    """What stands in the task's work folders. Parts of them may be removed meanwhile, which `rglob` does not take."""
    folders = (settings.home / "jobs" / task).iterdir()
    return {
        folder.name: sorted(
            os.path.relpath(Path(parent, name), folder) for parent, _, names in os.walk(folder) for name in names
        )
        for folder in sorted(folders)
    }


def of(task: str, *states: JobState) -> Callable[[list[Job]], list[Job]]:
    """The task's job records in one of the states."""
    return lambda jobs: [job for job in jobs if job.task == task and job.state in (states or tuple(JobState))]


def steps(jobs: list[Job]) -> list[tuple[str, int]]:
    """The states a job went through, without repetitions."""
    found: list[tuple[str, int]] = []
    for job in jobs:
        if not found or found[-1] != (job.state.value, job.attempt):
            found.append((job.state.value, job.attempt))
    return found


async def test_each_exit_code_has_its_end(stack: Settings, processes: Start) -> None:
    """A job ends as its trainer did: won with a request for a rollout, no winner, refused, or failed after crashes."""
    settings = office(
        stack, "codes", "attempts = 3", win=["win"], lose=["lose"], refuse=["refuse"], crash=["crash"], noise=["noise"]
    )
    await processes(settings, SCRIPT, "retrain").ready()
    asked = {task: trigger(task) for task in ("win", "lose", "refuse", "crash", "noise")}
    await send(settings, TRIGGERS, *asked.values())
    async with tail(settings, JOBS) as jobs, tail(settings, ROLLOUTS) as rollouts, tail(settings, PROGRESS) as progress:
        (won,) = await jobs.until(of("win", JobState.WON), 60)
        (lost,) = await jobs.until(of("lose", JobState.NO_WINNER), 60)
        (refused,) = await jobs.until(of("refuse", JobState.FAILED), 60)
        (failed,) = await jobs.until(of("crash", JobState.FAILED), 60)
        (noisy,) = await jobs.until(of("noise", JobState.NO_WINNER), 60)
        assert won.job_id == ids.derived(asked["win"].decided_at, "job", asked["win"].trigger_id)
        assert (won.result["dataset"], won.reason) == ("set-1", "better")
        assert (lost.reason, lost.attempt) == ("p = .4", 1)
        assert (refused.reason, refused.attempt) == ("the plan names no candidate", 1)
        assert failed.attempt == 3
        assert failed.reason.endswith("RuntimeError: out of paper; the plan allows 3 attempts")
        assert steps(of("win")(jobs.records)) == [("claimed", 0), ("running", 1), ("won", 1)]
        crashes = [("claimed", 0), ("running", 1), ("claimed", 1), ("running", 2), ("claimed", 2), ("running", 3)]
        assert steps(of("crash")(jobs.records)) == [*crashes, ("failed", 3)]
        # No question outlives its job: what a trainer said on stderr is kept where it failed.
        for task in ("win", "lose", "noise"):
            await until(lambda task=task: left(settings, task) == {"1-a1": ["result.json"]})
        await until(lambda: left(settings, "refuse") == {"1-a1": ["result.json", "stderr.log"]})
        await until(lambda: left(settings, "crash") == {f"1-a{number}": ["stderr.log"] for number in (1, 2, 3)})
        (request,) = await rollouts.until(lambda found: found)
        assert (request.kind, request.task, request.candidate.version) == (RequestKind.PROMOTE, "win", "win@1")
        assert (request.candidate.job_id, request.candidate.attempt) == (won.job_id, 1)
        # A line of 200 kB and two that are no JSON cost nothing of what stands around them.
        lines = await progress.until(lambda found: [p for p in found if p.job_id == noisy.job_id][30:])
        assert len(lines) == 1
        sequences = [p.sequence for p in progress.records if p.job_id == noisy.job_id]
        assert sequences == list(range(31))


async def test_a_killed_consumer_takes_its_trainer_with_it(stack: Settings, processes: Start) -> None:
    """SIGKILL of the consumer ends its trainer; a restart goes on at attempt 2 in seconds, never with two at once."""
    settings = office(stack, "killed", slow=["hang", "win"])
    first = await processes(settings, SCRIPT, "retrain").ready()
    await send(settings, TRIGGERS, trigger("slow"))
    (run,) = await until(lambda: runs(settings, "slow"), 30)
    assert alive(run["pid"])
    first.signal(signal.SIGKILL)
    await until(lambda: not alive(run["pid"]), 3)
    assert left(settings, "slow").keys() == {"1-a1"}
    restarted = time.monotonic()
    processes(settings, SCRIPT, "retrain")
    async with tail(settings, JOBS) as jobs, tail(settings, ROLLOUTS) as rollouts:
        await jobs.until(lambda found: [job for job in of("slow", JobState.RUNNING)(found) if job.attempt == 2])
        seconds = time.monotonic() - restarted
        (won,) = await jobs.until(of("slow", JobState.WON))
        assert (won.attempt, won.number, won.result["failures"]) == (2, 1, 1)
        await rollouts.until(lambda found: [r for r in found if r.task == "slow"])
        assert [r.candidate.attempt for r in rollouts.records if r.task == "slow"] == [2]
    print(f"\nfrom restart to attempt 2: {seconds:.1f} s")
    assert seconds < min(7 * slowness(time.monotonic), 30)
    both = runs(settings, "slow")
    assert [(one["attempt"], one["waited"]) for one in both] == [(1, False), (2, False)]
    assert both[1]["resume"].endswith("slow/1-a1")


async def test_a_killed_trainer_runs_again(stack: Settings, processes: Start) -> None:
    """SIGKILL of the trainer is a crash: the next attempt starts from its folder. What a consumer that was killed in
    time could not remove of a finished job, its successor does."""
    settings = office(stack, "shot", shot=["hang", "lose"])
    first = await processes(settings, SCRIPT, "retrain").ready()
    await send(settings, TRIGGERS, trigger("shot"))
    (run,) = await until(lambda: runs(settings, "shot"), 30)
    os.kill(run["pid"], signal.SIGKILL)
    async with tail(settings, JOBS) as jobs:
        await jobs.until(of("shot", JobState.NO_WINNER))
        assert of("shot", JobState.CLAIMED)(jobs.records)[-1].reason == "the trainer ended with SIGKILL"
    assert len(runs(settings, "shot")) == 2
    cleared = {"1-a1": [], "1-a2": ["result.json"]}
    await until(lambda: left(settings, "shot") == cleared)
    first.signal(signal.SIGKILL)
    await first.ended()
    (settings.home / "jobs" / "shot" / "1-a1" / "dataset").mkdir()
    (settings.home / "jobs" / "shot" / "1-a1" / "dataset" / "rows.jsonl").write_text("Why?")
    await processes(settings, SCRIPT, "retrain").ready()
    await until(lambda: left(settings, "shot") == cleared)


async def test_sigterm_leaves_the_job_open_for_a_successor(stack: Settings, processes: Start) -> None:
    """A consumer that is told to stop ends its trainer, even a deaf one, and its job goes on, without blame, later."""
    settings = office(stack, "told", "attempts = 1", told=["deaf", "win"])
    first = await processes(settings, SCRIPT, "retrain").ready()
    await send(settings, TRIGGERS, trigger("told"))
    (run,) = await until(lambda: runs(settings, "told"), 30)
    first.signal(signal.SIGTERM)
    assert await first.ended() == 0
    assert not alive(run["pid"])
    async with tail(settings, JOBS) as jobs:
        await jobs.until(lambda found: steps(of("told")(found))[-1:] == [("claimed", 1)])
        processes(settings, SCRIPT, "retrain")
        (won,) = await jobs.until(of("told", JobState.WON))
        assert (won.attempt, won.result.get("failures", 0)) == (2, 0)


async def test_a_job_waits_for_the_labels_it_needs(stack: Settings, processes: Start, warehouse: Warehouse) -> None:
    """Not enough labels: the job waits, survives a restart, and runs again once that many more are there."""
    settings = office(stack, "hungry", hungry=["starve:3", "win"])
    first = await processes(settings, SCRIPT, "retrain").ready()
    since = datetime.now(UTC) - timedelta(minutes=5)
    label(warehouse, "hungry", 2)
    await send(settings, TRIGGERS, trigger("hungry", test_from=since))
    async with tail(settings, JOBS) as jobs:
        waiting = (await jobs.until(of("hungry", JobState.WAITING)))[0]
        assert (waiting.needs, waiting.reason) == (3, "too few")
        await until(lambda: left(settings, "hungry") == {"1-a1": ["result.json"]})
        first.signal(signal.SIGKILL)
        await first.ended()
        await processes(settings, SCRIPT, "retrain").ready()
        label(warehouse, "hungry", 2)
        beats = len(of("hungry", JobState.WAITING)(jobs.records))
        await jobs.until(lambda found: len(of("hungry", JobState.WAITING)(found)) > beats + 3)
        label(warehouse, "hungry", 1)
        (won,) = await jobs.until(of("hungry", JobState.WON))
        assert (won.attempt, won.needs, won.result.get("failures", 0)) == (2, 0, 0)


async def test_an_undecided_candidate_waits_and_gives_way(
    stack: Settings, processes: Start, warehouse: Warehouse
) -> None:
    """The candidate's folder stays while its job waits, and no device is held; a stronger trigger takes its place."""
    settings = office(stack, "undecided", held=["undecided:3", "undecided:50"], other=["lose"])
    await processes(settings, SCRIPT, "retrain").ready()
    since = datetime.now(UTC) - timedelta(minutes=5)
    await send(settings, TRIGGERS, trigger("held", kind=TriggerKind.CADENCE, test_from=since))
    async with tail(settings, JOBS) as jobs:
        waiting = (await jobs.until(of("held", JobState.WAITING)))[0]
        assert (waiting.needs, waiting.reason) == (3, "8 gained of 60")
        kept = ["candidate.json", "candidates/lora/head.safetensors", "dataset/rows.jsonl", "result.json"]
        await until(lambda: left(settings, "held") == {"1-a1": kept})
        await send(settings, TRIGGERS, trigger("other"))
        await jobs.until(of("other", JobState.NO_WINNER))
        label(warehouse, "held", 3)
        again = await jobs.until(lambda found: [job for job in of("held", JobState.WAITING)(found) if job.attempt == 2])
        assert again[0].needs == 50 and runs(settings, "held")[1]["resume"].endswith("held/1-a1")
        cadence, manual = trigger("held", kind=TriggerKind.CADENCE), trigger("held")
        await send(settings, TRIGGERS, cadence, manual)
        (ended,) = await jobs.until(of("held", JobState.NO_WINNER))
        assert (ended.number, ended.reason) == (1, "a manual trigger takes its place as job 3: asked")
        (skipped,) = of("held", JobState.SKIPPED)(jobs.records)
        assert skipped.trigger_id == cadence.trigger_id and "is waiting for labels" in skipped.reason
        started = await jobs.until(
            lambda found: [job for job in of("held", JobState.WAITING)(found) if job.number == 3]
        )
        assert started[0].trigger_id == manual.trigger_id
        await until(lambda: left(settings, "held")["1-a2"] == ["result.json"])


async def test_a_trigger_is_one_job_however_often_it_is_sent(stack: Settings, processes: Start) -> None:
    """The same trigger twice is one job; another one meanwhile is skipped, and so is one about an old version."""
    settings = office(stack, "often", often=["hang"])
    await processes(settings, SCRIPT, "retrain").ready()
    now = datetime.now(UTC)
    served = Promotion(task="often", generation=4, step=Step.STEADY, live=Served(version="often@7"), since=now, at=now)
    await send(settings, PROMOTIONS, served)
    once = trigger("often")
    stale = trigger("often", kind=TriggerKind.DRIFT, version="often@6")
    await send(settings, TRIGGERS, stale, once, once, trigger("often"))
    async with tail(settings, JOBS) as jobs:
        skipped = await jobs.until(lambda found: len(of("often", JobState.SKIPPED)(found)) == 2 and found)
        stale_job, busy_job = of("often", JobState.SKIPPED)(skipped)
        assert "often@7 serves now" in stale_job.reason
        assert "one job a task at a time" in busy_job.reason
        claimed = of("often", JobState.CLAIMED)(jobs.records)
        assert [job.trigger_id for job in claimed] == [once.trigger_id]
    (run,) = await until(lambda: runs(settings, "often"))
    assert run["live"] == "often@7"


async def test_a_malformed_trigger_is_a_dead_letter(stack: Settings, processes: Start) -> None:
    """What is no trigger is kept where it can be looked at, and the next one is taken."""
    settings = office(stack, "garbled", clear=["lose"])
    producer = KafkaProducer(settings)
    await producer.start()
    await producer.send(TRIGGERS, b'{"task": "clear"}', b"clear")
    await producer.stop()
    await send(settings, TRIGGERS, trigger("clear"))
    await processes(settings, SCRIPT, "retrain").ready()
    async with tail(settings, JOBS) as jobs, tail(settings, DEAD_LETTERS) as letters:
        await jobs.until(of("clear", JobState.NO_WINNER))
        (letter,) = await letters.until(lambda found: [one for one in found if one.topic == TRIGGERS.name])
        assert letter.reason.startswith("Trigger")


async def test_a_trainer_beyond_its_bounds_is_ended(stack: Settings, processes: Start) -> None:
    """More memory or more time than the plan allows ends the trainer, and the job after its attempts."""
    settings = office(stack, "bounds", "attempts = 1\nmemory_gib = 0.5\nminutes = 0.05", fat=["fat"], late=["hang"])
    await processes(settings, SCRIPT, "retrain").ready()
    await send(settings, TRIGGERS, trigger("fat"), trigger("late"))
    async with tail(settings, JOBS) as jobs:
        (fat,) = await jobs.until(of("fat", JobState.FAILED))
        (late,) = await jobs.until(of("late", JobState.FAILED))
        assert "GiB, more than the plan's 0.5" in fat.reason
        assert "longer than the plan's 0.05 minutes" in late.reason
    assert not [one for task in ("fat", "late") for one in runs(settings, task) if alive(one["pid"])]


async def test_a_zombie_is_fenced_and_kills_its_trainer(stack: Settings, processes: Start) -> None:
    """A consumer that slept while another took its partition writes nothing more and ends its trainer when it wakes."""
    settings = office(stack, "zombie", dawn=["hang", "win"])
    sleeper = await processes(settings, SCRIPT, "retrain").ready()
    await send(settings, TRIGGERS, trigger("dawn"))
    (run,) = await until(lambda: runs(settings, "dawn"), 30)
    sleeper.signal(signal.SIGSTOP)
    processes(settings, SCRIPT, "retrain-2")
    async with tail(settings, JOBS) as jobs:
        # The successor's trainer waits for the device, which the sleeper's still holds.
        await jobs.until(lambda found: [job for job in of("dawn", JobState.RUNNING)(found) if job.attempt == 2], 60)
        assert len(runs(settings, "dawn")) == 1
        sleeper.signal(signal.SIGCONT)
        await until(lambda: not alive(run["pid"]), 5)
        (won,) = await jobs.until(of("dawn", JobState.WON))
        assert won.attempt == 2
        await jobs.more(1.0)
        records = of("dawn")(jobs.records)
        second = next(index for index, job in enumerate(records) if job.attempt == 2)
        assert all(job.attempt == 2 for job in records[second:])
    assert [one["attempt"] for one in runs(settings, "dawn")] == [1, 2]


def label(warehouse: Warehouse, task: str, count: int) -> None:
    """Audited answers of now with a blind label each."""
    asked = [new_inference(task, "v", label="hr", audited=True, audit_probability=0.5) for _ in range(count)]
    said = [new_feedback(one.inference_id, "audit", "label", label="it", inclusion_probability=0.5) for one in asked]
    place = {"kafka_topic": "t", "kafka_partition": 0, "kafka_offset": 0, "kafka_index": 0}
    for table, rows in (("inferences", asked), ("feedback", said)):
        warehouse.insert(table, [row_of(row, place) for row in rows])


def row_of(event: Any, place: dict[str, Any]) -> bytes:
    """An event as a row of its table."""
    fields = event.model_dump(mode="json", exclude_none=True)
    return json.dumps(fields | place | {"extra": ""}).encode()
