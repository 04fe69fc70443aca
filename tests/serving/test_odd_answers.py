"""Answers of upstreams that are no answers, or written otherwise than most: what passes, and what is recorded of it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai_stub import Front, Stub, in_front
from stage import Upstream, until
from starlette.responses import JSONResponse, Response, StreamingResponse

ASKED: list[Any] = [{"role": "user", "content": "My VPN is down"}]
CHAT = "/v1/chat/completions"
SSE = "text/event-stream"
USAGE = {"prompt_tokens": 3, "completion_tokens": 4}


def whole(content: Any, **usage: Any) -> bytes:
    choices = [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]
    return json.dumps({"id": "i", "model": "mm", "choices": choices, "usage": usage or USAGE}).encode()


def piece(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def said(text: str) -> bytes:
    return piece(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


async def test_what_is_no_answer_is_no_event(front: Front) -> None:
    """Errors under status 200, of which some servers and proxies give many, pass and are counted as refused."""
    stage, client, stub = front
    error = {"message": "overloaded", "code": 529}
    failed = {"id": "r", "status": "failed", "error": error, "output": []}
    for answer in (
        Response(status_code=204),
        Response("<html>Sign in</html>", media_type="text/html"),
        JSONResponse({"error": error}),
        JSONResponse(failed),
        JSONResponse({"detail": "Not authenticated"}),
        JSONResponse({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}),
        JSONResponse({"code": 500, "message": "no", "data": None}),
        JSONResponse({"id": "i", "choices": []}),
        Response(piece(object="error", message="no", code=400) + b"data: [DONE]\n\n", media_type=SSE),
        Response(piece(error=error) + b"data: [DONE]\n\n", media_type=SSE),
        Response(piece(type="error", message="overloaded"), media_type=SSE),
        Response(piece(type="response.failed", response=failed), media_type=SSE),
    ):
        stub.answer = answer
        passed = await client.post(CHAT, json={"model": "gpt-x", "messages": ASKED})
        assert passed.content == answer.body and not stage.recorded.inferences
    metrics = (await client.get("/metrics")).text
    assert 'headrace_passed_requests_total{outcome="refused",upstream="far"} 12.0' in metrics
    stub.answer = Response(said("Restart") + piece(error=error) + b"data: [DONE]\n\n", media_type=SSE)
    await client.post(CHAT, json={"model": "gpt-x", "messages": ASKED, "stream": True})
    (event,) = stage.recorded.inferences
    assert (event.output, event.extra) == ("Restart", {"interrupted": True})


async def test_a_redirect_is_not_followed_by_anybody(front: Front) -> None:
    """A client would go round the gateway with its question, and no event would say so."""
    stage, client, stub = front
    for status in (301, 302, 303, 307, 308):
        stub.answer = Response(status_code=status, headers={"location": "http://127.0.0.1:1/elsewhere"})
        refused = await client.post(CHAT, json={"model": "gpt-x", "messages": ASKED})
        assert refused.status_code == 502 and "location" not in refused.headers and str(status) in refused.text
    assert not stage.recorded.inferences


async def test_headers_about_the_upstreams_own_address_end_at_the_gateway(front: Front) -> None:
    """They would tell a client where else the gateway is, that it is under TLS alone, and which pages may read it."""
    _, client, stub = front
    of_address = {"alt-svc": 'h3=":443"', "strict-transport-security": "max-age=1", "access-control-allow-origin": "*"}
    stub.answer = Response(whole("it"), headers=of_address | {"x-request-id": "r"}, media_type="application/json")
    answer = await client.post(CHAT, json={"model": "gpt-x", "messages": ASKED})
    assert not of_address.keys() & answer.headers.keys() and answer.headers["x-request-id"] == "r"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(whole("it")), "gzip"),
        (zlib.compress(whole("it")), "deflate"),
        (
            whole([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "it"}]),
            "",
        ),
        (whole("it", prompt_tokens=3.0, completion_tokens=4.0), ""),
        (whole("it", prompt_tokens=None, input_tokens=3, completion_tokens=None, output_tokens=4), ""),
    ],
)
async def test_an_answer_in_another_form_is_recorded(front: Front, body: bytes, encoding: str) -> None:
    """Packed though nobody asked for it, its text in parts, its tokens as other numbers."""
    stage, client, stub = front
    headers = {"content-encoding": encoding} if encoding else {}
    stub.answer = Response(body, headers=headers, media_type="application/json")
    passed = await client.post(CHAT, json={"model": "gpt-x", "messages": ASKED})
    assert passed.json() == json.loads(zlib.decompress(body, 47) if encoding else body)
    (event,) = stage.recorded.inferences
    assert (event.output, event.tokens_in, event.tokens_out) == ("it", 3, 4) and event.cost > 0


async def test_half_of_a_character_in_an_answer_loses_nothing_else(front: Front) -> None:
    """Its tokens are counted, in whole answers and in streams, which cut characters between pieces."""
    stage, client, stub = front
    for streamed in (False, True):
        body = json.dumps({"choices": [{"delta": {"content": "a \ud83d"}, "finish_reason": "stop"}], "usage": USAGE})
        stub.answer = (
            Response(f"data: {body}\n\n", media_type=SSE)
            if streamed
            else Response(whole("a \ud83d"), media_type="application/json")
        )
        await client.post(CHAT, json={"model": "gpt-x", "messages": ASKED})
        event = stage.recorded.inferences[-1]
        assert (event.output, event.tokens_in, event.tokens_out) == ("a \ufffd", 3, 4)


async def test_a_stream_that_breaks_in_a_line_ends_in_an_error_that_clients_read(front: Front) -> None:
    """What came of the line is no event, and is not passed on; what was complete is there."""
    _, client, stub = front

    async def broken(rest: bytes) -> AsyncIterator[bytes]:
        yield said("Restart ")
        yield said("it")[:-1]
        yield rest
        raise RuntimeError

    for rest in (b"", b'\ndata: {"choi', b"\n"):
        stub.answer = StreamingResponse(broken(rest), media_type=SSE)
        own = openai.AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key="k", max_retries=0)
        stream: Any = await own.chat.completions.create(model="gpt-x", messages=ASKED, stream=True)
        got = []
        with pytest.raises(openai.APIError, match="broke off"):
            async for chunk in stream:
                got.append(chunk.choices[0].delta.content)
        assert got == ["Restart ", "it"]
        await own.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"200 OK\r\nx-bad: a\x01b\r\nx-a: 1\r\nx-a: 2", 200),
        (b"101 Switching\r\nupgrade: x\r\nconnection: upgrade", 502),
    ],
)
async def test_a_head_that_is_none_of_a_clients_does_not_reach_it(
    upstream: Upstream, tmp_path: Path, head: bytes, status: int
) -> None:
    """Control characters are left out, repeated headers are joined (RFC 9110, 5.2), no protocol is switched."""

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}]}")
        length = f"\r\ncontent-type: application/json\r\ncontent-length: {len(whole('it'))}\r\n\r\n"
        writer.write(b"HTTP/1.1 " + head + length.encode() + whole("it"))
        await writer.drain()
        writer.close()

    stub = Stub()
    async with await asyncio.start_server(answered, "127.0.0.1", 0) as server:
        stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with (
            in_front(stub, upstream.url, tmp_path) as (stage, address),
            httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
        ):
            answer = await client.post(CHAT, json={"model": "gpt-x", "messages": ASKED})
            assert answer.status_code == status, answer.text
            assert len(stage.recorded.inferences) == (status == 200)
            assert "x-bad" not in answer.headers and answer.headers.get("x-a", "1, 2") == "1, 2"


LAST = piece(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])


async def test_an_answer_that_goes_on_in_the_background_is_none_yet(front: Front) -> None:
    """Its client gets a response that is queued, and nothing of the answer."""
    stage, client, stub = front
    stub.answer = JSONResponse({"id": "resp_1", "object": "response", "status": "queued", "output": []})
    queued = await client.post("/v1/responses", json={"model": "gpt-x", "input": "Hi", "background": True})
    assert queued.json()["status"] == "queued" and not stage.recorded.inferences


async def test_a_client_that_stops_at_the_last_token_has_the_whole_answer(front: Front) -> None:
    """What comes behind it is the tokens' number and [DONE], for which not every client waits."""
    stage, client, stub = front
    gate = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield said("it")
        yield LAST
        await gate.wait()

    stub.answer = StreamingResponse(pieces(), media_type=SSE)
    body = {"model": "gpt-x", "messages": ASKED, "stream": True}
    async with client.stream("POST", CHAT, json=body) as answer:
        async for line in answer.aiter_lines():
            if '"stop"' in line:
                break
    await until(lambda: stage.recorded.inferences)
    gate.set()
    (event,) = stage.recorded.inferences
    assert (event.output, event.extra) == ("it", {})


