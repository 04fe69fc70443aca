"""The gateway over HTTP."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from headrace.access.roles import Forbidden, Role
from headrace.contract.events import Feedback
from headrace.plan import Plan
from serving.answering.gateway import Question
from serving.http import decisions, openai_api, page_files
from serving.http.admission import Caller, admitted
from serving.http.answers import answered, json_response, no_task, own_headers, takes
from serving.http.askers import asking_of
from serving.http.callers import SPEAKERS
from serving.http.capacity import Uploads
from serving.http.cross_origin import Browsers
from serving.http.departure import until_left
from serving.http.dependencies import Parts
from serving.http.direct import Direct
from serving.http.paths import Paths
from serving.http.refusal import Refusal, response_to
from serving.http.requests import Decision, DecisionRequest, RouteAnswer, RouteRequest
from serving.intake.batches import Batch
from serving.intake.page_feedback import TOKEN_HEADER
from serving.otlp import receiver
from serving.otlp.service import Exports


def build(parts: Parts, exports: Exports) -> Direct:
    """The application. Interactive pages are left out: they load scripts from elsewhere."""
    app = FastAPI(title="headrace gateway", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    _questions(app, parts)
    openai_api.mount(app, parts)
    _events(app, parts)
    receiver.mount(app, parts, exports)
    page_files.mount(app)
    _probes(app, parts)
    app.add_middleware(Uploads, room=parts.room)
    app.add_middleware(Browsers, callers=parts.callers)
    app.add_middleware(Paths)
    app.add_exception_handler(HTTPException, _no_route)
    for kind in (Refusal, Forbidden, Exception):
        app.add_exception_handler(kind, _failed)
    return Direct(app, parts.room)


def _questions(app: FastAPI, parts: Parts) -> None:
    @app.post("/v1/route", response_model=RouteAnswer, openapi_extra=takes(RouteRequest, asks=True))
    async def route(request: Request) -> Response:
        """Which label a question gets."""
        caller = admitted(request, parts, Role.INGEST, events=1)
        asked = await caller.parsed(RouteRequest)
        question = _question(request, parts, caller, asked)
        given = await until_left(request.receive, answered(parts, question, "task"))
        return json_response(
            {
                "inference_id": str(given.inference_id),
                "label": given.label,
                "scores": given.scores,
                "version": given.version,
                "arm": given.arm,
                "latency_ms": round(given.latency_ms, 3),
            },
            headers=own_headers(parts, given.tenant, given.inference_id, given.version),
        )

    @app.post("/v1/decisions", response_model=Decision, openapi_extra=takes(DecisionRequest, asks=True))
    async def decide(request: Request) -> Response:
        """Which of some options a question gets, with how probable each is, or none of them."""
        caller = admitted(request, parts, Role.INGEST, events=1)
        asked = await caller.parsed(DecisionRequest)
        question = _question(request, parts, caller, asked)
        if (task := parts.plan.served.get(question.task)) is None:
            raise no_task(parts, question.task, "task")
        options = decisions.options_of(asked, task)
        given = await until_left(request.receive, answered(parts, question, "task"))
        headers = own_headers(parts, given.tenant, given.inference_id, given.version)
        return json_response(decisions.decision(given, options).model_dump(mode="json"), headers=headers)


def _question(request: Request, parts: Parts, caller: Caller, asked: RouteRequest | DecisionRequest) -> Question:
    return Question(
        task=asked.task or _only(parts.plan),
        text=asked.text,
        tenant=caller.principal.tenant,
        key_id=caller.principal.key_id,
        asking=asking_of(request.headers, asked),
    )


def _events(app: FastAPI, parts: Parts) -> None:
    @app.post("/v1/feedback", status_code=202, openapi_extra=takes(Feedback))
    async def feedback(request: Request) -> Response:
        """One sign of how good an answer was; feedback_id and occurred_at may be left out.

        With a key of the role publish, a web page's: `signal`, its value, label or comment, and the answer's token.
        """
        caller = admitted(request, parts, *SPEAKERS, Role.PUBLISH)
        token = request.headers.get(TOKEN_HEADER, "")
        made, taken = await parts.intake.feedback(await caller.body(), caller.principal, token)
        return json_response({"feedback_id": str(made.called), "spooled": taken.spooled}, 202)

    @app.post("/v1/events", status_code=202, openapi_extra=takes(Batch))
    async def events(request: Request) -> Response:
        """Inferences and feedback of other emitters; each that is refused is named by its place.

        202: Kafka has the others, or where it says `spooled`, the gateway's disk does until Kafka answers.
        """
        caller = admitted(request, parts, *SPEAKERS)
        lines = "ndjson" in request.headers.get("content-type", "").lower()
        taken = await parts.intake.events(await caller.body(), caller.principal, lines)
        return json_response(taken.fields(), 202)


def _probes(app: FastAPI, parts: Parts) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        """The process lives."""
        return json_response({"status": "ok"})

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        """Live versions are loaded and acknowledged; only this machine is told why not, and what else is wrong."""
        reasons = parts.unready()
        shown = {"reasons": reasons + parts.degraded()} if parts.callers.near(request) else {}
        return json_response({"status": "not ready" if reasons else "ready"} | shown, 503 if reasons else 200)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Prometheus' text format; from elsewhere than this machine it takes a key."""
        if not parts.callers.near(request):
            parts.callers.permitted(request, Role.READ)
        parts.refresh()
        return Response(parts.metrics.exposition(), media_type="text/plain; version=0.0.4")


def _only(plan: Plan) -> str:
    if "router" in plan.served:
        return "router"
    if len(plan.served) == 1:
        return next(iter(plan.served))
    raise Refusal(400, f"task: the field is missing; there are {', '.join(sorted(plan.served))}", param="task")


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    routes = ", ".join(sorted({getattr(route, "path", "") for route in request.app.routes}))
    what = "does not take" if error.status_code == 405 else "has no"
    message = f"the gateway {what} {request.method} {request.url.path}; it has {routes}"
    return Refusal(error.status_code, message).response()


async def _failed(request: Request, error: Exception) -> Response:
    return response_to(request, error)
