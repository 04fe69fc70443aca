"""What the end of a trainer means, by its exit code and the result.json in its work folder."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from consumers.retrain.table import Event
from headrace.contract.control import Job, Served
from headrace.contract.events import sentence
from headrace.contract.job_file import RESULT, Exit

MAX_RESULT_BYTES = 1024 * 1024
MAX_REASON = 2000
WAITING = {Exit.NOT_ENOUGH_LABELS: Event.STARVED, Exit.UNDECIDED: Event.UNDECIDED}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The event for the job's table, and what comes with it.

    served: the candidate, where one won
    needs: blind audit labels that are missing until the next attempt, where they are
    """

    event: Event
    reason: str
    needs: int = 0
    served: Served | None = None
    result: Mapping[str, Any] = field(default_factory=dict)


def outcome_of(code: int, result: Mapping[str, Any] | None, job: Job, last_words: str = "") -> Outcome:
    """Total: what cannot be understood is a crash with its reason.

    code: the exit code, −N for signal N
    last_words: the last line on stderr
    """
    if code not in set(Exit):
        return Outcome(Event.CRASHED, f"the trainer ended with {_meaning(code)}{_saying(last_words)}")
    if result is None:
        if code == Exit.BAD_JOB:
            return Outcome(Event.REFUSED, last_words or "the trainer refused the job without a reason")
        return Outcome(Event.CRASHED, f"the trainer ended with exit code {code} and left no usable result.json")
    reason = str(result.get("reason") or "")[:MAX_REASON]
    if code == Exit.NO_WINNER:
        return Outcome(Event.NO_WINNER, reason or "no candidate passed the gate", result=result)
    if code == Exit.BAD_JOB:
        return Outcome(Event.REFUSED, reason or last_words or "the trainer refused the job", result=result)
    if code in WAITING:
        needs = result.get("needs")
        if not isinstance(needs, int) or needs < 1:
            return Outcome(Event.CRASHED, f"the trainer asked for {needs!r} more labels, not a positive number")
        return Outcome(WAITING[Exit(code)], reason or f"{needs} more labels are needed", needs=needs, result=result)
    try:
        served = Served.model_validate(result.get("served"))
    except ValidationError as error:
        return Outcome(Event.CRASHED, f"the trainer won without naming its model: {sentence('served', error)}")
    if served.version != job.version:
        return Outcome(Event.CRASHED, f"the trainer published {served.version} where the job says {job.version}")
    served = served.model_copy(update={"job_id": job.job_id, "attempt": job.attempt})
    return Outcome(Event.WON, reason or f"{served.version} passed the gate", served=served, result=result)


def read_result(work: Path) -> dict[str, Any] | None:
    """The trainer's result.json; None where there is none that can be read."""
    path = work / RESULT
    try:
        if path.stat().st_size > MAX_RESULT_BYTES:
            return None
        result = json.loads(path.read_text("utf-8"))
        # A lone surrogate would pass through JSON and stop the job's record from being written.
        json.dumps(result, ensure_ascii=False).encode()
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) else None


def _meaning(code: int) -> str:
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


def _saying(last_words: str) -> str:
    return f": {last_words}" if last_words else ""
