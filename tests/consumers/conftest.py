"""Consumers as processes of their own, ended with the test."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence

import pytest
from following import Process

from headrace.settings import Settings

LEAVES_S = 5.0


@pytest.fixture
def processes() -> Iterator[Callable[..., Process]]:
    """Starts consumers; kills what a test leaves."""
    started: list[Process] = []

    def start(settings: Settings, argv: Sequence[str], name: str) -> Process:
        settings.home.mkdir(parents=True, exist_ok=True)
        started.append(Process(settings, argv, name, settings.home / f"{name}.log"))
        return started[-1]

    yield start
    left = [process for process in started if process.popen.poll() is None]
    for process in left:
        # One that is killed stays a member of its group until its session ends, and the next test's waits for that.
        process.signal(signal.SIGTERM)
    for process in left:
        try:
            process.popen.wait(LEAVES_S)
        except subprocess.TimeoutExpired:
            process.signal(signal.SIGKILL)
            process.popen.wait()
