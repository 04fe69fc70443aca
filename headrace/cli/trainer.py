"""Runs the trainer to its end, and shows what it says on the way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from headrace.contract.job_file import Exit
from headrace.errors import HeadraceError, SettingsError

EVERY_S = 10.0
"""Between two lines of a stage that goes on, where no terminal rewrites one."""


def run(command: Sequence[str]) -> None:
    """Run the trainer. Raises SettingsError where it refuses what it is asked, HeadraceError with its last words."""
    # The other end of its standard input: it ends with this process.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as trainer:
        assert trainer.stdout is not None and trainer.stderr is not None
        show = Show()
        for line in trainer.stdout:
            show.line(json.loads(line))
        show.end()
        said = trainer.stderr.read().strip()
    if trainer.returncode == Exit.BAD_JOB:
        raise SettingsError(said)
    if trainer.returncode:
        raise HeadraceError(f"the trainer ended with {trainer.returncode}: {said.splitlines()[-1] if said else ''}")


class Show:
    """Progress on standard error: a terminal's last line is rewritten, a file gets one line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._said_at = time.monotonic()
        self._open = False

    def line(self, line: Mapping[str, Any]) -> None:
        """One of the trainer's lines."""
        if line["message"]:
            self.end()
            typer.echo(line["message"], err=True)
        elif self._terminal:
            typer.echo(f"\r\x1b[K{step(line)}", nl=False, err=True)
            self._open = True
        elif time.monotonic() - self._said_at >= EVERY_S:
            typer.echo(step(line), err=True)
            self._said_at = time.monotonic()

    def end(self) -> None:
        """Leave the line that was rewritten."""
        if self._open:
            typer.echo(err=True)
        self._open = False


def step(line: Mapping[str, Any]) -> str:
    """How far a stage has come, and how fast.

    >>> step({"stage": "lora", "done": 12, "total": 96, "metrics": {"loss": 0.41, "rows_per_s": 310.0, "eta_s": 75.0}})
    'lora 12 of 96, loss 0.410, 310 rows/s, 1 min 15 s left'
    """
    metrics = line["metrics"]
    said = [f"{line['stage']} {line['done']:g} of {line['total']:g}"]
    if "loss" in metrics:
        said.append(f"loss {metrics['loss']:.3f}")
    if "learning_rate" in metrics:
        said.append(f"learning rate {metrics['learning_rate']:.2g}")
    if "rows_per_s" in metrics:
        said.append(f"{metrics['rows_per_s']:,.0f} rows/s")
    if "eta_s" in metrics:
        said.append(f"{_duration(metrics['eta_s'])} left")
    return ", ".join(said)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
