"""OpenAI's own Python client at the gateway: models of an upstream, and tasks, by the same calls."""

from __future__ import annotations

import enum
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from openai_double import MODEL, TEXT, TOOL
from openai_stub import Stub, in_front
from pydantic import BaseModel
from stage import Stage, Upstream

Front = tuple[Stage, openai.AsyncOpenAI]
ASKED: list[Any] = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "My VPN is down"}]


class Team(enum.Enum):
    HR, IT, FINANCE, PRODUCT, OTHER = "hr", "it", "finance", "product", "out_of_scope"


class Routed(BaseModel):
    """As programs write what they want to get."""

    team: Team
    reason: str | None


class Plain(BaseModel):
    """Any text."""

    label: str


class Listed(BaseModel):
    """One of few words, in other spellings."""

    team: Literal["HR", "IT", "Finance", "Product", "Out_of_scope"]


@pytest.fixture
async def front(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Front]:
    """The gateway in front of a stub, and OpenAI's client of it."""
    async with (
        Stub().running() as stub,
        in_front(stub, upstream.url, tmp_path) as (stage, address),
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        yield stage, client


@pytest.mark.parametrize(("model", "expected"), [("small", TEXT), ("router", "it")])
async def test_chat_whole_and_streamed(front: Front, model: str, expected: str) -> None:
    """A completion and a stream say the same; usage comes where it is asked for."""
    stage, client = front
    whole = await client.chat.completions.create(model=model, messages=ASKED, temperature=0, user="u1", seed=7)
    assert whole.choices[0].message.content == expected and whole.choices[0].finish_reason == "stop"
    said, usage = "", None
    stream = await client.chat.completions.create(
        model=model, messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        said += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    assert said == expected and usage is not None and usage.total_tokens == whole.usage.total_tokens  # type: ignore[union-attr]
    assert [event.input for event in stage.recorded.inferences] == ["My VPN is down"] * 2
    assert stage.recorded.inferences[0].user_ref == "u1"


@pytest.mark.parametrize(("model", "expected"), [("small", TEXT), ("router", "it")])
async def test_completions_and_responses(front: Front, model: str, expected: str) -> None:
    """The older and the newer form of the same."""
    stage, client = front
    older = await client.completions.create(model=model, prompt="My VPN is down")
    newer = await client.responses.create(model=model, input=ASKED, instructions="Be kind.")
    assert (older.choices[0].text, newer.output_text) == (expected, expected)
    assert [event.output or event.label for event in stage.recorded.inferences][-1:] == [expected]
    assert {event.input for event in stage.recorded.inferences} == {"My VPN is down"}


async def test_a_tasks_responses_stream(front: Front) -> None:
    """The client's own helper puts the events of a response together."""
    stage, client = front
    async with client.responses.stream(model="router", input="My VPN is down") as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert final.output_text == "it" and kinds[0] == "response.created" and kinds[-1] == "response.completed"
    (event,) = stage.recorded.inferences
    assert event.response_id == final.id
    async for piece in await client.completions.create(model="router", prompt="VPN", stream=True):
        assert piece.choices[0].text == "it"


async def test_embeddings_and_models(front: Front) -> None:
    """Vectors are the upstream's, and its models are listed beside the tasks."""
    _, client = front
    found = await client.embeddings.create(model="embed", input=["a"], encoding_format="float")
    assert found.data[0].embedding == [0.25, -0.5]
    assert [model.id async for model in client.models.list()] == ["large", "router", "writer", MODEL]
    assert (await client.models.retrieve("router")).owned_by == "headrace"
    with pytest.raises(openai.NotFoundError, match="there is no model"):
        await client.models.retrieve("org/none")
    with pytest.raises(openai.BadRequestError, match="gives no embeddings"):
        await client.embeddings.create(model="router", input="a")


@pytest.mark.parametrize("shape", [Plain, Routed, Listed])
async def test_a_tasks_label_fits_the_form_that_is_asked_for(front: Front, shape: type[BaseModel]) -> None:
    """The client's parser gets its own class, of chat and of responses."""
    _, client = front
    parsed = await client.chat.completions.parse(model="router", messages=ASKED, response_format=shape)
    newer = await client.responses.parse(model="router", input=ASKED, text_format=shape)
    found = parsed.choices[0].message.parsed
    assert found == newer.output_parsed and isinstance(found, shape)
    assert found.model_dump(mode="json")["team" if shape is not Plain else "label"].lower() == "it"


async def test_a_tool_that_has_to_be_called_is_called_with_the_label(front: Front) -> None:
    """As programs ask for structured answers of models without them; a tool that may be left is left."""
    _, client = front
    parameters = {"type": "object", "properties": {"team": {"type": "string"}}, "required": ["team"]}
    tools: list[Any] = [{"type": "function", "function": {"name": "send_to", "parameters": parameters}}]
    for choice in ("required", {"type": "function", "function": {"name": "send_to"}}):
        called: Any = await client.chat.completions.create(
            model="router", messages=ASKED, tools=tools, tool_choice=choice
        )
        (call,) = called.choices[0].message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("send_to", {"team": "it"})
        assert called.choices[0].finish_reason == "tool_calls" and called.choices[0].message.content is None
    flat: list[Any] = [{"type": "function", "name": "send_to", "parameters": parameters}]
    newer: Any = await client.responses.create(model="router", input="VPN", tools=flat, tool_choice="required")
    assert json.loads(newer.output[0].arguments) == {"team": "it"}
    left = await client.chat.completions.create(model="router", messages=ASKED, tools=tools)
    assert left.choices[0].message.content == "it"
    passed: Any = await client.chat.completions.create(model="small", messages=ASKED, tools=tools)
    assert passed.choices[0].message.tool_calls[0].function.name == TOOL["name"]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "object", "properties": {"team": {"enum": ["hr", "it"]}}}, "has no value for finance, product, out"),
        ({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}, "has a, b"),
        ({"type": "object", "properties": {"a": {"type": "number"}}}, "takes no text"),
        ({"type": "object"}, "has no properties"),
    ],
)
async def test_a_form_that_no_label_has_is_refused(front: Front, schema: dict[str, Any], says: str) -> None:
    """By name, before any model is asked."""
    stage, client = front
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "route", "schema": schema}}
    with pytest.raises(openai.BadRequestError, match=says):
        await client.chat.completions.create(model="router", messages=ASKED, response_format=wanted)
    assert not stage.recorded.inferences


