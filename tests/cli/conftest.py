"""Runs the command line as a person does, and says what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from warm_processes import HEADRACE, run

from headrace.settings import Settings

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Headrace:
    """`headrace …` in a process of its own, with these settings and no other HEADRACE_ variable.

    cold: the process is a new interpreter
    """

    def __init__(self, settings: Settings, cold: bool = False) -> None:
        self._cold = cold
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        self._env = clean | settings.environ()

    def __call__(self, *arguments: str, stdin: str = "") -> Said:
        argv = [*HEADRACE, *arguments]
        if not self._cold:
            return Said(*run("headrace", argv, stdin.encode(), env=self._env, cwd=REPOSITORY))
        done = subprocess.run(
            [sys.executable, *argv], input=stdin.encode(), capture_output=True, env=self._env, cwd=REPOSITORY,
            timeout=120, check=False,
        )  # fmt: skip
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="session")
def headrace_with() -> type[Headrace]:
    """The command line with settings of one's own."""
    return Headrace


@pytest.fixture(scope="module")
def headrace(stack: Settings) -> Headrace:
    """The command line beside a real Kafka and ClickHouse."""
    return Headrace(stack)
