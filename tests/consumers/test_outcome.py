"""What the end of a trainer means."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumers.retrain.attempt import Trainer, Worked, patience_s, run, write_job_file
from consumers.retrain.folders import clear, make
from consumers.retrain.outcome import outcome_of, read_result
from consumers.retrain.progress import MAX_LINE_BYTES, Lines, progress_of
from consumers.retrain.table import Event
from consumers.retrain.timings import Timings
from headrace import plan
from headrace.bus.kafka import KafkaProducer
from headrace.contract import ids
from headrace.contract import job_file as jobs
from headrace.contract.control import Job, JobState, Served, Trigger, TriggerKind
from headrace.settings import Settings

AT = datetime(2026, 3, 1, tzinfo=UTC)
TRIGGER = Trigger(
    trigger_id=ids.uuid7(AT), task="router", kind=TriggerKind.MANUAL, decided_at=AT, reason="asked", test_from=AT
)
JOB = Job(
    job_id=ids.uuid7(AT),
    trigger_id=TRIGGER.trigger_id,
    task="router",
    number=3,
    attempt=2,
    state=JobState.RUNNING,
    at=AT,
    heartbeat_at=AT,
    version="router@3",
    trigger=TRIGGER,
)
PLAN = plan.parse(
    """
version = 1
[tasks.router]
labels = ["hr", "it"]
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.router.candidates.probe]
method = "probe"
"""
)
SERVED = {"version": "router@3", "artifact": "a/router/3-a2", "digest": "d", "errors": 40, "labelled": 1000}


def test_a_win_names_its_model_job_and_attempt() -> None:
    """Exit 0 with a served model of the job's version is a win of this attempt."""
    outcome = outcome_of(0, {"outcome": "won", "reason": "better", "served": SERVED}, JOB)
    assert (outcome.event, outcome.reason) == (Event.WON, "better")
    assert outcome.served is not None
    assert (outcome.served.job_id, outcome.served.attempt, outcome.served.errors) == (JOB.job_id, 2, 40)


@pytest.mark.parametrize(
    ("code", "result", "says"),
    [
        (0, None, "left no usable result.json"),
        (0, {"served": None}, "won without naming its model"),
        (0, {"served": SERVED | {"version": "router@9"}}, "router@9 where the job says router@3"),
        (10, None, "left no usable result.json"),
        (11, {"needs": 0}, "asked for 0 more labels"),
        (11, {"needs": "many"}, "asked for 'many' more labels"),
        (1, {"outcome": "won", "served": SERVED}, "exit code 1: boom"),
        (-9, None, "SIGKILL"),
        (-200, None, "signal 200"),
        (137, None, "exit code 137"),
    ],
)
def test_what_cannot_be_understood_is_a_crash(code: int, result: dict[str, object] | None, says: str) -> None:
    """A result counts only with its exit code, and an exit code only with its result."""
    outcome = outcome_of(code, result, JOB, last_words="boom")
    assert outcome.event is Event.CRASHED
    assert says in outcome.reason
    assert outcome.served is None


@pytest.mark.parametrize(
    ("code", "result", "event", "reason"),
    [
        (10, {"reason": "p = .2"}, Event.NO_WINNER, "p = .2"),
        (10, {}, Event.NO_WINNER, "no candidate passed the gate"),
        (11, {"needs": 55}, Event.STARVED, "55 more labels are needed"),
        (13, {"needs": 20, "reason": "8 of 60"}, Event.UNDECIDED, "8 of 60"),
        (12, {"reason": "bad plan"}, Event.REFUSED, "bad plan"),
        (12, None, Event.REFUSED, "boom"),
    ],
)
def test_ordinary_endings(code: int, result: dict[str, object] | None, event: Event, reason: str) -> None:
    """Each exit code of the contract has its event and its reason."""
    outcome = outcome_of(code, result, JOB, last_words="boom")
    assert (outcome.event, outcome.reason) == (event, reason)


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', '{"reason": "\\ud800"}', "\x00"])
def test_an_unusable_result_file(text: str, tmp_path: Path) -> None:
    """A half-written file, another shape or text that UTF-8 cannot carry is no result."""
    (tmp_path / "result.json").write_text(text)
    assert read_result(tmp_path) is None


