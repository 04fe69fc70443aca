"""Models that are no tasks pass to the upstream that the plan names, unchanged, and are recorded on the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from openai_double import MODEL, TEXT
from openai_stub import Stub, in_front
from stage import PROOFS, SECRET, Stage, Upstream, until
from starlette.responses import JSONResponse

from headrace.access.tokens import answered
from headrace.errors import PlanError
from headrace.plan import parse
from serving.proxy.targets import Targets

ODD = (
    b'{ "model" : "gpt-x",  "messages": [{"role": "user", "content": "My VPN\\u00a0is down", "name": null}],'
    b' "temperature": 1.0e0, "seed": 12345678901234567890, "vendor_field": {"a": [1, 2]}, "metadata": null }'
)


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with Stub().running() as running:
        yield running


@pytest.fixture
async def front(stub: Stub, upstream: Upstream, tmp_path: Path) -> AsyncIterator[tuple[Stage, httpx.AsyncClient]]:
    """The gateway, and a client of it."""
    async with (
        in_front(stub, upstream.url, tmp_path) as (stage, address),
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
    ):
        yield stage, client


Front = tuple[Stage, httpx.AsyncClient]


async def test_a_body_and_its_answer_pass_as_they_are(stub: Stub, front: Front) -> None:
    """Not one byte of either differs, and the answer is an event that a gateway signed."""
    stage, client = front
    answer = await client.post("/v1/chat/completions", content=ODD, headers={"openai-organization": "o1"})
    assert answer.status_code == 200 and stub.bodies == [ODD]
    assert answer.json()["choices"][0]["message"]["content"] == TEXT and answer.json()["model"] == MODEL
    assert stub.headers[0]["openai-organization"] == "o1"
    (event,) = stage.recorded.inferences
    assert (event.task, event.version, event.input, event.output) == ("gpt-x", MODEL, "My VPN\u00a0is down", TEXT)
    assert (event.tokens_in, event.tokens_out, event.response_id) == (11, 5, "chatcmpl-up")
    assert event.cost == pytest.approx(21e-6) and PROOFS.hold(event)
    assert answer.headers["x-headrace-inference-id"] == str(event.inference_id)
    token = answer.headers["x-headrace-token"]
    assert answered(SECRET, event.tenant, token, event.occurred_at).inference_id == event.inference_id


@pytest.mark.parametrize(
    ("path", "fields", "asked", "said"),
    [
        ("completions", {"prompt": "My VPN"}, "My VPN", TEXT),
        ("responses", {"input": [{"role": "user", "content": "My VPN"}]}, "My VPN", TEXT),
        ("embeddings", {"input": ["a", "b"]}, "a\nb", ""),
    ],
)
async def test_each_path_passes(
    stub: Stub, front: Front, path: str, fields: dict[str, object], asked: str, said: str
) -> None:
    """Completions, responses and embeddings go to the path of the same name."""
    stage, client = front
    answer = await client.post(f"/v1/{path}", json={"model": "any", **fields})
    assert answer.status_code == 200 and stub.paths == [path]
    (event,) = stage.recorded.inferences
    assert (event.task, event.input, event.output) == ("any", asked, said)


async def test_a_model_that_the_plan_maps_is_renamed_and_nothing_else(stub: Stub, front: Front) -> None:
    """Its other fields keep their bytes; the gateway's own field does not leave it."""
    stage, client = front
    body = ODD.replace(b"gpt-x", b"large").replace(b'"metadata": null', b'"headrace": {"session_id": "s1"}')
    assert (await client.post("/v1/chat/completions", content=body)).status_code == 200
    sent = json.loads(stub.bodies[0])
    assert sent["model"] == "large-2026" and "headrace" not in sent
    assert b'"temperature":1.0e0' in stub.bodies[0] and b"12345678901234567890" in stub.bodies[0]
    (event,) = stage.recorded.inferences
    assert (event.task, event.session_id) == ("large", "s1")


