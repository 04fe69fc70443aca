"""A trainer as its parent sees it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warm_processes import Popen

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 150


class Trainer:
    """A trainer process and the pipe that it watches."""

    def __init__(self, job: Path) -> None:
        self.job = job
        self.process = Popen(
            "trainer",
            ["-m", "trainer", str(job)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lines_until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Progress up to the first line that is wanted."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(json.loads(line))
            if wanted(seen[-1]):
                return seen
        raise AssertionError(f"the trainer ended before: {seen[-3:]} {self._stderr()}")

    def finish(self) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, progress lines, standard error."""
        assert self.process.stdout is not None
        lines = [json.loads(line) for line in self.process.stdout]
        return self.process.wait(DEADLINE_S), lines, self._stderr()

    def result(self) -> dict[str, Any]:
        """result.json."""
        return json.loads((self.job.parent / "result.json").read_text("utf-8"))

    def _stderr(self) -> str:
        return self.process.stderr.read() if self.process.stderr is not None else ""