def test_a_missing_result_file(tmp_path: Path) -> None:
    """No file, no result; a whole one is read."""
    assert read_result(tmp_path) is None
    (tmp_path / "result.json").write_text(json.dumps({"outcome": "won"}))
    assert read_result(tmp_path) == {"outcome": "won"}


def test_lines_survive_any_cut() -> None:
    """However the stream is cut into chunks, the same lines come out."""
    stream = b"one\ntwo\n\nthree\n"
    for size in range(1, len(stream) + 1):
        lines = Lines()
        found = [line for at in range(0, len(stream), size) for line in lines.feed(stream[at : at + size])]
        assert found == [b"one", b"two", b"", b"three"]


def test_an_endless_line_is_left_out_and_counted() -> None:
    """A line beyond the bound costs neither memory nor the lines around it."""
    lines = Lines()
    assert lines.feed(b"first\n" + b"x" * (MAX_LINE_BYTES + 1)) == [b"first"]
    for _ in range(50):
        assert lines.feed(b"x" * MAX_LINE_BYTES) == []
    assert lines.feed(b"xx\nlast\n") == [b"last"]
    assert lines.too_long == 1


@pytest.mark.parametrize(
    "line",
    [b"", b"warming up", b"{", b"[]", b"7", b'{"done": 1}', b'{"stage": ""}', b'{"stage": 3}', b"\xff\xfe"],
)
def test_garbage_is_no_progress(line: bytes) -> None:
    """What a library prints is passed over."""
    assert progress_of(line, JOB, 0, AT) is None


def test_progress_takes_what_it_can_use() -> None:
    """Unknown fields and numbers that are none do not cost the line."""
    line = b'{"stage": "lora", "done": 3, "total": NaN, "new": 1, "metrics": {"loss": 0.5, "bad": Infinity, "s": "x"}}'
    progress = progress_of(line, JOB, 7, AT)
    assert progress is not None
    assert (progress.stage, progress.done, progress.total, progress.metrics) == ("lora", 3.0, 0.0, {"loss": 0.5})
    assert (progress.job_id, progress.attempt, progress.sequence) == (JOB.job_id, 2, 7)


def test_the_trainer_understands_its_job_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the consumer writes is what `python -m trainer` reads, an earlier attempt's folder included; the password
    comes by the environment and stands in no file."""
    settings = Settings(home=tmp_path, artifacts=tmp_path / "artifacts", clickhouse_password="hush")
    given = Trainer(settings, PLAN, ("python",), KafkaProducer(settings), Timings())
    first = write_job_file(given, JOB.model_copy(update={"attempt": 1}), Served(version="router@0"))
    (first.parent / jobs.DATASET).mkdir()
    path = write_job_file(given, JOB, Served(version="router@0"))
    job = jobs.read(path)
    third = write_job_file(given, JOB.model_copy(update={"attempt": 3}), Served(version="router@0"))
    assert jobs.read(third).resume_from == first.parent, "an attempt without a data set hides no earlier one"
    assert jobs.read(third).left == (first.parent, path.parent), "checkpoints of each earlier attempt may be copied"
    assert (job.job_id, job.version, job.attempt, job.trigger) == (JOB.job_id, "router@3", 2, TRIGGER)
    assert (job.work, job.resume_from) == (path.parent, first.parent)
    assert "hush" not in path.read_text()
    monkeypatch.setenv("HEADRACE_CLICKHOUSE_PASSWORD", "hush")
    assert (job.plan, jobs.settings_of(job)) == (PLAN, settings)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o777 == 0o700


KEPT = {"result.json", "report.html", "report.md"}
ALL = KEPT | {"stderr.log", "rows"}


@pytest.mark.parametrize(
    ("state", "attempt_1", "attempt_3"),
    [
        (JobState.CLAIMED, ALL, ALL),
        (JobState.RUNNING, ALL, ALL),
        (JobState.WAITING, KEPT, ALL),
        (JobState.WON, KEPT, KEPT),
        (JobState.NO_WINNER, KEPT, KEPT),
        (JobState.FAILED, KEPT | {"stderr.log"}, KEPT | {"stderr.log"}),
    ],
)
def test_what_is_left_of_an_attempt(tmp_path: Path, state: JobState, attempt_1: set[str], attempt_3: set[str]) -> None:
    """All while the job may go on, nothing that holds questions after it; one that waits keeps what comes next."""
    settings = Settings(home=tmp_path)
    other = JOB.model_copy(update={"number": 31})
    for job in (JOB.model_copy(update={"attempt": 1}), JOB.model_copy(update={"attempt": 3}), other):
        folder = make(settings, job)
        (folder / "rows").mkdir()
        for file in ("rows/rows.jsonl", *KEPT, "stderr.log"):
            (folder / file).write_text("Why?")
    clear(settings, [JOB.model_copy(update={"state": state})])
    found = {folder.name: {entry.name for entry in folder.iterdir()} for folder in (tmp_path / "jobs/router").iterdir()}
    assert found == {"3-a1": attempt_1, "3-a3": attempt_3, "31-a2": ALL}


def test_a_job_that_waits_keeps_its_undecided_candidate(tmp_path: Path) -> None:
    """The last attempt's candidate and the rows that it learned from stay until the job ends; nothing else does."""
    settings = Settings(home=tmp_path)
    for attempt in (1, 2):
        folder = make(settings, JOB.model_copy(update={"attempt": attempt}))
        for kept in (jobs.DATASET, jobs.CANDIDATES, "checkpoints"):
            (folder / kept).mkdir()
        for file in (jobs.HELD, jobs.JOB, "result.json"):
            (folder / file).write_text("Why?")
    clear(settings, [JOB.model_copy(update={"state": JobState.WAITING})])
    found = {folder.name: {entry.name for entry in folder.iterdir()} for folder in (tmp_path / "jobs/router").iterdir()}
    assert found == {"3-a1": {"result.json"}, "3-a2": {"result.json", jobs.HELD, jobs.DATASET, jobs.CANDIDATES}}
    clear(settings, [JOB.model_copy(update={"state": JobState.NO_WINNER})])
    assert {entry.name for entry in (tmp_path / "jobs/router/3-a2").iterdir()} == {"result.json"}


