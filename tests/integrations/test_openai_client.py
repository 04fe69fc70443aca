"""The OpenAI client, observed: its answers become inferences, and nothing else about it changes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai_double import MODEL, REFUSES, TEXT, TOOL, WORDS, fake_model
from pydantic import BaseModel

from headrace.contract.events import Inference
from headrace.integrations.openai import about, observed
from headrace.testing import RecordingClient

SNIPPETS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs" / "integrations.md").read_text("utf-8"), re.DOTALL
)
ASKED: dict[str, Any] = {
    "model": "small-1b",
    "messages": [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": [{"type": "text", "text": "My VPN"}, {"type": "text", "text": "is down"}]},
        {"role": "assistant", "content": "Which one?"},
        {"role": "user", "content": "The office's"},
    ],
}
TOOLS: Any = [{"type": "function", "function": {"name": "open_ticket", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with fake_model() as url:
        yield url


@pytest.fixture
def headrace() -> RecordingClient:
    return RecordingClient()


@pytest.fixture
def client(model: str, headrace: RecordingClient) -> Iterator[OpenAI]:
    with OpenAI(base_url=model, api_key="k", max_retries=0) as plain:
        yield observed(plain, headrace, task="helpdesk")


def only(headrace: RecordingClient) -> Inference:
    assert len(headrace.inferences) == 1
    return headrace.inferences[0]


def test_an_answer_becomes_an_inference(client: OpenAI, headrace: RecordingClient) -> None:
    """With its texts, tokens, times, the provider's id for feedback, and what the block and the call say."""
    with about(session_id="conversation-7", extra={"page": "vpn"}):
        completion = client.chat.completions.create(**ASKED, user="u-1")
    assert type(completion).__name__ == "ChatCompletion" and completion.choices[0].message.content == TEXT
    event = only(headrace)
    assert (event.task, event.version, event.input, event.output) == ("helpdesk", MODEL, "The office's", TEXT)
    assert (event.response_id, event.session_id, event.user_ref) == (completion.id, "conversation-7", "u-1")
    assert (event.tokens_in, event.tokens_out, event.extra) == (11, 5, {"page": "vpn"})
    assert 0 < event.latency_ms < 60_000 and event.first_token_ms == 0


def test_a_stream_passes_as_it_comes(client: OpenAI, headrace: RecordingClient) -> None:
    """Each piece is the caller's; the inference follows the last one, with the time of the first."""
    stream = client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True})
    assert isinstance(stream, openai.Stream) and not headrace.inferences
    pieces = [piece.choices[0].delta.content for piece in stream if piece.choices]
    assert [piece for piece in pieces if piece] == WORDS
    event = only(headrace)
    assert (event.output, event.tokens_in, event.tokens_out) == (TEXT, 11, 5)
    assert 0 < event.first_token_ms <= event.latency_ms


def test_a_stream_that_is_left_is_marked(client: OpenAI, headrace: RecordingClient) -> None:
    """What the user saw before the end is what was answered."""
    with client.chat.completions.create(**ASKED, stream=True) as stream:
        next(iter(stream))
        del stream._iterator  # Its generator ends where the caller leaves it.
    event = only(headrace)
    assert (event.output, event.extra) == (WORDS[0], {"interrupted": True})


@pytest.mark.parametrize("helper", [False, True])
def test_a_stream_that_is_closed_is_recorded_then(client: OpenAI, headrace: RecordingClient, helper: bool) -> None:
    """Once, however its caller goes on holding it; one that was never read from is no answer."""
    if helper:
        with client.chat.completions.stream(**ASKED) as kept:
            next(iter(kept))
        event = only(headrace)
    else:
        stream = client.chat.completions.create(**ASKED, stream=True)
        next(stream)
        stream.close()
        event = only(headrace)
        stream.close()
        del stream
        client.chat.completions.create(**ASKED, stream=True).close()
    assert (event.output, event.extra) == (WORDS[0], {"interrupted": True})
    assert only(headrace) == event


def test_messages_may_come_once(client: OpenAI, headrace: RecordingClient) -> None:
    """An iterator reaches the model and the record alike."""
    client.chat.completions.create(**ASKED | {"messages": iter(ASKED["messages"])})
    assert only(headrace).input == "The office's"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call_is_the_answer_where_there_is_no_text(
    client: OpenAI, headrace: RecordingClient, stream: bool
) -> None:
    """Its name and arguments, from one piece or from several."""
    answer = client.chat.completions.create(**ASKED, tools=TOOLS, stream=stream)
    if isinstance(answer, openai.Stream):
        list(answer)
    assert json.loads(only(headrace).output) == [TOOL]


