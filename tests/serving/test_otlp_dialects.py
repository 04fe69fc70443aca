"""Spans as their instrumentations write them: each published dialect gives question, answer, model and tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from otlp_spans import CALL, DIALECTS, PLAN, only, read
from test_otlp import ANYBODY, SPAN

from headrace.contract.events import Inference
from serving.otlp.genai import NOT_TAKEN, SpanReader
from serving.otlp.instrumentations import OTHERS, Instrumentations


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_read(name: str) -> None:
    """Question, answer and so the label, model and tokens come out of every dialect."""
    attributes, events = DIALECTS[name]
    event = only(attributes, *events)
    assert (event.input, event.output, event.label) == ("My VPN is down", "it", "it")
    assert (event.task, event.version, event.tokens_in, event.tokens_out) == ("router", "router@0", 100, 2)


@pytest.mark.parametrize("role", ["user", "User", "human", "HumanMessage", "role.user", "MessageRole.USER", "customer"])
def test_who_asks_is_known_by_any_spelling(role: str) -> None:
    """The user's role in any spelling is the user's, and others' are not."""
    said = [{"role": "system", "content": "x"}, {"role": role, "content": "Why?"}, {"role": "tool", "content": "y"}]
    assert only(CALL | {"gen_ai.input.messages": json.dumps(said), "gen_ai.completion": "it"}).input == "Why?"


@pytest.mark.parametrize("role", ["assistant", "Assistant", "ai", "AIMessage", "model", "bot", "hr_expert"])
def test_who_answers_is_known_by_any_spelling(role: str) -> None:
    """The assistant's role in any spelling, or the name of one that no table has, is the answer's."""
    said = [{"role": role, "content": "it"}, {"role": "tool", "content": "y"}]
    assert only(CALL | {"gen_ai.input.messages": "Why?", "gen_ai.output.messages": json.dumps(said)}).output == "it"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ('{"label": "it"}', '{"label": "it"}'),
        ('["it"]', '["it"]'),
        ([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:…"}}, "b"], "a\nb"),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}], "a"),
        ([{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "a"}], "a"),
        ([{"thought": True, "text": "hm"}, {"text": "a"}], "a"),
        ('[{"text": "a"}]', "a"),
        ({"type": "text", "text": "a"}, "a"),
        ([{"type": "tool_use", "name": "find", "input": {"q": 1}}], '[{"name": "find", "arguments": {"q": 1}}]'),
        (None, ""),
        (7, ""),
    ],
)
def test_content_in_any_shape(content: Any, text: str) -> None:
    """Text, parts and the JSON of parts are text; an answer that is JSON itself stays as it is."""
    said = json.dumps([{"role": "assistant", "content": content}])
    assert only(CALL | {"gen_ai.input.messages": "Why?", "gen_ai.output.messages": said}).output == text


def test_an_answer_that_calls_a_tool_says_so() -> None:
    """A call by OpenAI's fields, the conventions' parts or flattened attributes is the output where no text is."""
    expected = '[{"name": "find", "arguments": {"q": "vpn"}}]'
    call = {"id": "c", "type": "function", "function": {"name": "find", "arguments": '{"q": "vpn"}'}}
    part = {"type": "tool_call", "id": "c", "name": "find", "arguments": {"q": "vpn"}}
    said = [{"role": "assistant", "content": None, "tool_calls": [call]}], [{"role": "assistant", "parts": [part]}]
    for output in said:
        assert only(CALL | {"gen_ai.output.messages": json.dumps(output)}).output == expected
    flattened = {
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.tool_calls.0.name": "find",
        "gen_ai.completion.0.tool_calls.0.arguments": '{"q": "vpn"}',
    }
    assert only(CALL | flattened).output == expected


@pytest.mark.parametrize(
    "carrier", ["ai.telemetry.metadata.", "traceloop.association.properties.", "langsmith.metadata."]
)
def test_an_agents_own_properties_are_carried(carrier: str) -> None:
    """Session, user and headrace's own attributes also come under the prefix that a platform carries them by."""
    own = {
        f"{carrier}{name}": text for name, text in (("sessionId", "s-1"), ("user_id", "u-1"), ("headrace.task", "t"))
    }
    event = only(CALL | own | {"gen_ai.prompt": "Why?", "gen_ai.completion": "it"})
    assert (event.session_id, event.user_ref, event.task) == ("s-1", "u-1", "t")


