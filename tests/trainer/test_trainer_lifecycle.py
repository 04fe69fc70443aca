"""At no moment do two trainers run for one device, and none outlives its parent."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from trainer_history import START, job_file, plan
from trainer_process import REPOSITORY, Trainer

from headrace.settings import Settings


@pytest.fixture
def device_taken(settings: Settings) -> Iterator[None]:
    """Another process holds the device, so that trainers started meanwhile wait, each at the same place."""
    lock = settings.home / "run" / "device.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def test_it_dies_when_its_pipe_closes(
    world: dict[str, Any], settings: Settings, start: Callable[[Path], Trainer], device_taken: None
) -> None:
    """The end of standard input means that the parent is gone: the trainer ends at once and writes no result."""
    trainer = start(job_file(settings, settings.home / "pipe", plan(world["labels"]), START, world["now"]))
    trainer.lines_until(lambda line: "waiting" in line["message"])
    assert trainer.process.stdin is not None
    trainer.process.stdin.close()
    trainer.process.wait(10)
    assert trainer.process.returncode not in (0, 10, 11, 12)
    assert not (trainer.job.parent / "result.json").exists()


def test_it_dies_with_its_parent(world: dict[str, Any], settings: Settings, device_taken: None) -> None:
    """SIGKILL of the parent ends the trainer though somebody else still holds its pipe open."""
    job = job_file(settings, settings.home / "orphan", plan(world["labels"]), START, world["now"])
    starts = (
        "import subprocess, sys; "
        "child = subprocess.Popen([sys.executable, '-m', 'trainer', sys.argv[1]], stdin=0, stdout=subprocess.PIPE); "
        "child.stdout.readline(); print(child.pid, flush=True); child.wait()"
    )
    pipe_out, pipe_in = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", starts, str(job)], cwd=REPOSITORY, stdin=pipe_out, stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        trainer = psutil.Process(int(parent.stdout.readline()))
        assert "trainer" in trainer.cmdline()
    finally:
        parent.kill()
        parent.communicate()
    try:
        deadline = time.monotonic() + 10
        # Where nobody reaps orphans the dead trainer stays a zombie.
        while trainer.is_running() and trainer.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "the trainer outlived its parent"
            time.sleep(0.02)
    finally:
        os.close(pipe_in)
        os.close(pipe_out)
    assert not (job.parent / "result.json").exists()


def test_it_waits_for_the_device(world: dict[str, Any], settings: Settings, start: Callable[[Path], Trainer]) -> None:
    """While another process holds the device's lock a trainer waits and says so; then it runs."""
    lock = settings.home / "run" / "device.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    task = plan(world["labels"], curation={"min_test_rows": 10_000})
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        trainer = start(job_file(settings, settings.home / "waiting", task, START, world["now"]))
        first = trainer.lines_until(lambda line: True)[0]
        assert "another trainer has the device" in first["message"]
        assert trainer.process.poll() is None
    assert trainer.finish()[0] == 11
