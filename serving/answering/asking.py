"""Who asks, in which session and trace, until when, and whether it may train: what comes beside a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

EXPLICIT: dict[str, Any] = {"consent": "explicit"}
"""In `extra` of an answer whose client said itself that the question may train."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a client says beside its question.

    consent: None where it says nothing, which is recorded as consent, but not as an explicit one
    inference_id: the client's own, so that a retry is the same event; its time is then the answer's time
    trace_id: of the trace that the request belongs to
    deadline: by time.monotonic(); None: none
    """

    session_id: str = ""
    user_ref: str = ""
    consent: bool | None = None
    inference_id: UUID | None = None
    trace_id: str = ""
    deadline: float | None = None


NOTHING_SAID = Asking()
