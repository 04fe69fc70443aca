"""Consumers as processes of their own, ended with the test."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
from following import Process

from headrace.settings import Settings


@pytest.fixture
def processes() -> Iterator[Callable[..., Process]]:
    """Starts consumers; kills what a test leaves."""
    started: list[Process] = []

    def start(settings: Settings, argv: Sequence[str], name: str) -> Process:
        settings.home.mkdir(parents=True, exist_ok=True)
        started.append(Process(settings, argv, name, settings.home / f"{name}.log"))
        return started[-1]

    yield start
    for process in started:
        if process.popen.poll() is None:
            process.signal(signal.SIGKILL)
        process.popen.wait()
