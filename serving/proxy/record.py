"""An answer that passed, as an inference."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headrace.access.roles import Principal
from headrace.contract import fast_reading, ids
from headrace.contract.events import Inference
from headrace.contract.nothing import named
from headrace.contract.texts import MAX_TEXT, carried, mark, name_of, shortened
from serving.answering.asking import EXPLICIT, Asking
from serving.proxy.calls import Call
from serving.proxy.targets import Target
from serving.proxy.watch import Watch


def inference_of(
    inference_id: UUID, call: Call, target: Target, watch: Watch, asking: Asking, principal: Principal, emitter: str
) -> Any:
    """The event of an answer, made by fast_reading: its task is the model's name where it is none of the plan's."""
    extra: dict[str, Any] = dict(EXPLICIT) if asking.consent else {}
    question, output = carried(call.question), carried(watch.output)
    for name, text in (("input", question), ("output", output)):
        if len(text) > MAX_TEXT:
            extra.setdefault("truncated", {})[name] = mark(text)
    if not watch.whole:
        extra["interrupted"] = True
    model = name_of(carried(call.model)) or "unknown"
    latency_ms = watch.latency_ms
    first_ms = watch.first_token_ms
    keys = target.keys
    fields = {
        "inference_id": inference_id,
        "occurred_at": ids.time_of(inference_id) if asking.inference_id else datetime.now(UTC),
        "tenant": principal.tenant,
        "key_id": principal.key_id,
        "emitter": emitter,
        "task": target.task or model,
        "version": target.version or name_of(carried(watch.model)) or model,
        "session_id": named(asking.session_id),
        "user_ref": named(asking.user_ref),
        "trace_id": asking.trace_id,
        "response_id": named(name_of(carried(watch.response_id))),
        "consent": asking.consent is not False,
        "input": shortened(question),
        "output": shortened(output),
        "first_token_ms": latency_ms if first_ms is None else first_ms,
        "latency_ms": latency_ms,
        "tokens_in": watch.tokens_in,
        "tokens_out": watch.tokens_out,
        "cost": (watch.tokens_in * keys.usd_per_million_in + watch.tokens_out * keys.usd_per_million_out) / 1e6,
    }
    return fast_reading.made(Inference, fields | {"extra": extra} if extra else fields)