def test_helpers_are_one_answer(client: OpenAI, headrace: RecordingClient) -> None:
    """`parse` and `stream` of the client call its other methods; each is recorded once."""

    class Team(BaseModel):
        team: str

    parsed = client.chat.completions.parse(**ASKED, response_format=Team)
    assert parsed.choices[0].message.parsed == Team(team="it")
    with client.chat.completions.stream(**ASKED) as stream:
        assert stream.get_final_completion().choices[0].message.content == TEXT
    assert [event.output for event in headrace.inferences] == ['{"team": "it"}', TEXT]


@pytest.mark.parametrize("way", ["create", "create-stream", "stream", "tools"])
def test_responses_are_answers_too(client: OpenAI, headrace: RecordingClient, way: str) -> None:
    """OpenAI's newer API: whole, streamed, and by its helper."""
    asked: dict[str, Any] = {"model": "small-1b", "input": "My VPN is down", "metadata": {"session_id": "s"}}
    if way == "create-stream":
        list(client.responses.create(**asked, stream=True))
    elif way == "stream":
        with client.responses.stream(**asked) as stream:
            assert stream.get_final_response().output_text == TEXT
    else:
        client.responses.create(**asked, **({"tools": TOOLS} if way == "tools" else {}))
    event = only(headrace)
    assert (event.input, event.session_id, event.version) == ("My VPN is down", "s", MODEL)
    assert (event.tokens_in, event.tokens_out) == (11, 5)
    assert event.output == (json.dumps([TOOL]) if way == "tools" else TEXT)
    assert (event.first_token_ms > 0) == ("stream" in way)


PATCH = {"name": "patch", "input": "*** Begin"}
CALL = {"id": "t", "type": "custom", "custom": PATCH}
CUSTOM_CHAT = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [{
        "index": 0, "finish_reason": "tool_calls", "logprobs": None,
        "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
    }],
}  # fmt: skip
RESPONSE = {
    "id": "r1", "object": "response", "created_at": 1, "model": MODEL, "status": "completed", "output": [],
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
}  # fmt: skip
CUSTOM_ITEM = {"id": "i", "type": "custom_tool_call", "call_id": "t", "status": "completed", **PATCH}
DELTA = {
    "type": "response.output_text.delta", "sequence_number": 0, "item_id": "m", "output_index": 0, "content_index": 0,
    "delta": TEXT, "logprobs": [],
}  # fmt: skip
LAST = {"type": "response.completed", "sequence_number": 1, "response": RESPONSE}


@pytest.mark.parametrize(
    ("api", "said", "output"),
    [
        ("chat", [CUSTOM_CHAT], [{"name": "patch", "arguments": "*** Begin"}]),
        ("responses", [RESPONSE | {"output": [CUSTOM_ITEM]}], [{"name": "patch", "arguments": "*** Begin"}]),
        ("responses", [DELTA, LAST], TEXT),
    ],
)
def test_custom_tools_and_ends_without_output_are_answers(
    headrace: RecordingClient, api: str, said: list[dict[str, Any]], output: Any
) -> None:
    """A tool that takes any text; a stream whose last event leaves the output out."""
    streamed = len(said) > 1
    text = "".join(f"data: {json.dumps(one)}\n\n" for one in said) if streamed else json.dumps(said[0])
    kind = {"content-type": "text/event-stream" if streamed else "application/json"}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=text, headers=kind))
    with OpenAI(base_url="http://x/v1", api_key="k", http_client=httpx.Client(transport=transport)) as plain:
        client = observed(plain, headrace)
        if api == "chat":
            client.chat.completions.create(**ASKED)
        elif streamed:
            list(client.responses.create(model="m", input="Hi", stream=True))
        else:
            client.responses.create(model="m", input="Hi")
    said_of_it = only(headrace).output
    assert (said_of_it if isinstance(output, str) else json.loads(said_of_it)) == output