async def test_a_task_of_texts_answers_by_its_incumbent(stub: Stub, front: Front) -> None:
    """The whole conversation and its tools go out under the incumbent's name, the event bears the task's."""
    stage, client = front
    tools = [{"type": "function", "function": {"name": "open_ticket", "parameters": {"type": "object"}}}]
    asked = {"model": "writer", "messages": [{"role": "user", "content": "Write"}], "tools": tools}
    answer = (await client.post("/v1/chat/completions", json=asked)).json()
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "open_ticket"
    assert json.loads(stub.bodies[0]) == {**asked, "model": "prose-70b"}
    (event,) = stage.recorded.inferences
    assert (event.task, event.version, event.label) == ("writer", "writer@0", "")
    assert "open_ticket" in event.output


async def test_a_stream_passes_as_it_comes(stub: Stub, front: Front) -> None:
    """The first piece is there while the upstream still writes; the event is there before the stream's end is."""
    stage, client = front
    stub.gate.clear()
    asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    async with client.stream("POST", "/v1/chat/completions", json=asked) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        pieces = answer.aiter_bytes()
        assert b"Restart" in await anext(pieces) and not stage.recorded.inferences
        stub.gate.set()
        rest = b""
        async for piece in pieces:
            rest += piece
            if b"[DONE]" in rest:
                assert len(stage.recorded.inferences) == 1
    (event,) = stage.recorded.inferences
    assert rest.endswith(b"data: [DONE]\n\n")
    assert event.output == TEXT and 0 < event.first_token_ms < event.latency_ms and not event.extra


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_leaves_ends_the_upstreams_work(stub: Stub, front: Front, streamed: bool) -> None:
    """The upstream's connection is closed, and what came of a stream is recorded as interrupted."""
    stage, client = front
    stub.gate.clear()
    asked = {
        "model": "slow" if not streamed else "m",
        "stream": streamed,
        "messages": [{"role": "user", "content": "a"}],
    }
    if streamed:
        async with client.stream("POST", "/v1/chat/completions", json=asked) as answer:
            await anext(answer.aiter_bytes())
    else:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/chat/completions", json=asked, timeout=0.3)
    await until(lambda: stub.left == 1)
    if streamed:
        await until(lambda: stage.recorded.inferences)
        assert stage.recorded.inferences[0].extra == {"interrupted": True}
    else:
        assert not stage.recorded.inferences


async def test_the_wait_for_a_place_is_a_part_of_the_latency(stub: Stub, upstream: Upstream, tmp_path: Path) -> None:
    """An event says how long its client waited, also at an upstream that takes one request at a time."""
    one = f'slow = "one"\n[engines.one]\nkind = "openai"\nurl = "{stub.url}"\ncapacity = 1\n'
    async with (
        in_front(stub, upstream.url, tmp_path, one) as (stage, address),
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
    ):
        stub.gate.clear()
        body = {"model": "slow", "messages": [{"role": "user", "content": "a"}]}
        asked = [asyncio.create_task(client.post("/v1/chat/completions", json=body)) for _ in range(2)]
        await until(lambda: stub.bodies)
        await asyncio.sleep(0.3)
        stub.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200, 200]
    assert len(stub.bodies) == 2 and all(event.latency_ms > 290 for event in stage.recorded.inferences)


async def test_what_a_full_upstream_refuses_is_counted(stub: Stub, upstream: Upstream, tmp_path: Path) -> None:
    """And so is a client that leaves before anything has come."""
    one = f'slow = "one"\n[engines.one]\nkind = "openai"\nurl = "{stub.url}"\ncapacity = 1\nqueue = 0\n'
    async with (
        in_front(stub, upstream.url, tmp_path, one) as (_, address),
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
    ):
        stub.gate.clear()
        body = {"model": "slow", "messages": [{"role": "user", "content": "a"}]}
        first = asyncio.create_task(client.post("/v1/chat/completions", json=body, timeout=1))
        await until(lambda: stub.bodies)
        refused = await client.post("/v1/chat/completions", json=body)
        assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
        assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], httpx.ReadTimeout)
        await until(lambda: stub.left == 1)
        metrics = (await client.get("/metrics")).text
    for outcome in ("failed", "interrupted"):
        assert f'headrace_passed_requests_total{{outcome="{outcome}",upstream="one"}} 1.0' in metrics


