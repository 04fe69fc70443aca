"""What a running trainer says: JSON lines on standard output, and nothing else there."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

INTERVAL_S = 0.25


class Progress:
    """Writes lines {stage, done, total, message, metrics}, at most one per stage and INTERVAL_S unless it says more.

    done and total are in the stage's own unit, so that total / done times the elapsed time is an estimate.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said = ("", 0.0)

    def step(
        self, stage: str, done: float, total: float, metrics: Callable[[], Mapping[str, float]] | None = None
    ) -> None:
        """One more step of a stage; the last one is always written. metrics: asked only where a line is written."""
        now = time.monotonic()
        said_stage, said_at = self._said
        if stage != said_stage or done >= total or now - said_at >= INTERVAL_S:
            self._write(stage, done, total, "", dict(metrics()) if metrics is not None else {})
            self._said = (stage, now)

    def say(
        self, stage: str, message: str, done: float = 0, total: float = 0, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Something a person wants to read."""
        self._write(stage, done, total, message, dict(metrics or {}))

    def _write(self, stage: str, done: float, total: float, message: str, metrics: dict[str, float]) -> None:
        line = {"stage": stage, "done": done, "total": total, "message": message, "metrics": metrics}
        print(json.dumps(line), file=self._stream, flush=True)


def on_stdout() -> Progress:
    """Progress on the standard output; whatever libraries print goes to standard error from now on."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)
    return Progress(stream)
