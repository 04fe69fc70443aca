"""OpenAI's API: a task's name as the model answers by the task, any other model passes to its upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from headrace.access.roles import Role
from headrace.contract.events import Inference
from serving.answering.asking import Asking
from serving.answering.gateway import Question
from serving.engines.engine import EngineFailed
from serving.http import chat, responses
from serving.http.admission import Caller, admitted
from serving.http.answers import answered, failed, json_response, no_task, own_headers, takes, text_of
from serving.http.askers import asking_of
from serving.http.bodies import CALLS
from serving.http.departure import ClientLeft, until_left
from serving.http.dependencies import Parts
from serving.http.label_shapes import PLAIN, shape_of, shape_of_function
from serving.http.refusal import Refusal, parsed
from serving.http.requests import (
    Asker,
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    ModelRequest,
    ResponsesRequest,
)
from serving.otlp.attributes import OWN_RESPONSE
from serving.proxy.calls import OWN, Call, Endpoint, NoCall
from serving.proxy.passing import STREAM, Passing
from serving.proxy.targets import Target

M = TypeVar("M", bound=ModelRequest)


def mount(app: FastAPI, parts: Parts) -> None:
    """Add the routes."""

    @app.post("/v1/chat/completions", openapi_extra=takes(ChatRequest, asks=True))
    async def completions(request: Request) -> Response:
        """Chat completions: the model is a task, whose label is the answer, or one of an upstream."""
        asked = await _Asked.of(request, parts, Endpoint.CHAT)
        if asked.target:
            return await asked.passed(asked.target)
        body = await asked.parsed(ChatRequest)
        task = parts.plan.tasks[body.model]
        shape = shape_of_function(body.functions, body.function_call, task)
        shape = shape or shape_of(body.response_format, body.tools, body.tool_choice, task)
        given = await asked.label(body, *chat.question_of(body), OWN_RESPONSE)
        said, choices = shape.write(given.label, text_of(given, task, shape)), body.n or 1
        if body.stream:
            usage = bool(body.stream_options and body.stream_options.include_usage)
            return asked.streamed(given, chat.chunks(given, said, shape, body.model, choices, usage))
        return asked.whole(given, chat.completion(given, said, shape, body.model, choices))

    @app.post("/v1/completions", openapi_extra=takes(CompletionRequest, asks=True))
    async def text_completions(request: Request) -> Response:
        """Completions, alike."""
        asked = await _Asked.of(request, parts, Endpoint.COMPLETIONS)
        if asked.target:
            return await asked.passed(asked.target)
        body = await asked.parsed(CompletionRequest)
        given = await asked.label(body, chat.prompt_of(body), (), chat.COMPLETION)
        said, choices = text_of(given, parts.plan.tasks[body.model], PLAIN), body.n or 1
        if body.stream:
            usage = bool(body.stream_options and body.stream_options.include_usage)
            return asked.streamed(given, chat.text_chunks(given, said, body.model, choices, usage))
        return asked.whole(given, chat.text_completion(given, said, body.model, choices))

    @app.post("/v1/responses", openapi_extra=takes(ResponsesRequest, asks=True))
    async def response(request: Request) -> Response:
        """Responses, alike."""
        asked = await _Asked.of(request, parts, Endpoint.RESPONSES)
        if asked.target:
            return await asked.passed(asked.target)
        body = await asked.parsed(ResponsesRequest)
        task = parts.plan.tasks[body.model]
        shape = shape_of((body.text or {}).get("format"), body.tools, body.tool_choice, task)
        given = await asked.label(body, *responses.question_of(body), responses.RESPONSE)
        whole = responses.response(given, shape.write(given.label, text_of(given, task, shape)), shape, body)
        return asked.streamed(given, responses.events(whole)) if body.stream else asked.whole(given, whole)

    @app.post("/v1/embeddings", openapi_extra=takes(EmbeddingsRequest, asks=True))
    async def embeddings(request: Request) -> Response:
        """Embeddings of an upstream's model."""
        asked = await _Asked.of(request, parts, Endpoint.EMBEDDINGS)
        if asked.target:
            return await asked.passed(asked.target)
        raise Refusal(400, f"model: {asked.call.model} is a task, and a task gives no embeddings", param="model")

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        """The tasks, the models that the plan names, and those of the upstream for all others."""
        parts.callers.permitted(request, Role.INGEST, Role.READ)
        return json_response({"object": "list", "data": await _models(parts)})

    @app.get("/v1/models/{model:path}")
    async def model(request: Request, model: str) -> Response:
        """One of them."""
        parts.callers.permitted(request, Role.INGEST, Role.READ)
        found = next((one for one in await _models(parts) if one.get("id") == model), None)
        if found is None:
            raise Refusal(404, f"there is no model {model[:60]!r}; GET /v1/models lists those that there are")
        return json_response(found)


