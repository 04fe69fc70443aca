"""Bodies and headers that clients send and few tests hold: each is answered, or refused by name, never with a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai_stub import Front, Stub, in_front
from stage import LABELS, gateway, plan_text

from headrace.contract.control import Served

ASKED = [{"role": "user", "content": "My VPN is down"}]
TEAM = {"type": "object", "properties": {"team": {"type": "string"}}, "required": ["team"]}
CHAT = "/v1/chat/completions"
MANY = [{"const": str(number)} for number in range(9000)]


async def test_half_of_a_character_is_no_reason_to_refuse(front: Front) -> None:
    """JavaScript writes one as an escape where it cut an emoji in two: it passes, and is replaced where it is read."""
    stage, client, stub = front
    whole = b'"ok \\ud83d\\ude00, not one \\\\ud83d, half \\ud83d"'
    read = "ok \U0001f600, not one \\ud83d, half \ufffd"
    for model in (b"gpt-x", b"router", b"large"):
        body = b'{"model": "%s", "messages": [{"role": "user", "content": %s}]}' % (model, whole)
        answer = await client.post(CHAT, content=body)
        assert answer.status_code == 200, answer.text
        assert stage.recorded.inferences[-1].input == read
        if model == b"gpt-x":
            assert stub.bodies == [body]
    routed = await client.post("/v1/route", content=b'{"text": %s}' % whole)
    assert routed.status_code == 200 and stage.recorded.inferences[-1].input == read
    broken = await client.post(CHAT, content=b'{"model": "gpt-x", "messages": "\\ud83')
    assert broken.status_code == 400


@pytest.mark.parametrize("model", ["gpt-x", "router"])
async def test_what_a_client_says_of_itself_is_read_or_refused(front: Front, model: str) -> None:
    """Numbers beyond any float, truth values for milliseconds, ids of no time that there is."""
    stage, client, _ = front
    for odd in (10**400, True, "1e999", [1], "soon"):
        body = {"model": model, "messages": ASKED, "metadata": {"deadline_ms": odd}}
        assert (await client.post(CHAT, json=body)).status_code == 200
    for odd_id in ("ffffffff-ffff-7000-8000-000000000001", "00000000-0000-7000-8000-000000000001"):
        headers = {"x-headrace-inference-id": odd_id}
        refused = await client.post(CHAT, json={"model": model, "messages": ASKED}, headers=headers)
        assert refused.status_code == 400 and "x-headrace-inference-id" in refused.text
    assert len(stage.recorded.inferences) == 5


async def test_any_name_of_a_model_can_be_answered(front: Front) -> None:
    """The version's header is short and of visible characters, whatever the client calls the model."""
    stage, client, _ = front
    for name in ("a\x00b\x01\r\nx-evil: 1\x7f", "m" * 100_000, "ü", "org/model:free"):
        answer = await client.post(CHAT, json={"model": name, "messages": ASKED})
        shown = answer.headers["x-headrace-version"]
        assert (
            answer.status_code == 200 and len(shown) <= 200 and shown.isprintable() and "x-evil" not in answer.headers
        )
    assert len(stage.recorded.inferences) == 4


async def test_a_query_passes_on(front: Front) -> None:
    """As clients with `default_query` or `extra_query` send it."""
    _, client, stub = front
    asked = {"model": "gpt-x", "messages": ASKED}
    assert (await client.post(f"{CHAT}?api-version=2026-01&x=a%26b", json=asked)).status_code == 200
    assert stub.queries[-1] == [("api-version", "2026-01"), ("x", "a&b")]


async def test_a_function_of_the_older_form_is_called(front: Front) -> None:
    """`functions` and `function_call`, which OpenAI's schema still has."""
    _, client, _ = front
    functions = [{"name": "send_to", "parameters": TEAM}, {"name": "other"}]
    body: dict[str, Any] = {"model": "router", "messages": ASKED, "functions": functions}
    answer = (await client.post(CHAT, json=body | {"function_call": {"name": "send_to"}})).json()["choices"][0]
    assert answer["finish_reason"] == "function_call" and answer["message"]["content"] is None
    assert answer["message"]["function_call"] == {"name": "send_to", "arguments": '{"team": "it"}'}
    streamed = await client.post(CHAT, json=body | {"function_call": {"name": "send_to"}, "stream": True})
    first = json.loads(streamed.text.split("\n\n")[0].removeprefix("data: "))["choices"][0]
    assert first["delta"]["function_call"] == answer["message"]["function_call"] and "tool_calls" not in first["delta"]
    for left in ("auto", "none", None):
        answer = (await client.post(CHAT, json=body | {"function_call": left})).json()["choices"][0]
        assert answer["message"]["content"] == "it"