@pytest.mark.parametrize("stream", ["whole", "streamed", "left"])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_refusal_is_the_answer(client: OpenAI, headrace: RecordingClient, api: str, stream: str) -> None:
    """It is what the user reads, in either API, streamed or not, and as far as it came."""
    called = client.chat.completions.create if api == "chat" else client.responses.create
    asked: dict[str, Any] = {"messages": ASKED["messages"]} if api == "chat" else {"input": "My VPN is down"}
    answer: Any = called(model=REFUSES, **asked, **({} if stream == "whole" else {"stream": True}))
    if stream == "streamed":
        list(answer)
    elif stream == "left":
        for piece in answer:
            if piece.choices[0].delta.refusal if api == "chat" else piece.type == "response.refusal.delta":
                break
        answer.close()
    event = only(headrace)
    assert event.output == (WORDS[0] if stream == "left" else TEXT)
    assert (event.first_token_ms > 0) == (stream != "whole")


async def test_the_client_of_an_event_loop(model: str, headrace: RecordingClient) -> None:
    """Whole and streamed."""
    async with AsyncOpenAI(base_url=model, api_key="k", max_retries=0) as plain:
        client = observed(plain, headrace)
        assert isinstance(client, AsyncOpenAI)
        completion = await client.chat.completions.create(**ASKED)
        stream = await client.chat.completions.create(**ASKED, stream=True)
        assert [piece.choices[0].delta.content async for piece in stream][:3] == WORDS
        async with client.chat.completions.stream(**ASKED) as helper:
            await helper.until_done()
        left = await client.chat.completions.create(**ASKED, stream=True)
        await anext(left)
        await left.close()
    assert completion.choices[0].message.content == TEXT
    assert [(event.task, event.output) for event in headrace.inferences] == [(MODEL, TEXT)] * 3 + [(MODEL, WORDS[0])]


def test_errors_pass_and_are_no_answers(client: OpenAI, headrace: RecordingClient) -> None:
    """The caller gets the client's own exception."""
    with pytest.raises(openai.BadRequestError, match="no such model"):
        client.chat.completions.create(**(ASKED | {"model": "broken"}))
    with pytest.raises(TypeError):
        client.chat.completions.create(model="small-1b")  # type: ignore[call-overload]
    assert not headrace.events


def test_what_cannot_be_recorded_breaks_no_call(model: str, caplog: pytest.LogCaptureFixture) -> None:
    """A client that fails, a wrong field, a function that raises: the answer is the caller's, a warning says why."""

    class Broken:
        def inference(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("no disk")

    def fails(_: str) -> str:
        raise ValueError("no label")

    recorder = RecordingClient()
    with OpenAI(base_url=model, api_key="k", max_retries=0) as plain:
        for headrace, options in ((Broken(), {}), (recorder, {"lable": "it"}), (recorder, {"label_of": fails})):
            client = observed(plain, headrace, **options)  # type: ignore[arg-type]
            assert client.chat.completions.create(**ASKED).choices[0].message.content == TEXT
            assert len(list(client.chat.completions.create(**ASKED, stream=True))) == 4
    assert not recorder.events
    said = {record.getMessage().partition(": ")[2] for record in caplog.records}
    assert said == {
        "RuntimeError: no disk",
        "EventError: Inference.lable: there is no such field",
        "ValueError: no label",
    }


def test_copies_are_observed_and_the_original_is_not(model: str, headrace: RecordingClient) -> None:
    """with_options and copy of an observed client observe; so the label is read from the text."""
    with OpenAI(base_url=model, api_key="k", max_retries=0) as plain:
        client = observed(plain, headrace, task="router", label_of=lambda text: text.split()[0].lower())
        client.with_options(timeout=5).with_options(timeout=6).chat.completions.create(**ASKED)
        plain.chat.completions.create(**ASKED)
    assert only(headrace).label == "restart"


def test_raw_answers_pass_unseen(client: OpenAI, headrace: RecordingClient) -> None:
    """Whoever takes the response's bytes gets them."""
    raw = client.chat.completions.with_raw_response.create(**ASKED)
    assert raw.parse().choices[0].message.content == TEXT and not headrace.events


def test_the_documented_lines(model: str, headrace: RecordingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/integrations.md: an answer of the OpenAI client and a thumb on it; a program's own test."""
    monkeypatch.setenv("OPENAI_BASE_URL", model)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setattr("headrace.client.Client", lambda **_: headrace)
    exec(SNIPPETS[0], {})
    event = only(headrace)
    assert (event.input, event.session_id, event.user_ref) == ("My VPN is down", "conversation-7", "u-1")
    assert [one.response_id for one in headrace.feedbacks] == [event.response_id]
    exec(SNIPPETS[-1], {})