@pytest.mark.parametrize(
    "said",
    [
        {"openinference.span.kind": "CHAIN", "input.value": "x", "output.value": "y"},
        {"openinference.span.kind": "AGENT", "llm.token_count.prompt": 3},
        {"openinference.span.kind": "EMBEDDING", "llm.model_name": "e"},
        {"traceloop.span.kind": "workflow", "gen_ai.usage.input_tokens": 3, "gen_ai.request.model": "big"},
        {"llm.request.type": "embedding", "gen_ai.request.model": "e"},
        {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "e"},
        {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "f"},
        {"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat", "gen_ai.prompt": "x"},
        {"mlflow.spanType": "RETRIEVER", "mlflow.spanInputs": "{}"},
        {"gen_ai.span.kind": "AGENT", "gen_ai.request.model": "q", "input.value": "x", "output.value": "y"},
        {"gen_ai.span.kind": "EMBEDDING", "gen_ai.request.model": "q", "gen_ai.usage.input_tokens": 4},
        {"gen_ai.span.kind": "RERANKER", "gen_ai.request.model": "q", "gen_ai.usage.input_tokens": 4},
        {"cozeloop.span_type": "tool", "gen_ai.request.model": "q", "cozeloop.input": "x", "cozeloop.output": "y"},
        {"gen_ai.operation.name": "ponder"},
        {"langfuse.observation.type": "span", "langfuse.observation.input": "x"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "big", "gen_ai.usage.input_tokens": 3},
        {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e"},
        {"gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai"},
        {"agent_name": "a", "model_name": "big", "gen_ai.usage.input_tokens": 3, "all_messages_events": "[]"},
        {"logfire.span_type": "pending_span", "gen_ai.operation.name": "chat", "gen_ai.request.model": "big"},
        {"llm.openai.messages": "[]", "llm.openai.model": "big"},
        {"http.request.method": "POST", "url.full": "x"},
        {},
    ],
)
def test_what_is_known_to_be_no_answer_is_ignored(said: dict[str, Any]) -> None:
    """Agents, chains, tools, embeddings and spans of other things are let go without a word."""
    found = read({"attributes": said})
    assert (found.events, found.ignored, found.refused, found.noted) == ([], 1, [], [])


@pytest.mark.parametrize(
    "said",
    [
        {"gen_ai.operation.name": "ponder", "gen_ai.request.model": "big", "gen_ai.usage.input_tokens": 3},
        {"gen_ai.request.model": "big"},
        {"gen_ai.usage.output_tokens": 3},
        {"gen_ai.prompt.0.content": "Why?"},
        {"llm.request.type": "séance", "llm.request.model": "big"},
    ],
)
def test_what_looks_like_a_call_and_is_not_taken_is_named(said: dict[str, Any]) -> None:
    """It is rejected by its span's id, and counted by its instrumentation; headrace.task has it taken all the same."""
    found = read({"attributes": said}, scope="acme.instrumentation")
    (refused,) = found.refused
    assert f"span {(SPAN[:-2] + bytes(2)).hex()}: it looks like a call of a model by 'acme.instrumentation'" in refused
    assert dict(found.unread) == {("acme.instrumentation", NOT_TAKEN): 1}
    (event,) = read({"attributes": said | {"headrace.task": "router"}}).events
    assert isinstance(event, Inference) and event.task == "router"


TOLD = {
    "gen_ai.request.model": "big",
    "gen_ai.prompt": "Why?",
    "gen_ai.completion": "it",
    "gen_ai.usage.input_tokens": 5,
}


@pytest.mark.parametrize(
    "word",
    [
        *({"gen_ai.operation.name": name} for name in (
            "create_chat_completion", "create_completion", "create_response", "get_completion", "get_chat_completions",
            "invoke_llm", "run_llm", "prompt", "batch", "plan", "task", "realtime", "session.respond", "image_chat",
            "chat.completions.create", "generate_content_stream", "translate", "token_stream", "agentic_chat")),
        *({"gen_ai.operation.name": "chat"} | {name: value} for name, value in (
            ("mlflow.spanType", '"UNKNOWN"'), ("langfuse.observation.type", "span"),
            ("openinference.span.kind", "UNKNOWN"),
            ("traceloop.span.kind", "task"), ("llm.request.type", "unknown"), ("gen_ai.span.kind", "LLM"))),
    ],
)  # fmt: skip
def test_a_call_by_another_word_is_taken(word: dict[str, Any]) -> None:
    """Operations that no table has, or a platform's word that says nothing, beside a model with both texts."""
    event = only(TOLD | word)
    assert (event.input, event.output, event.tokens_in) == ("Why?", "it", 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("openinference.span.kind", "CHAIN"), ("langsmith.span.kind", "chain"), ("traceloop.span.kind", "workflow"),
     ("ai.operationId", "ai.agent"), ("final_result", "it"), ("mlflow.spanType", '"CHAIN"')],
)  # fmt: skip
def test_what_is_around_calls_is_named_where_it_tells_one_itself(name: str, value: str) -> None:
    """A chain with a model and both texts is named with its word, unless a call is inside it, sent now or before."""
    around = TOLD | {"gen_ai.operation.name": "chat", name: value}
    inside = {"attributes": CALL | TOLD, "parent_span_id": SPAN[:-2] + bytes(2)}
    inside |= {"span_id": bytes(7) + b"1"}
    found = read({"attributes": around}, scope="acme")
    (refused,) = found.refused
    assert f"it looks like a call of a model by 'acme', but it has {name}" in refused or f"but {name} is" in refused
    assert (found.events, dict(found.unread)) == ([], {("acme", NOT_TAKEN): 1})
    together = read({"attributes": around}, inside)
    assert (len(together.events), together.refused) == (1, [])
    reader = SpanReader(PLAN, ANYBODY)
    first, last = read(inside, reader=reader), read({"attributes": around}, reader=reader)
    assert (len(first.events), last.events, last.refused) == (1, [], [])


