"""Events that arrive over HTTP: checked whole, written to Kafka, and only then acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from headrace import ids
from headrace.errors import EventError, HeadraceError
from headrace.events import Event, Feedback, Inference, Moment, sentence
from serving.keys import DEFAULT_TENANT
from serving.refusal import Refusal

STORE_S = 10.0
MAX_SHOWN = 100
IN_THREAD_BYTES = 64 * 1024
"""Larger bodies are checked on a thread: questions must not wait behind them."""

_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


class Batch(BaseModel):
    """The body of POST /v1/events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inferences: list[Inference] = Field(default_factory=list)
    feedback: list[Feedback] = Field(default_factory=list)


class Intake:
    """Takes events for one tenant at a time; all of a request or none of it.

    store: returns when Kafka has the events, see headrace.client.AsyncClient.send
    """

    def __init__(self, store: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
        self._store_events = store

    async def events(self, body: bytes, tenant: str) -> Batch:
        """Store a batch. Raises Refusal: 400 with every malformed event's index, 503 where Kafka did not take it."""
        if len(body) > IN_THREAD_BYTES:
            batch = await asyncio.to_thread(batch_of, body, tenant)
        else:
            batch = batch_of(body, tenant)
        await self._store(batch)
        return batch

    async def feedback(self, body: bytes, tenant: str) -> Feedback:
        """Store one Feedback. Raises Refusal."""
        feedback = feedback_of(body, tenant)
        await self._store(Batch(feedback=[feedback]))
        return feedback

    async def _store(self, batch: Batch) -> None:
        try:
            async with asyncio.timeout(STORE_S):
                await self._store_events([*batch.inferences, *batch.feedback])
        except EventError as error:
            raise Refusal(413, f"{error}; nothing was taken") from None
        except (HeadraceError, TimeoutError) as error:
            why = str(error) or f"Kafka did not acknowledge them within {STORE_S:.0f} s"
            raise Refusal(503, f"the events are not known to be stored: {why}; send the same ones again") from None


def batch_of(body: bytes, tenant: str) -> Batch:
    """From {"inferences": […], "feedback": […]}, an array of events told apart by their id field, or one event.

    Raises Refusal: 400, with the list, index and sentence of each malformed event.
    """
    try:
        return _owned(Batch.model_validate_json(body), tenant)
    except ValidationError as error:
        fields = _json(body)
        if isinstance(fields, dict) and not fields.keys() & {"inference_id", "feedback_id"}:
            raise _malformed(error, fields, {}) from None
    events = fields if isinstance(fields, list) else [fields]
    sorted_out: dict[str, list[Any]] = {"inferences": [], "feedback": []}
    places: dict[tuple[str, int], int] = {}
    for index, event in enumerate(events):
        kind = _kind(event, index)
        places[kind, len(sorted_out[kind])] = index
        sorted_out[kind].append(event)
    try:
        return _owned(Batch.model_validate_json(json.dumps(sorted_out)), tenant)
    except ValidationError as error:
        raise _malformed(error, sorted_out, places) from None


def feedback_of(body: bytes, tenant: str) -> Feedback:
    """From the fields of a Feedback, of which the id and the time may be left out. Raises Refusal 400."""
    fields = _json(body)
    if not isinstance(fields, dict):
        raise Refusal(400, "the request is not a JSON object with the fields of a feedback event")
    try:
        at = _MOMENT.validate_python(fields["occurred_at"]) if "occurred_at" in fields else None
    except ValidationError as error:
        raise Refusal(400, sentence("Feedback.occurred_at", error), param="occurred_at") from None
    fields.setdefault("feedback_id", str(ids.uuid7(at)))
    if at is None:
        fields["occurred_at"] = _time_of(fields["feedback_id"])
    try:
        feedback = Feedback.model_validate_json(json.dumps(fields))
    except ValidationError as error:
        param = ".".join(map(str, error.errors()[0]["loc"]))
        raise Refusal(400, sentence("Feedback", error), param=param) from None
    return _owned(Batch(feedback=[feedback]), tenant).feedback[0]


def _owned(batch: Batch, tenant: str) -> Batch:
    """The events as the key's tenant's; "default" is what an emitter says that knows no tenants. Raises Refusal."""
    for kind, events in (("inferences", batch.inferences), ("feedback", batch.feedback)):
        for index, event in enumerate(events):
            if event.tenant not in (tenant, DEFAULT_TENANT):
                raise Refusal(
                    403,
                    f"{kind}[{index}].tenant is {event.tenant!r}, but the API key is tenant {tenant!r}'s;"
                    " leave the field out",
                    param=f"{kind}.{index}.tenant",
                )
    if tenant == DEFAULT_TENANT:
        return batch
    return Batch(
        inferences=[event.model_copy(update={"tenant": tenant}) for event in batch.inferences],
        feedback=[event.model_copy(update={"tenant": tenant}) for event in batch.feedback],
    )


def _kind(event: Any, index: int) -> str:
    if isinstance(event, dict) and "feedback_id" in event:
        return "feedback"
    if isinstance(event, dict) and "inference_id" in event:
        return "inferences"
    raise Refusal(
        400, f"event {index} has neither an inference_id nor a feedback_id; nothing was taken", param=str(index)
    )


def _malformed(error: ValidationError, fields: dict[str, Any], places: dict[tuple[str, int], int]) -> Refusal:
    """One sentence for each malformed event; `places` gives an event's index in the request, where it was an array."""
    faults: dict[tuple[str, int], str] = {}
    for complaint in error.errors(include_url=False, include_context=False, include_input=False):
        match complaint["loc"]:
            case (str(kind), int(index), *_):
                faults.setdefault((kind, index), "")
            case _:
                return Refusal(400, sentence("the request", error), param=".".join(map(str, complaint["loc"])) or None)
    shown = [
        {"list": kind, "index": places.get((kind, index), index), "message": _why(kind, fields[kind][index])}
        for kind, index in list(faults)[:MAX_SHOWN]
    ]
    first = shown[0]
    return Refusal(
        400,
        f"{len(faults)} malformed; nothing was taken; the first is number {first['index']}: {first['message']}",
        param=f"{first['list']}.{first['index']}",
        events=shown,
    )


def _why(kind: str, event: Any) -> str:
    try:
        (Inference if kind == "inferences" else Feedback).strict(event)
    except EventError as error:
        return str(error)
    return "the event is malformed"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None


def _time_of(event_id: Any) -> str:
    """An id of version 7 carries its time; of any other the event's check says what is wrong with it."""
    try:
        return ids.time_of(UUID(str(event_id))).isoformat()
    except (ValueError, OverflowError):
        return datetime.now(UTC).isoformat()
