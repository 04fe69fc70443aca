"""The OpenAI-compatible engine against an endpoint that answers as it is told, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from stage import Upstream, gateway, plan_text, until
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from headrace import plan
from headrace.embedded.server import free_port
from serving.engines.engine import (
    Delta,
    Engine,
    EngineFailed,
    Final,
    Message,
    Request,
    Sampling,
    ToolCall,
    ToolPiece,
    final_of,
)
from serving.engines.kinds.openai import MAX_COUNT
from serving.engines.opening import Opener
from serving.engines.server_sent import MAX_EVENT_BYTES, TooLarge, events

ASKED = Request((Message("user", "Which plan is cheaper?"),), stream=True)
DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    return (
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"
    )


class Endpoint:
    """Streams `parts` of the turn, a list of bytes for each request; an Event among them is waited for.

    left: how many clients went away in the middle
    """

    opener: Opener

    def __init__(self) -> None:
        self.turns: list[Any] = []
        self.bodies: list[dict[str, Any]] = []
        self.left = 0

    async def complete(self, request: HttpRequest) -> Response:
        self.bodies.append(await request.json())
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if isinstance(turn, int):
            return JSONResponse({}, turn)
        if isinstance(turn, dict):
            return JSONResponse(turn)
        return StreamingResponse(self._parts(turn), media_type="text/event-stream")

    async def _parts(self, turn: list[bytes | asyncio.Event | Exception]) -> AsyncIterator[bytes]:
        try:
            for part in turn:
                if isinstance(part, asyncio.Event):
                    await part.wait()
                elif isinstance(part, Exception):
                    raise part
                else:
                    yield part
        except (asyncio.CancelledError, GeneratorExit):
            self.left += 1
            raise


@pytest.fixture
async def endpoint() -> AsyncIterator[tuple[Endpoint, Engine]]:
    """It, and an engine of the plan that asks it."""
    made, port = Endpoint(), free_port()
    app = Starlette(routes=[Route("/v1/chat/completions", made.complete, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    keys = f'[engines.far]\nkind = "openai"\nurl = "http://127.0.0.1:{port}/v1"\ntimeout_s = 5.0\n'
    keys += "usd_per_million_in = 1.0\nusd_per_million_out = 2.0\n"
    made.opener = Opener(plan.parse(plan_text() + keys), {})
    engine = await made.opener.endpoint("far", "large")
    yield made, engine
    await engine.close()
    server.should_exit = True
    await serving


async def test_deltas_come_as_they_are_written(endpoint: tuple[Endpoint, Engine]) -> None:
    """The first one is given while the endpoint still writes; usage at the end is the price."""
    made, engine = endpoint
    go = asyncio.Event()
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 3}}\n\n'
    made.turns = [[chunk({"role": "assistant", "content": ""}), chunk({"content": "The "}), go,
                   chunk({"content": "first."}), chunk({}, "stop"), usage, DONE]]  # fmt: skip
    async with aclosing(engine.run(ASKED)) as items:
        assert await anext(items) == Delta("The ")
        go.set()
        delta, final = [item async for item in items]
    assert delta == Delta("first.") and isinstance(final, Final)
    assert (final.text, final.finish_reason, final.tokens_in, final.tokens_out) == ("The first.", "stop", 10, 3)
    assert final.cost == pytest.approx((10 * 1.0 + 3 * 2.0) / 1e6)


async def test_tools_pass_through(endpoint: tuple[Endpoint, Engine]) -> None:
    """Tools, the choice and earlier calls go out as they are; the pieces of new calls come back and add up."""
    made, engine = endpoint
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "lookup", "arguments": ""}}
    rests = [{"index": 0, "function": {"arguments": text}} for text in ('{"id"', ": 7}")]
    made.turns = [[*(chunk({"tool_calls": [call]}) for call in (first, *rests)), chunk({}, "tool_calls"), DONE]]
    tool = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}
    asked = Request(
        (
            Message("user", "Where is order 7?"),
            Message("assistant", tool_calls=(ToolCall("call_0", "find", "{}"),)),
            Message("tool", "7", tool_call_id="call_0"),
        ),
        Sampling(temperature=0.5, top_p=0.9, max_tokens=64, stop=("END",), seed=3),
        stream=True,
        tools=(tool,),
        tool_choice="required",
    )
    *deltas, final = [item async for item in engine.run(asked)]
    assert [delta.tool_calls[0] for delta in deltas if isinstance(delta, Delta)] == [
        ToolPiece(0, "call_1", "lookup", ""), ToolPiece(0, arguments='{"id"'), ToolPiece(0, arguments=": 7}")
    ]  # fmt: skip
    assert isinstance(final, Final) and final.finish_reason == "tool_calls"
    assert final.tool_calls == (ToolCall("call_1", "lookup", '{"id": 7}'),)
    (body,) = made.bodies
    assert body["tools"] == [tool] and body["tool_choice"] == "required" and body["model"] == "large"
    assert body["messages"][1]["tool_calls"][0] == {
        "id": "call_0", "type": "function", "function": {"name": "find", "arguments": "{}"}
    }  # fmt: skip
    assert body["messages"][2] == {"role": "tool", "content": "7", "tool_call_id": "call_0"}
    sent = {name: body[name] for name in ("temperature", "top_p", "max_tokens", "stop", "seed")}
    assert sent == {"temperature": 0.5, "top_p": 0.9, "max_tokens": 64, "stop": ["END"], "seed": 3}


async def test_a_stream_is_tried_again_only_before_its_first_token(endpoint: tuple[Endpoint, Engine]) -> None:
    """One failure before it is not seen; after it the client has a part of an answer, and no second one follows."""
    made, engine = endpoint
    whole = [chunk({"content": "it"}), chunk({}, "stop"), DONE]
    made.turns = [503, whole]
    assert (await final_of(engine, ASKED)).text == "it"
    made.turns, made.bodies = [[chunk({"content": "half"}), ConnectionError("gone")], whole], []
    items = []
    with pytest.raises(EngineFailed):
        async for item in engine.run(ASKED):
            items.append(item)
    assert items == [Delta("half")] and len(made.bodies) == 1


@pytest.mark.parametrize(
    ("turn", "says"),
    [
        ([chunk({"content": "half"})], "in the middle"),
        ([b'data: {"error": {"message": "out of memory"}}\n\n'], "failed: out of memory"),
        ([b"data: nonsense\n\n", DONE], "no chat completion"),
        ([b'data: {"choices": [7]}\n\n', DONE], "no chat completion"),
        ([b"data: " + b"x" * (MAX_EVENT_BYTES + 1)], "too much"),
    ],
)
async def test_a_stream_that_is_not_one_fails(endpoint: tuple[Endpoint, Engine], turn: Any, says: str) -> None:
    """Cut short, an error, no JSON, no completion, too large: a sentence each, and no final."""
    made, engine = endpoint
    made.turns = [turn]
    with pytest.raises(EngineFailed, match=says):
        await final_of(engine, ASKED)


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "overloaded"}},
        {"message": {"content": None}, "finish_reason": "error"},
    ],
)
async def test_a_choice_that_failed_is_no_answer(endpoint: tuple[Endpoint, Engine], choice: dict[str, Any]) -> None:
    """OpenRouter says so under status 200: another version stands in, and nothing is taken for a label."""
    made, engine = endpoint
    made.turns = [{"choices": [choice]}]
    with pytest.raises(EngineFailed, match=r"failed: (overloaded|error)"):
        await final_of(engine, Request(ASKED.messages))


async def test_a_limit_that_says_when_it_ends_is_passed_on(upstream: Upstream, tmp_path: Path) -> None:
    """It is not tried again at once, and the client gets the upstream's Retry-After, which its SDK heeds."""
    upstream.failures, upstream.retry_after = [429], "7"
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        refused = await stage.client.post("/v1/route", json={"text": "My VPN is down"})
        assert refused.status_code == 502 and refused.headers["retry-after"] == "7"
        assert len(upstream.requests) == 1
        upstream.failures = [503]
        assert (await stage.client.post("/v1/route", json={"text": "My VPN is down"})).status_code == 200