async def test_an_agents_conversation_is_taken_as_it_is(front: Front) -> None:
    """Several turns, tool calls and their results, images beside texts, marks of other vendors, explicit nulls."""
    stage, client = front
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
    messages: list[Any] = [
        {"role": "system", "content": [{"type": "text", "text": "x" * 70_000, "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "Hello", "name": None},
        {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call], "audio": None},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "nothing"}]},
        {"role": "user", "content": [{"type": "text", "text": "My VPN is down"}, image]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ]
    more = {"logit_bias": {}, "reasoning_effort": "low", "prompt_cache_key": "k", "store": None, "stream": None}
    more |= {"tools": [], "tool_choice": None, "parallel_tool_calls": None, "metadata": {"session_id": "s1"}}
    more |= {"stream_options": {"include_usage": None}, "modalities": ["text"], "stop": ["\n"], "vendor": {"a": 1}}
    answer = await client.chat.completions.create(model="router", messages=messages, n=2, extra_body=more)
    assert [choice.message.content for choice in answer.choices] == ["it", "it"]
    (event,) = stage.recorded.inferences
    assert (event.input, event.session_id) == ("My VPN is down", "s1")


async def test_headers_say_who_asks_and_what_answered(front: Front) -> None:
    """In and out: session, user, consent, trace, the answer's id; the version and the token that a page needs."""
    stage, client = front
    own = "019b0000-0000-7000-8000-000000000001"
    said = {"x-headrace-session": "s1", "x-headrace-user": "u1", "x-headrace-consent": "true"}
    said |= {"x-headrace-inference-id": own, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    for model, version in (("router", "router@0"), ("small", "small")):
        raw = await client.chat.completions.with_raw_response.create(model=model, messages=ASKED, extra_headers=said)
        assert raw.headers["x-headrace-inference-id"] == own and raw.headers["x-headrace-version"] == version
        assert raw.headers["x-headrace-token"].startswith(own.replace("-", ""))
    for event in stage.recorded.inferences:
        assert (event.session_id, event.user_ref, str(event.inference_id), event.trace_id) == (
            "s1",
            "u1",
            own,
            "a" * 32,
        )
        assert event.consent and event.extra == {"consent": "explicit"}
    notes = {"session_id": "s2", "user_ref": "u2", "consent": "false", "topic": "x"}
    await client.chat.completions.create(model="router", messages=ASKED, metadata=notes)
    event = stage.recorded.inferences[-1]
    assert (event.session_id, event.user_ref, event.consent) == ("s2", "u2", False)
    for name, value in (
        ("x-headrace-consent", "maybe"),
        ("x-headrace-deadline-ms", "soon"),
        ("x-headrace-inference-id", "7"),
    ):
        with pytest.raises(openai.BadRequestError, match=name):
            await client.chat.completions.create(model="router", messages=ASKED, extra_headers={name: value})


async def test_a_deadline_ends_a_tasks_answer(front: Front, upstream: Upstream) -> None:
    """504 when it passes, and nobody waits on."""
    _, client = front
    upstream.gate.clear()
    with pytest.raises(openai.InternalServerError, match="the deadline passed") as late:
        await client.chat.completions.create(
            model="router", messages=ASKED, extra_headers={"x-headrace-deadline-ms": "80"}
        )
    assert late.value.status_code == 504
