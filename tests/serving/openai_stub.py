"""An upstream that speaks OpenAI's API, and a gateway in front of it behind its real server."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from openai_double import MODEL, TEXT, TOOL, USAGE, WORDS
from stage import Stage, gateway, plan_text, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from headrace.embedded.server import free_port
from serving.__main__ import server_of

WRITER = """
[tasks.writer]
kind = "generate"
mode = "observe"
[tasks.writer.incumbent]
version = "writer@0"
url = "{url}"
model = "prose-70b"
usd_per_million_in = 1.0
"""
UPSTREAM = """
[engines.far]
kind = "openai"
url = "{url}"
timeout_s = 20.0
usd_per_million_in = 1.0
usd_per_million_out = 2.0
[engines.renamed]
kind = "openai"
url = "{url}"
model = "large-2026"
[gateway]
upstream = "far"
[gateway.models]
large = "renamed"
"""


class Stub:
    """Answers as OpenAI does. bodies, headers: what it was sent; left: streams whose reader went away

    answer: what it says instead, once; gate: a stream waits for it after its first piece, and so does `slow`
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.queries: list[list[tuple[str, str]]] = []
        self.answer: Response | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.left = 0
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Stub]:
        port = free_port()
        routes = [Route("/v1/models", self._models), Route("/v1/{path:path}", self._answered, methods=["POST"])]
        server = uvicorn.Server(
            uvicorn.Config(Starlette(routes=routes), port=port, log_level="critical", lifespan="off")
        )
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        self.url = f"http://127.0.0.1:{port}/v1"
        try:
            yield self
        finally:
            self.gate.set()
            server.should_exit = True
            await serving

    async def _models(self, request: Request) -> Response:
        listed = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "x"}]}
        if "gzip" in request.headers.get("accept-encoding", ""):
            packed = {"content-encoding": "gzip", "content-type": "application/json"}
            return Response(gzip.compress(json.dumps(listed).encode()), headers=packed)
        return JSONResponse(listed)

    async def _answered(self, request: Request) -> Response:
        body = await request.body()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.paths.append(request.path_params["path"])
        self.queries.append(request.query_params.multi_items())
        if self.answer is not None:
            answer, self.answer = self.answer, None
            return answer
        asked = json.loads(body)
        if asked["model"] == "slow":
            try:
                while not self.gate.is_set() and not await request.is_disconnected():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            finally:
                self.left += not self.gate.is_set()
        if asked.get("stream"):
            return StreamingResponse(self._pieces(asked), media_type="text/event-stream")
        return JSONResponse(_whole(request.path_params["path"], asked))

    async def _pieces(self, asked: dict[str, Any]) -> AsyncIterator[bytes]:
        try:
            for word in WORDS:
                piece = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
                yield _event(_head("chat.completion.chunk") | {"choices": [piece]})
                await self.gate.wait()
            last = {"index": 0, "delta": {}, "finish_reason": "stop"}
            yield _event(_head("chat.completion.chunk") | {"choices": [last], "usage": USAGE})
            yield b"data: [DONE]\n\n"
        except (asyncio.CancelledError, GeneratorExit):
            self.left += 1
            raise


def _whole(path: str, asked: dict[str, Any]) -> dict[str, Any]:
    if path == "embeddings":
        data = [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]
        return {"object": "list", "data": data, "model": MODEL, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    if path == "completions":
        choice = {"index": 0, "text": TEXT, "logprobs": None, "finish_reason": "stop"}
        return _head("text_completion") | {"choices": [choice], "usage": USAGE}
    if path == "responses":
        part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
        item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        return {
            "id": "resp_up", "object": "response", "created_at": 1, "model": MODEL, "status": "completed",
            "output": [item], "usage": {"input_tokens": 11, "output_tokens": 5, "total_tokens": 16},
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        }  # fmt: skip
    message: dict[str, Any] = {"role": "assistant", "content": TEXT}
    if asked.get("tools"):
        message = {"role": "assistant", "content": None}
        message["tool_calls"] = [{"id": "c1", "type": "function", "function": TOOL}]
    if asked.get("response_format"):
        message = {"role": "assistant", "content": '{"team": "it"}'}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return _head("chat.completion") | {"choices": [choice], "usage": USAGE}


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-up", "object": kind, "created": 1, "model": MODEL}


def _event(fields: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


@contextlib.asynccontextmanager
async def in_front(stub: Stub, task_url: str, home: Path, more: str = "") -> AsyncIterator[tuple[Stage, str]]:
    """A gateway whose other models are the stub's, and its address."""
    text = plan_text(task_url).replace("version = 1", "version = 2") + WRITER.format(url=stub.url)
    async with gateway(text + UPSTREAM.format(url=stub.url) + more, home) as stage:
        port = free_port()
        server = server_of(stage.service.app, "127.0.0.1", port)
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.01)
        try:
            yield stage, f"http://127.0.0.1:{port}"
        finally:
            server.stop()
            await serving


Front = tuple[Stage, httpx.AsyncClient, Stub]
"""A gateway, a client of it, and the upstream behind it."""
