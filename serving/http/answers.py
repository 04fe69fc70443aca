"""What the routes of questions share: asking, headers, what an answer says, failures as responses."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from fastapi.responses import Response
from pydantic import BaseModel

from headrace.access.tokens import answer_token
from headrace.contract.events import Inference
from headrace.contract.texts import carried, name_of
from headrace.plan import Task
from serving.answering.gateway import Question
from serving.engines.engine import DeadlinePassed, EngineBusy, EngineFailed, UnsupportedRequest
from serving.http.askers import DEADLINE, HEADERS
from serving.http.dependencies import Parts
from serving.http.label_shapes import Shape
from serving.http.refusal import Refusal
from serving.intake.page_feedback import TOKEN_HEADER

VERSION_HEADER = "x-headrace-version"
INFERENCE_HEADER = "x-headrace-inference-id"
_INVISIBLE = re.compile("[^ -~]")


async def answered(parts: Parts, question: Question, field: str) -> Inference:
    """The task's answer. Raises Refusal; field: the one that names the task"""
    served = parts.plan.served
    if question.task not in served:
        raise no_task(parts, question.task, field)
    try:
        return await parts.gateway.answer(question)
    except EngineFailed as error:
        raise failed(error, f"task {question.task}") from None


def no_task(parts: Parts, name: str, field: str) -> Refusal:
    """Nobody answers what a request names."""
    there = ", ".join(sorted(parts.plan.served)) or "none"
    if name in parts.plan.tasks:
        why = f"{name!r} is of kind generate, whose answers are texts and no labels; tasks with labels: {there}"
    else:
        why = f"there is no task {name!r}; there are {there}"
        if field == "model":
            why += "; the plan's [gateway] names no upstream for other models"
    return Refusal(404, f"{field}: {why}", param=field)


def failed(error: EngineFailed, what: str) -> Refusal:
    """Why there is no answer, as a response."""
    said = f"{what} got no answer: {error}"
    if isinstance(error, EngineBusy):
        return Refusal(429 if error.of_caller else 503, said, retry_after_s=math.ceil(error.retry_after_s))
    if isinstance(error, UnsupportedRequest):
        return Refusal(400, said)
    if isinstance(error, DeadlinePassed):
        return Refusal(504, said, kind="timeout_error")
    return Refusal(502, said, kind="upstream_error", retry_after_s=math.ceil(error.retry_after_s) or None)


def text_of(given: Inference, task: Task, shape: Shape) -> str:
    """The label's text; where the model named none what it wrote, unless that has no such form. Raises Refusal 502."""
    if given.label:
        return task.names.get(given.label, given.label)
    if shape.plain:
        return given.output
    raise Refusal(
        502, f"task {given.task} got no answer in the form that was asked for: {given.version} named no label",
        kind="upstream_error",
    )  # fmt: skip


def own_headers(parts: Parts, tenant: str, inference_id: UUID, version: str) -> dict[str, str]:
    """What feedback, also a web page's, has to name of an answer."""
    token = answer_token(parts.secret, tenant, inference_id, datetime.now(UTC))
    return {INFERENCE_HEADER: str(inference_id), TOKEN_HEADER: token, VERSION_HEADER: _shown(version)}


@lru_cache(maxsize=1024)
def _shown(version: str) -> str:
    """A header carries visible ASCII (RFC 9110, 5.5), and servers refuse long ones; a name may hold anything."""
    return _INVISIBLE.sub("?", name_of(carried(version)))


def json_response(fields: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The fields as JSON."""
    return Response(json.dumps(fields, separators=(",", ":")), status, headers, "application/json")


def takes(model: type[BaseModel], asks: bool = False) -> dict[str, Any]:
    """The body's schema for /openapi.json: bodies are read and refused by the routes, in OpenAI's shape.

    asks: whether the route reads the headers of HEADERS
    """
    schema = model.model_json_schema(ref_template="{model}")
    schema = _inlined(schema, schema.pop("$defs", {}))
    parameters = [
        {"name": name, "in": "header", "required": False, "description": says, "schema": {"type": "string"}}
        # Whoever tries what a schema allows would ask for 504 by a deadline of a millisecond.
        for name, says in (HEADERS.items() if asks else ())
        if name != DEADLINE
    ]
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
    return body | ({"parameters": parameters} if parameters else {})


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its definitions in place: a reference would be looked up in the whole document."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(name := schema.get("$ref"), str):
        return _inlined(definitions[name], definitions) | {key: value for key, value in schema.items() if key != "$ref"}
    return {key: _inlined(value, definitions) for key, value in schema.items()}
