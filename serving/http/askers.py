"""Who asks, in headers or in the body: what a request says beside its question.

the body's own fields (`headrace` of OpenAI's bodies)    count before
headers                                                  count before
OpenAI's `metadata`                                      counts before
OpenAI's `safety_identifier` and `user`                  whose request it is
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from headrace.contract.contexts import trace_of
from headrace.contract.given_ids import is_id
from headrace.contract.texts import carried, name_of
from serving.answering.asking import NOTHING_SAID, Asking
from serving.http.refusal import Refusal
from serving.http.requests import Asker
from serving.otlp.attributes import id7

SESSION = "x-headrace-session"
USER = "x-headrace-user"
CONSENT = "x-headrace-consent"
DEADLINE = "x-headrace-deadline-ms"
INFERENCE = "x-headrace-inference-id"
HEADERS = {
    SESSION: "Requests of one session get the same version during a rollout.",
    USER: "A pseudonym of who asks; never a name or an address.",
    CONSENT: "Whether the question may train a model: true or false.",
    DEADLINE: "Milliseconds from now after which nobody waits for the answer: it is given up then.",
    INFERENCE: "The answer's id, a UUID of version 7; a retry with the same id is the same event.",
    "traceparent": "The trace that the request belongs to, as W3C Trace Context has it.",
}
_SAYING = frozenset(HEADERS)
MAX_DEADLINE_MS = 86_400_000
_NOBODY = Asker()
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


def asking_of(headers: Mapping[str, str], own: Asker | None = None, metadata: Any = None, user: Any = None) -> Asking:
    """What a request says of itself. Raises Refusal 400 for a header that cannot be read.

    metadata: OpenAI's, a client's own notes: what is no text there is passed over
    user: OpenAI's `safety_identifier` or `user`
    """
    if own is None and not metadata and not user and _SAYING.isdisjoint(headers):
        return NOTHING_SAID
    said = own or _NOBODY
    notes = metadata if isinstance(metadata, dict) else {}
    return Asking(
        session_id=said.session_id or _name(headers.get(SESSION)) or _name(notes.get("session_id")),
        user_ref=said.user_ref or _name(headers.get(USER)) or _name(notes.get("user_ref")) or _name(user),
        consent=_consent(said.consent, headers.get(CONSENT), notes.get("consent")),
        inference_id=said.inference_id or _id(headers.get(INFERENCE)),
        trace_id=_trace(headers.get("traceparent", "")),
        deadline=_deadline(headers.get(DEADLINE), notes.get("deadline_ms")),
    )


def _name(said: Any) -> str:
    return name_of(carried(said.strip())) if isinstance(said, str) else ""


def _consent(own: bool | None, header: str | None, note: Any) -> bool | None:
    if own is not None:
        return own
    if header is not None:
        if (word := header.strip().lower()) not in _YES | _NO:
            raise Refusal(400, f"{CONSENT} is {header[:40]!r}; it is true or false", param=CONSENT)
        return word in _YES
    if note is None:
        return None
    # A word that cannot be read is no consent.
    return note is True or (isinstance(note, str) and note.strip().lower() in _YES)


def _id(header: str | None) -> UUID | None:
    if header is None:
        return None
    if (found := id7(header.strip())) is None or not is_id(found):
        raise Refusal(
            400,
            f"{INFERENCE} is {header[:60]!r}; it takes a UUID of version 7, of a time between 2000 and 2100",
            param=INFERENCE,
        )
    return found


def _trace(parent: str) -> str:
    # What cannot be read is no trace (W3C Trace Context, 4.3).
    found = trace_of(parent.strip())
    return found if len(found) == 32 else ""


def _deadline(header: str | None, note: Any) -> float | None:
    said = note if header is None else header
    try:
        left_ms = 0.0 if said is None or said is True else float(said)
    except (TypeError, ValueError, OverflowError):
        left_ms = 0.0
    if 0 < left_ms <= MAX_DEADLINE_MS:
        return time.monotonic() + left_ms / 1000
    if header is None:
        return None
    raise Refusal(400, f"{DEADLINE} is {header[:40]!r}; it takes milliseconds, at most a day of them", param=DEADLINE)