async def test_an_endpoint_that_does_not_stream_is_read_all_the_same(endpoint: tuple[Endpoint, Engine]) -> None:
    """Its whole completion is one delta; a tool call in it has its place for an index."""
    made, engine = endpoint
    call = {"id": "call_1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    made.turns = [{"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}]
    delta, final = [item async for item in engine.run(ASKED)]
    assert delta == Delta(tool_calls=(ToolPiece(0, "call_1", "lookup", "{}"),))
    assert isinstance(final, Final) and final.tool_calls == (ToolCall("call_1", "lookup", "{}"),)


@pytest.mark.parametrize(
    ("number", "counted"), [("-5", 0), ("1e300", MAX_COUNT), (str(2**40), MAX_COUNT), ("7.0", 7), ("null", 0)]
)
async def test_a_number_of_tokens_is_one_that_an_event_holds(
    endpoint: tuple[Endpoint, Engine], number: str, counted: int
) -> None:
    """Whatever the endpoint says of its usage."""
    made, engine = endpoint
    made.turns = [[chunk({"content": "it"}, "stop"),
                   b'data: {"choices": [], "usage": {"prompt_tokens": %b}}\n\n' % number.encode(), DONE]]  # fmt: skip
    assert (await final_of(engine, ASKED)).tokens_in == counted


