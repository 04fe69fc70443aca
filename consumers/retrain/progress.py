"""A trainer's standard output as Progress records: bounded lines, and garbage tolerated."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from headrace.contract.control import Job, Progress

MAX_LINE_BYTES = 64 * 1024
MAX_METRICS = 200


class Lines:
    """Splits a stream of bytes into lines; one that is longer than MAX_LINE_BYTES is left out and counted."""

    def __init__(self) -> None:
        self.too_long = 0
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if whole and self._skipping:
            whole, self._skipping = whole[1:], False
        found = [line for line in whole if len(line) <= MAX_LINE_BYTES]
        self.too_long += len(whole) - len(found)
        if len(self._rest) > MAX_LINE_BYTES:
            self.too_long += not self._skipping
            self._rest, self._skipping = b"", True
        return found


def progress_of(line: bytes, job: Job, sequence: int, now: datetime) -> Progress | None:
    """The Progress that a line says; None where it says none (a library's print)."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or not isinstance(fields.get("stage"), str):
        return None
    try:
        return Progress(
            job_id=job.job_id,
            attempt=job.attempt,
            task=job.task,
            sequence=sequence,
            at=now,
            stage=fields["stage"],
            done=_number(fields.get("done")),
            total=_number(fields.get("total")),
            message=str(fields.get("message") or "")[:2000],
            metrics=_metrics(fields.get("metrics")),
        )
    except ValidationError:
        return None


def _number(value: Any) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if usable and math.isfinite(value) else 0.0


def _metrics(value: Any) -> Mapping[str, float]:
    if not isinstance(value, dict):
        return {}
    numbers = {str(name)[:200]: float(n) for name, n in value.items() if isinstance(n, int | float) and abs(n) < 1e300}
    return {name: n for name, n in list(numbers.items())[:MAX_METRICS] if math.isfinite(n)}