async def test_an_upstreams_errors_pass_with_status_and_body(stub: Stub, front: Front) -> None:
    """Rate limits, bad requests and failures are the client's to read; no event claims an answer."""
    stage, client = front
    for status in (400, 401, 429, 500):
        error = {"error": {"message": "no", "type": "x", "code": str(status)}}
        stub.answer = JSONResponse(error, status, headers={"retry-after": "7", "x-request-id": "r1"})
        answer = await client.post("/v1/chat/completions", content=ODD)
        assert (answer.status_code, answer.json()) == (status, error)
        assert (answer.headers["retry-after"], answer.headers["x-request-id"]) == ("7", "r1")
    assert not stage.recorded.inferences


async def test_a_callers_key_is_not_the_upstreams(stub: Stub, upstream: Upstream, front: Front) -> None:
    """What a client proves itself by stays at the gateway, and so do its cookies and own headers."""
    stage, client = front
    own = {"cookie": "c=1", "x-api-key": "k", "x-headrace-user": "u1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    await client.post("/v1/chat/completions", content=ODD, headers=own | {"authorization": "Bearer mine"})
    assert not {"cookie", "x-api-key", "x-headrace-user", "authorization"} & stub.headers[0].keys()
    assert stub.headers[0]["traceparent"] == own["traceparent"]
    (event,) = stage.recorded.inferences
    assert (event.user_ref, event.trace_id) == ("u1", "a" * 32)


async def test_models_are_listed_with_the_upstreams(front: Front) -> None:
    """Tasks, the names that the plan maps, and what the upstream names."""
    _, client = front
    listed = (await client.get("/v1/models")).json()["data"]
    assert [one["id"] for one in listed] == ["large", "router", "writer", MODEL]


async def test_an_answer_that_comes_too_late_is_given_up(front: Front, stub: Stub) -> None:
    """Past the deadline it is a 504, and the upstream's work ends."""
    _, client = front
    stub.gate.clear()
    asked = {"model": "slow", "messages": [{"role": "user", "content": "a"}]}
    late = await client.post("/v1/chat/completions", json=asked, headers={"x-headrace-deadline-ms": "100"})
    assert late.status_code == 504 and late.json()["error"]["type"] == "timeout_error"
    await until(lambda: stub.left == 1)


def test_an_upstream_has_as_long_as_openais_clients_wait() -> None:
    """A model that reasons writes for minutes before anything comes; an address that nobody has is given up soon."""
    engines = '[engines.far]\nkind = "openai"\nurl = "http://x/v1"\n[gateway]\nupstream = "far"\n'
    text = 'version = 2\n[tasks.w]\nkind = "generate"\nincumbent = {url = "http://x/v1", model = "m", timeout_s = 5}\n'
    unsaid = '[tasks.v]\nkind = "generate"\nincumbent = {url = "http://x/v1", model = "m"}\n'
    targets = Targets(parse(text + unsaid + engines), {})
    found = [target.timeout for target in map(targets.of, ("any", "v", "w")) if target]
    waits = [(each.total, each.sock_connect, each.sock_read) for each in found]
    assert waits == [(None, 10, 600), (None, 10, 600), (None, 5, 5)]


def test_a_plan_names_only_engines_that_pass() -> None:
    """An upstream that is no engine, or none of kind openai, is refused with those that there are."""
    text = 'version = 2\n[tasks.w]\nkind = "generate"\nincumbent = {url = "http://x/v1", model = "m"}\n'
    engines = '[engines.far]\nkind = "openai"\nurl = "http://x/v1"\n[engines.here]\nkind = "in_process"\n'
    assert parse(text + engines + '[gateway]\nupstream = "far"').gateway.upstream == "far"
    for wrong in ('upstream = "here"', 'models = {a = "nowhere"}'):
        with pytest.raises(PlanError, match="no engine of kind openai; there are far"):
            parse(text + engines + "[gateway]\n" + wrong)


async def test_questions_have_connections_of_their_own(upstream: Upstream, tmp_path: Path) -> None:
    """One that listed the models and is closed as a question comes costs none: it would look like a new one."""
    ok = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ok)
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server, stub = await asyncio.start_server(once, "127.0.0.1", 0), Stub()
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with (
        in_front(stub, upstream.url, tmp_path) as (_, address),
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
    ):
        assert (await client.get("/v1/models")).status_code == 200
        assert (await client.post("/v1/chat/completions", content=ODD)).status_code == 200
    server.close()
