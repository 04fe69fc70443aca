"""The gateway over HTTP."""

from __future__ import annotations

import json
import logging
import math
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from headrace.access.roles import Forbidden, Role
from headrace.access.tokens import answer_token
from headrace.contract.events import Feedback, Inference
from headrace.plan import Plan
from serving.answering.gateway import Question
from serving.engines.engine import EngineBusy, EngineFailed
from serving.http import chat, page_files
from serving.http.admission import admitted
from serving.http.callers import SPEAKERS
from serving.http.capacity import Uploads
from serving.http.cross_origin import Browsers
from serving.http.dependencies import Parts
from serving.http.paths import Paths
from serving.http.refusal import Refusal
from serving.http.requests import Body, ChatRequest, RouteAnswer, RouteRequest
from serving.intake.batches import Batch
from serving.intake.page_feedback import TOKEN_HEADER
from serving.otlp import receiver
from serving.otlp.service import Exports

log = logging.getLogger(__name__)


def build(parts: Parts, exports: Exports) -> FastAPI:
    """The application. Interactive pages are left out: they load scripts from elsewhere."""
    app = FastAPI(title="headrace gateway", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    _questions(app, parts)
    _events(app, parts)
    receiver.mount(app, parts, exports)
    page_files.mount(app)
    _probes(app, parts)
    app.add_middleware(Uploads, room=parts.room)
    app.add_middleware(Browsers, callers=parts.callers)
    app.add_middleware(Paths)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _failed)
    return app


def _questions(app: FastAPI, parts: Parts) -> None:
    @app.post("/v1/route", response_model=RouteAnswer, openapi_extra=_takes(RouteRequest))
    async def route(request: Request) -> Response:
        """Which label a question gets."""
        caller = admitted(request, parts, Role.INGEST, events=1)
        asked = await caller.parsed(RouteRequest)
        question = Question(
            task=asked.task or _only(parts.plan),
            text=asked.text,
            tenant=caller.principal.tenant,
            key_id=caller.principal.key_id,
            session_id=asked.session_id,
            user_ref=asked.user_ref,
            consent=asked.consent,
            inference_id=asked.inference_id,
        )
        given = await _answered(parts, question, "task")
        return _json(
            {
                "inference_id": str(given.inference_id),
                "label": given.label,
                "scores": given.scores,
                "version": given.version,
                "arm": given.arm,
                "latency_ms": round(given.latency_ms, 3),
            },
            headers=_token(parts, given),
        )

    @app.post("/v1/chat/completions", openapi_extra=_takes(ChatRequest))
    async def completions(request: Request) -> Response:
        """The same in OpenAI's shape: the model name is a task, the answer's content the label."""
        caller = admitted(request, parts, Role.INGEST, events=1)
        asked = await caller.parsed(ChatRequest)
        given = await _answered(parts, chat.question_of(asked, caller.principal), "model")
        headers = _token(parts, given)
        text = parts.plan.task(given.task).names.get(given.label, given.label)
        if asked.stream:
            usage = bool(asked.stream_options and asked.stream_options.include_usage)
            return StreamingResponse(
                chat.chunks(given, text, asked.model, usage), headers=headers, media_type="text/event-stream"
            )
        return _json(chat.completion(given, text, asked.model), headers=headers)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        """The tasks."""
        parts.callers.permitted(request, Role.INGEST, Role.READ)
        return _json(chat.models(parts.plan.served))


def _events(app: FastAPI, parts: Parts) -> None:
    @app.post("/v1/feedback", status_code=202, openapi_extra=_takes(Feedback))
    async def feedback(request: Request) -> Response:
        """One sign of how good an answer was; feedback_id and occurred_at may be left out.

        With a key of the role publish, a web page's: `signal`, its value, label or comment, and the answer's token.
        """
        caller = admitted(request, parts, *SPEAKERS, Role.PUBLISH)
        token = request.headers.get(TOKEN_HEADER, "")
        made, taken = await parts.intake.feedback(await caller.body(), caller.principal, token)
        return _json({"feedback_id": str(made.called), "spooled": taken.spooled}, 202)

    @app.post("/v1/events", status_code=202, openapi_extra=_takes(Batch))
    async def events(request: Request) -> Response:
        """Inferences and feedback of other emitters; each that is refused is named by its place.

        202: Kafka has the others, or where it says `spooled`, the gateway's disk does until Kafka answers.
        """
        caller = admitted(request, parts, *SPEAKERS)
        lines = "ndjson" in request.headers.get("content-type", "").lower()
        taken = await parts.intake.events(await caller.body(), caller.principal, lines)
        return _json(taken.fields(), 202)


def _probes(app: FastAPI, parts: Parts) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        """The process lives."""
        return _json({"status": "ok"})

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        """Live versions are loaded and acknowledged, and Kafka can be reached; only this machine is told why not."""
        reasons = parts.unready()
        shown = {"reasons": reasons} if parts.callers.near(request) else {}
        return _json({"status": "not ready" if reasons else "ready"} | shown, 503 if reasons else 200)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Prometheus' text format; from elsewhere than this machine it takes a key."""
        if not parts.callers.near(request):
            parts.callers.permitted(request, Role.READ)
        parts.refresh()
        return Response(parts.metrics.exposition(), media_type="text/plain; version=0.0.4")


async def _answered(parts: Parts, question: Question, field: str) -> Inference:
    served = parts.plan.served
    if question.task not in served:
        why = (
            f"{question.task!r} is of kind generate, which no gateway answers yet"
            if question.task in parts.plan.tasks
            else f"there is no task {question.task!r}"
        )
        raise Refusal(404, f"{field}: {why}; there are {', '.join(sorted(served))}", param=field)
    try:
        return await parts.gateway.answer(question)
    except EngineBusy as error:
        raise Refusal(
            503, f"task {question.task} got no answer: {error}", retry_after_s=math.ceil(error.retry_after_s)
        ) from None
    except EngineFailed as error:
        raise Refusal(502, f"task {question.task} got no answer: {error}", kind="upstream_error") from None


def _only(plan: Plan) -> str:
    if "router" in plan.served:
        return "router"
    if len(plan.served) == 1:
        return next(iter(plan.served))
    raise Refusal(400, f"task: the field is missing; there are {', '.join(sorted(plan.served))}", param="task")


def _token(parts: Parts, given: Inference) -> dict[str, str]:
    """What a web page needs to say something about the answer."""
    token = answer_token(parts.secret, given.tenant, given.inference_id, datetime.now(UTC))
    return {"x-headrace-inference-id": str(given.inference_id), TOKEN_HEADER: token}


def _takes(model: type[Body | Feedback | Batch]) -> dict[str, Any]:
    """The body's schema for /openapi.json: bodies are read and refused here, in OpenAI's shape."""
    schema = model.model_json_schema(ref_template="{model}")
    schema = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its definitions in place: a reference would be looked up in the whole document."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(name := schema.get("$ref"), str):
        return _inlined(definitions[name], definitions) | {key: value for key, value in schema.items() if key != "$ref"}
    return {key: _inlined(value, definitions) for key, value in schema.items()}


def _json(fields: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(fields, separators=(",", ":")), status, headers, "application/json")


async def _refused(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response()


async def _forbidden(_: Request, error: Exception) -> Response:
    return Refusal(403, str(error)).response()


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    routes = ", ".join(sorted(getattr(route, "path", "") for route in request.app.routes))
    what = "does not take" if error.status_code == 405 else "has no"
    message = f"the gateway {what} {request.method} {request.url.path}; it has {routes}"
    return Refusal(error.status_code, message).response()


async def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return Refusal(500, "the gateway failed on this request; its log says why").response()
