"""Events of the size that production has, made fast: some 650 bytes, or 320 without the fields that may be absent."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from headrace.contract.events import new_feedback, new_inference

TASK, VERSION = "router", "router@0"
LABELS = ("hr", "it", "finance", "product")
_QUESTIONS = (
    "I cannot reach the invoice system from the branch office since this morning, who can help me?",
    "How many days of parental leave are left for me this year, and by when do I have to ask for them?",
    "My laptop asks for a recovery key after last night's update and I have a customer call at nine.",
    "The supplier says that our last payment never came, where do I see when it was booked?",
)
# Of so many distinct events the ids, times, sessions and traces of a record's events are then made its own.
_VARIANTS = 512


class Emitter:
    """Makes events as JSON, each with an id, a time, a session and a trace of its own.

    short: without the fields that an emitter may leave out
    """

    def __init__(self, short: bool = False, seed: int = 1) -> None:
        draw = random.Random(seed)
        self._variants = [_template(draw, short) for _ in range(_VARIANTS)]
        self._draw = random.Random(secrets.randbits(64))
        self._serial = 0

    def records(self, events: int, packed: int) -> Iterator[bytes]:
        """Values of Kafka records, `packed` events in each; a record of one event is the event itself."""
        for _ in range(events // packed):
            made = self.some(packed)
            yield made[0] if packed == 1 else b"[" + b",".join(made) + b"]"

    def some(self, count: int) -> list[bytes]:
        """Events of now."""
        now = time.time_ns()
        at = datetime.fromtimestamp(now // 1000 / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        millis = b"%012x" % (now // 1_000_000)
        begin = millis[:8] + b"-" + millis[8:] + b"-7"
        return [self._one(at, begin) for _ in range(count)]

    def _one(self, at: bytes, begin: bytes) -> bytes:
        self._serial += 1
        mark = b"%032x" % self._draw.getrandbits(128)
        one = b"%b%b-8%b-%b" % (begin, mark[:3], mark[3:6], mark[6:18])
        return self._variants[self._serial % _VARIANTS] % {b"at": at, b"id": one, b"mark": mark, b"half": mark[16:]}


def thumbs(count: int) -> bytes:
    """One record of feedback about answers that are not here yet: what is parked."""
    answer = new_inference(TASK, VERSION)
    said = (new_feedback(answer.inference_id, "user", "thumb", value=1.0, task=TASK) for _ in range(count))
    return b"[" + b",".join(feedback.to_json() for feedback in said) + b"]"


def _template(draw: random.Random, short: bool) -> bytes:
    label = draw.choice(LABELS)
    fields: dict[str, Any] = {"session_id": "SESSION", "input": draw.choice(_QUESTIONS), "label": label}
    fields |= {"user_ref": f"u-{draw.getrandbits(32):08x}", "emitter": "b"}
    if not short:
        fields |= {
            "scores": {label: round(0.5 + draw.random() / 2, 4), "out_of_scope": round(draw.random() / 2, 4)},
            "first_token_ms": round(draw.uniform(20, 900), 2),
            "latency_ms": round(draw.uniform(900, 3000), 2),
            "tokens_in": draw.randrange(20, 300),
            "tokens_out": draw.randrange(1, 9),
            "cost": round(draw.random() / 1000, 7),
            "trace_id": "TRACE",
            "span_id": "SPAN",
            "audited": draw.random() < 0.05,
            "audit_probability": 0.05,
        }
    made = new_inference(TASK, VERSION, **fields)
    # Without the key, as emitters send them.
    body = made.model_dump_json(exclude_none=True, exclude_defaults=short, exclude={"key_id"}).encode()
    body = body.replace(b"%", b"%%")
    for was, slot in (
        (made.model_dump(mode="json", include={"occurred_at"})["occurred_at"], b"%(at)b"),
        (str(made.inference_id), b"%(id)b"),
        ("SESSION", b"s-%(half)b"),
        ("TRACE", b"%(mark)b"),
        ("SPAN", b"%(half)b"),
    ):
        body = body.replace(was.encode(), slot, 1)
    return body