class _Asked:
    """A request whose model is known."""

    def __init__(self, request: Request, parts: Parts, caller: Caller, call: Call) -> None:
        self.call = call
        self.target = None if call.model in parts.plan.served else _target(parts, call.model)
        self._request = request
        self._parts = parts
        self._caller = caller

    @classmethod
    async def of(cls, request: Request, parts: Parts, endpoint: Endpoint) -> _Asked:
        """Raises Refusal: 400 for a body that names no model, 404 for a model that nobody answers."""
        caller = admitted(request, parts, Role.INGEST, events=1)
        body = await caller.body(CALLS)
        try:
            call = await caller.reading(body, lambda read: Call.read(read, endpoint))
        except NoCall as error:
            raise Refusal(400, str(error), param=error.param or None) from None
        return cls(request, parts, caller, call)

    async def parsed(self, model: type[M]) -> M:
        """The body. Raises Refusal 400 that names the field."""
        return await self._caller.reading(self.call.body, lambda body: parsed(model, body))

    async def label(self, body: ModelRequest, text: str, images: chat.Parts, prefix: str) -> Inference:
        """The task's answer. Raises Refusal."""
        user = body.safety_identifier or body.user
        principal = self._caller.principal
        question = Question(
            task=body.model,
            text=text,
            tenant=principal.tenant,
            key_id=principal.key_id,
            asking=asking_of(self._request.headers, body.headrace, body.metadata, user),
            response_prefix=prefix,
            parts=images,
        )
        return await until_left(self._request.receive, answered(self._parts, question, "model"))

    async def passed(self, target: Target) -> Response:
        """The upstream's answer, as it is. Raises Refusal where there is none."""
        call, headers = self.call, self._request.headers
        asking = asking_of(
            headers, _own(call), call.said("metadata"), call.said("safety_identifier") or call.said("user")
        )
        try:
            return await until_left(self._request.receive, self._passed(target, asking))
        except EngineFailed as error:
            raise failed(error, f"model {call.model}") from None

    async def _passed(self, target: Target, asking: Asking) -> Response:
        call, parts, principal = self.call, self._parts, self._caller.principal
        inference_id, answer = await parts.proxy.passed(target, call, self._request, asking, principal)
        version = target.version or call.model
        headers = answer.headers | own_headers(parts, principal.tenant, inference_id, version)
        if answer.short:
            return _Whole(await answer.whole(), answer.status, headers)
        return _Passed(answer, headers)

    def whole(self, given: Inference, fields: dict[str, Any]) -> Response:
        """A label's answer as JSON."""
        return json_response(fields, headers=self._headers(given))

    def streamed(self, given: Inference, pieces: Iterator[bytes]) -> Response:
        """A label's answer as server-sent events, which are all there."""
        return Response(b"".join(pieces), headers=self._headers(given), media_type=STREAM)

    def _headers(self, given: Inference) -> dict[str, str]:
        return own_headers(self._parts, given.tenant, given.inference_id, given.version)


class _Whole(Response):
    """An upstream's whole answer, with its headers as they are, which the framework would look through once more."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        if status not in (204, 304):
            self.raw_headers.append((b"content-length", b"%d" % len(body)))


class _Passed(StreamingResponse):
    """An upstream's answer as it comes; closed however it ends, also where it never began."""

    def __init__(self, answer: Passing, headers: dict[str, str]) -> None:
        super().__init__(_chunks(answer), answer.status, headers)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Not as the framework does: it would begin a task that waits for the client to leave, before the first byte.
        try:
            await until_left(receive, self.stream_response(send))
        except ClientLeft:
            pass
        finally:
            self._answer.close()


async def _chunks(answer: Passing) -> AsyncIterator[bytes]:
    """A stream that breaks off ends in an error as OpenAI's clients read one; anything else is cut off."""
    try:
        async for chunk in answer.chunks():
            yield chunk
    except EngineFailed as error:
        if not answer.readable:
            raise
        # The empty line ends an event that was complete but for it.
        yield b"\ndata: " + failed(error, "the stream").body() + b"\n\n"


async def _models(parts: Parts) -> list[dict[str, Any]]:
    targets = parts.proxy.targets
    own = sorted({*parts.plan.served, *targets.tasks, *targets.models})
    listed = [{"id": name, "object": "model", "created": 0, "owned_by": "headrace"} for name in own]
    return listed + [one for one in await parts.proxy.models() if one.get("id") not in own]


def _target(parts: Parts, model: str) -> Target:
    if (found := parts.proxy.targets.of(model)) is None:
        raise no_task(parts, model, "model")
    return found


def _own(call: Call) -> Asker | None:
    raw = call.fields.get(OWN)
    return None if raw is None or bytes(raw) == b"null" else parsed(Asker, bytes(raw))