@pytest.mark.parametrize("number", ["NaN", "1e999", '"many"'])
async def test_a_number_of_tokens_that_is_none_fails(endpoint: tuple[Endpoint, Engine], number: str) -> None:
    """The answer is no chat completion."""
    made, engine = endpoint
    made.turns = [[b'data: {"choices": [], "usage": {"prompt_tokens": %b}}\n\n' % number.encode(), DONE]]
    with pytest.raises(EngineFailed, match="no chat completion"):
        await final_of(engine, ASKED)


async def test_half_of_a_surrogate_pair_is_replaced(endpoint: tuple[Endpoint, Engine]) -> None:
    """In a text and in a tool call, of which the deltas and the final can both be written as UTF-8."""
    made, engine = endpoint
    call = {"index": 0, "id": "1", "function": {"name": "look\ud83d", "arguments": "\ude00"}}
    made.turns = [[chunk({"content": "hr \ud83d"}), chunk({"tool_calls": [call]}, "stop"), DONE]]
    *deltas, final = [item async for item in engine.run(ASKED)]
    assert deltas[0] == Delta("hr ?") and deltas[1] == Delta(tool_calls=(ToolPiece(0, "1", "look?", "?"),))
    assert isinstance(final, Final) and final.text == "hr ?"


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_events_are_read_however_they_are_cut(size: int) -> None:
    """All line ends, a byte order mark, comments, other fields, data of several lines; a cut one is no event."""
    stream = b"\xef\xbb\xbfdata: zero\n\n: hello\n\ndata: one\r\nid: 7\r\n\r\ndata:two\ndata: three\n\n\n"
    stream += b"data: four\r\rdata: five\r\n\rdata: cut"

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(stream), size):
            yield stream[at : at + size]

    assert [data async for data in events(pieces())] == [b"zero", b"one", b"two\nthree", b"four", b"five"]


async def test_empty_lines_of_data_count_towards_an_events_size() -> None:
    """An event that never ends is refused, and not kept."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(2 * MAX_EVENT_BYTES >> 10):
            yield b"data:\n" * 1024

    with pytest.raises(TooLarge):
        assert not [data async for data in events(pieces())]


async def test_closing_ends_a_request_that_waits_for_the_endpoint(endpoint: tuple[Endpoint, Engine]) -> None:
    """At once, and the endpoint sees it; another engine on the same host goes on."""
    made, engine = endpoint
    made.turns = [[chunk({"content": "half"}), asyncio.Event()], [chunk({"content": "it"}, "stop"), DONE]]
    other = await made.opener.endpoint("far", "large")
    waits = asyncio.create_task(final_of(other, ASKED))
    await until(lambda: made.bodies)
    await other.close()
    with pytest.raises(EngineFailed, match="closed"):
        async with asyncio.timeout(3):  # the engine's own timeout_s is 5
            await waits
    await until(lambda: made.left == 1)
    assert (await final_of(engine, ASKED)).text == "it"


async def cancelled(engine: Engine) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in engine.run(ASKED):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def closed(engine: Engine) -> None:
    async with aclosing(engine.run(ASKED)) as items:
        await anext(items)


@pytest.mark.parametrize("leave", [cancelled, closed])
async def test_whoever_leaves_closes_the_connection(
    endpoint: tuple[Endpoint, Engine], leave: Callable[[Engine], Any]
) -> None:
    """The endpoint sees that its client is gone and can stop writing."""
    made, engine = endpoint
    made.turns = [[chunk({"content": "half"}), asyncio.Event()]]
    await leave(engine)
    await until(lambda: made.left == 1)