@pytest.mark.parametrize("mode", ["required", "auto"])
async def test_allowed_tools_are_tools(front: Front, mode: str) -> None:
    """One of several that may be called, in the forms of chat and of responses."""
    _, client, _ = front
    functions = [{"name": "send_to", "parameters": TEAM}, {"name": "other", "parameters": TEAM}]
    tools: list[Any] = [{"type": "function", "function": function} for function in functions]
    allowed: dict[str, Any] = {"mode": mode, "tools": [{"type": "function", "function": {"name": "send_to"}}]}
    choice: dict[str, Any] = {"type": "allowed_tools", "allowed_tools": allowed}
    body = {"model": "router", "messages": ASKED, "tools": tools, "tool_choice": choice}
    message = (await client.post(CHAT, json=body)).json()["choices"][0]["message"]
    flat = [{"type": "function", **function} for function in functions]
    choice = {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": "send_to"}]}
    newer = await client.post(
        "/v1/responses", json={"model": "router", "input": "VPN", "tools": flat, "tool_choice": choice}
    )
    (item,) = newer.json()["output"]
    if mode == "required":
        assert message["tool_calls"][0]["function"] == {"name": "send_to", "arguments": '{"team": "it"}'}
        assert (item["type"], item["name"]) == ("function_call", "send_to")
    else:
        assert message["content"] == "it" and item["type"] == "message"


@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
async def test_a_choice_of_constants_is_an_enumeration(front: Front, word: str) -> None:
    """As schemas are written that describe each value; null may be one more."""
    _, client, _ = front
    values: list[Any] = [{"const": name, "description": "x"} for name in ("HR", "IT", "Finance", "Product")]
    values += [{"enum": ["out_of_scope"], "type": "string"}, {"type": "null"}]
    schema = {"type": "object", "properties": {"team": {word: values}}, "required": ["team"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = await client.post(CHAT, json={"model": "router", "messages": ASKED, "response_format": wanted})
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"team": "IT"}


@pytest.mark.parametrize(
    "schema",
    [
        TEAM | {"required": [["team"], {}, 1]},
        TEAM | {"type": [["object"], {}]},
        {"type": "object", "properties": {"team": {"enum": [["x"], {}, None]}}},
        {"type": "object", "properties": {"team": {"anyOf": [{"const": ["x"]}, {"const": {}}]}}},
        {"$ref": "#"},
    ],
)
async def test_a_schema_that_is_none_is_no_failure_of_the_gateway(front: Front, schema: dict[str, Any]) -> None:
    """It is taken where its rest says enough, or refused."""
    _, client, _ = front
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = await client.post(CHAT, json={"model": "router", "messages": ASKED, "response_format": wanted})
    assert answer.status_code in (200, 400), answer.text


async def test_completions_have_as_many_choices_as_asked_for(front: Front) -> None:
    """`n` of the older form, whole and streamed."""
    _, client, _ = front
    body = {"model": "router", "prompt": "VPN", "n": 3}
    choices = (await client.post("/v1/completions", json=body)).json()["choices"]
    assert [(choice["index"], choice["text"]) for choice in choices] == [(0, "it"), (1, "it"), (2, "it")]
    streamed = (await client.post("/v1/completions", json=body | {"stream": True})).text
    assert all(f'"index": {index}' in streamed for index in range(3))


async def test_a_login_in_an_address_is_nobodys_to_read(
    stub_of_nowhere: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither clients nor logs learn the password of an upstream that fails."""
    stub = stub_of_nowhere
    async with (
        in_front(stub, stub.url, tmp_path) as (_, address),
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=20) as client,
    ):
        for model in ("router", "gpt-x", "writer"):
            answer = await client.post(CHAT, json={"model": model, "messages": ASKED})
            assert answer.status_code == 502 and "pa55" not in answer.text
            assert "http://127.0.0.1:1/v1 did not answer" in answer.text
        assert (await client.get("/v1/models")).status_code == 200
    assert "does not name its models" in caplog.text and "pa55" not in caplog.text


@pytest.fixture
def stub_of_nowhere() -> Stub:
    stub = Stub()
    stub.url = "http://ann:pa55@127.0.0.1:1/v1"
    return stub


@pytest.mark.parametrize("model", ["gpt-x", "router", "large"])
async def test_a_byte_order_mark_before_a_body_is_read_past(front: Front, model: str) -> None:
    """.NET's and PowerShell's writers put one before UTF-8; the upstream gets the JSON without it."""
    stage, client, stub = front
    body = json.dumps({"model": model, "messages": ASKED}).encode()
    assert (await client.post(CHAT, content=b"\xef\xbb\xbf" + body)).status_code == 200
    assert stage.recorded.inferences[0].input == "My VPN is down"
    assert all(sent.startswith(b"{") for sent in stub.bodies)
    for path in ("/v1/route", "/v1/decisions"):
        answer = await client.post(path, content=b"\xef\xbb\xbf" + b'{"text": "My VPN is down"}')
        assert answer.status_code == 200, answer.text


async def test_the_head_of_what_get_answers_can_be_asked_for(front: Front) -> None:
    """Monitors and load balancers ask so whether the gateway lives, and get no content (RFC 9110, 9.3.2)."""
    _, client, _ = front
    for path in ("/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/router"):
        head = await client.head(path)
        assert head.status_code == 200 and not head.content, path
    assert (await client.head("/v1/route")).status_code == 405


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"$ref": "#"}]},
        {"anyOf": ["text", {"type": "null"}]},
        {"properties": {f"p{n}": {"$ref": "#/$defs/N"} for n in range(9000)}, "$defs": {"N": {"anyOf": MANY}}},
        {"properties": {"a": {"anyOf": MANY}}},
        {"properties": {"a": {"enum": [str(n) for n in range(9000)]}}},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/N"}},
            "$defs": {"N": {"anyOf": [{"$ref": "#/$defs/N"}]}},
        },
    ],
)
async def test_a_schema_without_an_end_or_a_bound_is_refused(front: Front, schema: dict[str, Any]) -> None:
    """One that is made of itself, where following it has no end, of something else, or of lists that would be read for
    minutes while everybody waits."""
    _, client, _ = front
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    refused = await client.post(CHAT, json={"model": "router", "messages": ASKED, "response_format": wanted})
    assert refused.status_code == 400 and "its schema" in refused.text and len(refused.content) < 1000


async def test_a_question_that_nobody_can_read_is_no_failure(front: Front) -> None:
    """A picture without a text, and no version that takes pictures: refused, and counted so."""
    _, client, _ = front
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]
    asked = {"model": "router", "messages": [{"role": "user", "content": picture}]}
    assert (await client.post(CHAT, json=asked)).status_code == 400
    metrics = (await client.get("/metrics")).text
    assert 'outcome="refused",task="router",version="router@0"} 1.0' in metrics and 'outcome="failed"' not in metrics


async def test_a_label_that_the_plan_gave_up_fits_no_enum(tmp_path: Path, model: Callable[[int, str], Served]) -> None:
    """A version knows it still: a client that listed the plan's labels gets no value outside its schema, and no 500."""
    left = [label for label in LABELS if label != "hr"]
    text = plan_text().replace(json.dumps(LABELS), json.dumps(left)).replace('hr = "people and pay"\n', "")
    team = {"type": "object", "properties": {"team": {"type": "string", "enum": left}}, "required": ["team"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": team}}
    async with gateway(text, tmp_path) as stage:
        await stage.promote(1, await asyncio.to_thread(model, 3, "hr"))
        body = {"model": "router", "messages": ASKED, "response_format": wanted}
        answer = await stage.client.post(CHAT, json=body)
        assert answer.status_code == 502 and "the plan no longer has" in answer.text
