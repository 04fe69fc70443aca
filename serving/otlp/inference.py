"""A call of a model as an inference: its id, and what the plan adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from headrace.contract import ids
from headrace.contract.choice import label_in
from headrace.contract.events import Inference
from headrace.contract.ids import EARLIEST, LATEST
from headrace.contract.texts import mark
from headrace.errors import EventError
from headrace.plan import Plan, Task
from serving.otlp.attributes import bounded_name, moment_of, own_answer, whole
from serving.otlp.calls import Call

_SANE_NS = range(ids.millis(EARLIEST) * 1_000_000, ids.millis(LATEST) * 1_000_000)


def id_of(call: Call) -> UUID | str:
    """The id of a call's inference: the gateway's, of a call to one; the one that its emitter chose; or one made of its
    trace and span.

    The time in it is the span's start, so that a span sent twice is one event. Raises EventError where it has no time.
    """
    known = own_answer(call.response_id) or call.given_id
    if known:
        return known
    return ids.derived_at(_sane(call.start_ns, call.end_ns) // 1_000_000, "otlp", call.trace, call.span)


def inference(call: Call, inference_id: UUID | str, revision: int, plan: Plan) -> Inference:
    """The call as an inference of that id. Raises EventError."""
    task, models = _task(call, plan), [name for name in call.models if name]
    fields: dict[str, Any] = {
        "inference_id": inference_id,
        "occurred_at": moment_of(_sane(call.end_ns, call.start_ns)),
        "revision": revision,
        "task": task,
        "version": models[-1] if models else "unknown",
        "session_id": call.session,
        "user_ref": call.user,
        "input": call.question,
        "output": call.answer,
        "first_token_ms": call.first_token_ms,
        "latency_ms": max(0, call.end_ns - call.start_ns) / 1e6 if call.start_ns in _SANE_NS else 0.0,
        "tokens_in": call.tokens_in,
        "tokens_out": call.tokens_out,
        "cost": call.priced,
        "trace_id": call.trace,
        "span_id": call.span,
        "response_id": call.response_id,
        "consent": call.consent,
    }
    if call.cut:  # what arrived of a text is no example of one
        texts = {"question": "input", "answer": "output"}
        fields["extra"] = {"truncated": {texts[which]: mark(getattr(call, which)) for which in call.cut}}
    if task in plan.tasks:
        fields |= _planned(plan.tasks[task], models, fields)
    # What headrace.* says goes before what was concluded.
    said = {"version": call.version, "label": call.label}
    fields |= {name: text for name, text in said.items() if text}
    if call.cost is not None:
        fields["cost"] = call.cost
    return Inference.made(fields)


def _task(call: Call, plan: Plan) -> str:
    """headrace.task; a task that the agent or the model is named after; the one whose incumbent it is; a name."""
    if call.task:
        return call.task
    for name in (*call.agents, *call.models):
        if name in plan.tasks:
            return name
    whose = [name for name, task in plan.tasks.items() if task.incumbent.model in call.models]
    if len(whose) == 1:
        return whose[0]
    return call.agents[0] if call.agents else bounded_name(whole(call.name)) or "unknown"


def _planned(task: Task, models: Iterable[str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the plan adds: the incumbent's version and prices, the label that the output names."""
    cut = "output" in fields.get("extra", {}).get("truncated", {})
    # The head of an answer may be another label's name.
    added: dict[str, Any] = {} if cut else {"label": label_in(fields["output"], task.texts)}
    incumbent = task.incumbent
    if incumbent.model in models:
        dollars_in = fields["tokens_in"] * incumbent.usd_per_million_in
        added["version"] = incumbent.version
        added["cost"] = (dollars_in + fields["tokens_out"] * incumbent.usd_per_million_out) / 1e6
    return added


def _sane(*nanoseconds: int) -> int:
    for one in nanoseconds:
        if one in _SANE_NS:
            return one
    raise EventError("neither its start nor its end lies between the years 2000 and 2100")