@pytest.mark.parametrize("type_said", ["text/plain", "application/octet-stream"])
async def test_a_stream_that_is_called_something_else_is_recorded(front: Front, type_said: str) -> None:
    """Clients that asked for a stream read it by what it is."""
    stage, client, stub = front
    stub.answer = Response(said("it") + LAST, media_type=type_said)
    await client.post(CHAT, json={"model": "gpt-x", "messages": ASKED, "stream": True})
    (event,) = stage.recorded.inferences
    assert (event.output, event.first_token_ms <= event.latency_ms) == ("it", True)


async def test_a_connection_that_the_upstream_resets_is_opened_again(upstream: Upstream, tmp_path: Path) -> None:
    """One from the pool may be reset by a proxy on the way as well as closed: the client gets its answer."""
    kept = 0

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal kept
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"}]}")
            length = f"content-length: {len(whole('it'))}\r\n\r\n"
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + length.encode() + whole("it"))
            await reader.readuntil(b"}]}")
            kept += 1
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()

    stub = Stub()
    async with await asyncio.start_server(answered, "127.0.0.1", 0) as server:
        stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with (
            in_front(stub, upstream.url, tmp_path) as (_, address),
            httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
        ):
            for _ in range(2):
                answer = await client.post(CHAT, json={"model": "gpt-x", "messages": ASKED})
                assert answer.status_code == 200, answer.text
    assert kept == 1