def test_nothing_stays_in_the_store_of_a_job_that_has_ended(tmp_path: Path) -> None:
    """What an attempt on another machine would go on from is there while the job may go on, and only that job's."""
    settings = Settings(home=tmp_path / "home", artifacts=tmp_path / "artifacts")
    own, other = (jobs.kept_in(settings.artifacts, "router", job_id) for job_id in (JOB.job_id, ids.uuid7(AT)))
    for folder in (own, other):
        folder.mkdir(parents=True)
    clear(settings, [JOB])
    assert own.is_dir()
    clear(settings, [JOB.model_copy(update={"state": JobState.WON})])
    assert not own.exists() and other.is_dir()


def test_time_in_which_a_trainer_waits_for_the_device_is_not_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it says meanwhile, and also while it still waits; the plan's minutes end before the patience does."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    worked, said = Worked(1000.0), {}
    for stage, done in (("wait", 0), ("wait", 1), ("curate", 0)):
        line = json.dumps({"stage": stage, "done": done, "total": 1}).encode()
        said[stage, done] = progress_of(line, JOB, 0, AT)
    for at, heard, seconds in ((1010, None, 10), (1010, ("wait", 0), 10), (1500, None, 10), (1600, ("wait", 0), 10),
                               (1700, ("wait", 1), 10), (1705, ("curate", 0), 15), (1710, None, 20)):  # fmt: skip
        now = float(at)
        if heard is not None:
            progress = said[heard]
            assert progress is not None
            worked.heard(progress)
        assert worked.seconds() == seconds
    assert patience_s(PLAN.budget, Timings()) > 60 * PLAN.budget.minutes


async def test_a_job_that_the_plan_does_not_go_with_is_refused(tmp_path: Path) -> None:
    """Before a process is started, with what does not fit."""
    settings = Settings(home=tmp_path)
    trainer = Trainer(settings, PLAN, ["/nowhere/trainer"], KafkaProducer(settings), Timings())

    async def beat() -> None:
        raise AssertionError("nothing runs that could be beaten for")

    job = JOB.model_copy(update={"version": "router@9"})
    outcome = await run(trainer, job, Served(version="router@0"), beat, asyncio.Event())
    assert outcome.event is Event.REFUSED
    assert "version is 'router@9', but job 3 makes router@3" in outcome.reason and "\n" not in outcome.reason