@pytest.mark.parametrize(
    "said",
    [
        {"gen_ai.span.kind": "LLM", "gen_ai.model_name": "big", "gen_ai.prompt": "Why?", "gen_ai.completion": "it"},
        {"gen_ai.request.model": "big", "gen_ai.prompt_json": '[{"role": "user", "content": "Why?"}]',
         "gen_ai.completion_json": '[{"role": "assistant", "content": "it"}]'},
        {"gen_ai.request.model": "big", "braintrust.input_json": '[{"role": "user", "content": "Why?"}]',
         "braintrust.output_json": '[{"role": "assistant", "content": "it"}]'},
        {"cozeloop.span_type": "model", "gen_ai.request.model": "big",
         "cozeloop.input": '{"messages": [{"role": "user", "content": "Why?"}]}',
         "cozeloop.output": '{"choices": [{"message": {"role": "assistant", "content": "it"}}]}'},
    ],
)  # fmt: skip
def test_a_platforms_own_table_is_read(said: dict[str, Any]) -> None:
    """Alibaba Cloud and Dify, Braintrust, CozeLoop."""
    event = only(said)
    assert (event.input, event.output, event.version) == ("Why?", "it", "router@0")


def test_mlflows_names_are_without_their_quotes() -> None:
    """Its values are JSON."""
    said = {"mlflow.spanType": '"LLM"', "mlflow.llm.model": '"huge"', "mlflow.trace.session": '"s\\"1"'}
    event = only(said | {"mlflow.trace.user": '"u1"', "mlflow.spanInputs": '"q"', "mlflow.spanOutputs": '"a"'})
    assert (event.version, event.session_id, event.user_ref) == ("huge", 's"1', "u1")
    assert (event.input, event.output) == ("q", "a")


@pytest.mark.parametrize("word", ["undefined", "null", "None", " NaN ", "[object Object]"])
def test_a_word_for_none_is_no_session(word: str) -> None:
    """Under it all conversations of a client would be one; the next name that says one counts, also around a call."""
    said = {"session.id": word, "user.id": word, "gen_ai.response.id": word}
    event = only(TOLD | CALL | said)
    assert (event.session_id, event.user_ref, event.response_id) == ("", "", "")
    assert only(TOLD | CALL | said | {"session_id": "s-1"}).session_id == "s-1"
    inside = {"attributes": CALL | TOLD, "parent_span_id": SPAN[:-2] + bytes(2)}
    (call,) = read({"attributes": said}, inside).events
    assert isinstance(call, Inference) and call.session_id == ""


def test_labels_of_instrumentations_are_bounded() -> None:
    """A metric has a label for each of the first instrumentations, and one for all that come later."""
    names = Instrumentations(max_names=2)
    assert [names.label(scope) for scope in ("a", "", "c", "a", "b" * 300)] == ["a", "none", OTHERS, "a", OTHERS]
