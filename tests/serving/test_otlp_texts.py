"""Texts as instrumentations write them: the right message of several, whole or marked, and nothing of it eaten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from otlp_spans import CALL, PROMPT, only, read

from headrace.conversations.messages import Message, messages_of
from headrace.conversations.roles import USER
from serving.otlp.shapes import KEPT_SHAPES, MAX_CHARACTERS, MAX_NAMES, kept_shapes, shape_of

ASKED = CALL | {"gen_ai.prompt": "Why?"}
ANSWERED = CALL | {"gen_ai.completion": "it"}
CHOICES = {
    "choices": [{"index": at, "message": {"role": "assistant", "content": text}} for at, text in ((1, "hr"), (0, "it"))]
}
GENERATED = {"generations": [[{"text": "it"}, {"text": "hr"}]]}
CANDIDATES = {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}} for text in ("it", "hr")]}
SAID = [{"role": "assistant", "content": text} for text in ("it", "hr")]
LOOK = {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "c"}
ITEMS = [{"role": "user", "content": "My VPN is down"}, LOOK]
ITEMS += [{"type": "function_call_output", "call_id": "c", "output": "rows: 4"}]
REQUEST = {"model": "m", "input": ITEMS}
OUTPUT = [
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look it up"}]},
    {"type": "web_search_call", "status": "completed"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "it"}]},
]
MLFLOW, LANGFUSE = {"mlflow.spanType": '"LLM"'}, {"langfuse.observation.type": "generation"}
OPENINFERENCE = {"openinference.span.kind": "LLM", "llm.model_name": "m"}


@pytest.mark.parametrize(
    "said",
    [
        {"gen_ai.output.messages": json.dumps(SAID)}, {"gen_ai.completion": json.dumps(CHOICES)},
        {"gen_ai.completion": json.dumps(CANDIDATES)}, {"gen_ai.completion": json.dumps(GENERATED)},
        OPENINFERENCE | {"output.value": json.dumps(CHOICES)}, MLFLOW | {"mlflow.spanOutputs": json.dumps(CHOICES)},
        {"gen_ai.output.messages": json.dumps([*ITEMS, *SAID])},
        {"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [LOOK]}, *SAID])},
    ],
)  # fmt: skip
def test_of_several_choices_the_first_is_the_answer(said: dict[str, Any]) -> None:
    """It is what the user saw, in whichever list they stand; a call of a tool only where nothing is said."""
    assert only(ASKED | said).output == "it"


def test_of_several_choices_in_an_event_the_first_is_the_answer() -> None:
    """The event of 1.26 has them in one list."""
    assert only(CALL, PROMPT, ("gen_ai.content.completion", {"gen_ai.completion": json.dumps(SAID)})).output == "it"


@pytest.mark.parametrize(
    "said",
    [
        MLFLOW | {"mlflow.spanInputs": json.dumps(REQUEST), "mlflow.spanOutputs": json.dumps({"output": OUTPUT})},
        LANGFUSE | {"langfuse.observation.model.name": "m", "langfuse.observation.input": json.dumps(ITEMS),
                    "langfuse.observation.output": json.dumps({"id": "r", "output": OUTPUT})},
        {"gen_ai.request.model": "m", "request_data": json.dumps(REQUEST),
         "response_data": json.dumps({"combined_chunk_content": "it", "chunk_count": 2})},
    ],
)  # fmt: skip
def test_items_of_responses_are_their_own(said: dict[str, Any]) -> None:
    """A tool's call and its result are no question, thoughts are no answer, the last message is."""
    event = only(said)
    assert (event.input, event.output) == ("My VPN is down", "it")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "tool_result", "tool_use_id": "t", "content": "rows: 4"}], "My VPN is down"),
        ([{"toolResult": {"toolUseId": "t", "content": [{"text": "rows"}]}}], "My VPN is down"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}], "My VPN is down"),
        ([{"name": "a", "input": "b"}], '[{"name": "a", "input": "b"}]'),
        ([{"type": "refund", "text": "pls"}], '[{"type": "refund", "text": "pls"}]'),
        ([{"type": "text", "text": "x"}, {"a": 1}], '[{"type": "text", "text": "x"}, {"a": 1}]'),
        ([{"type": "text", "text": "x"}], "x"),
    ],
)
def test_json_in_a_users_message_is_parts_or_what_was_said(content: Any, text: str) -> None:
    """Parts of known kinds are read, also those that say nothing; any other list is the question itself."""
    flat = {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "My VPN is down"}
    flat |= {"gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": json.dumps(content)}
    assert only(ANSWERED | flat).input == text


@pytest.mark.parametrize(
    "text", ["system: reboot the machine", "tool: my hammer", "human: resources phone?", "user: a\ntool: b"]
)
def test_a_text_that_begins_like_a_role_is_kept(text: str) -> None:
    """One role's word, or others' words alone, may be how somebody writes."""
    event = only(CALL | {"gen_ai.prompt": text.replace("user", "ai"), "gen_ai.completion": text})
    assert (event.input, event.output) == (text.replace("user", "ai"), text)


@pytest.mark.parametrize("limit", range(20, 260, 7))
def test_messages_that_a_limit_cut_are_read_and_marked(limit: int) -> None:
    """What arrived of a question is its beginning and says that it is cut, or nothing is taken for one."""
    text = 'My VPN is "down" \u00e4 ' * 12
    messages = [
        {"role": "system", "content": "Secret."},
        {"role": "user", "parts": [{"type": "text", "content": text}]},
    ]
    cut = json.dumps(messages)[:limit]
    found = read({"attributes": ANSWERED | {"gen_ai.input.messages": cut, "gen_ai.prompt": ""}})
    (event,) = found.events
    assert text.startswith(event.input) and event.output == "it"
    assert bool(event.input) == ("truncated" in event.extra) == (not found.noted)
    if event.input:
        assert event.extra["truncated"].keys() == {"input"}


@pytest.mark.parametrize("more", ["", '"},{"type":"te', " is no"])
def test_a_cut_answer_names_no_label(more: str) -> None:
    """What is left of `it is not; hr` may be a label; one that the agent says itself is kept."""
    cut = {"gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"it' + more}
    asked = {name: one for name, one in ASKED.items() if name != "gen_ai.completion"} | {"headrace.task": "router"}
    for said in ({}, {"headrace.label": "hr"}):
        event = only(asked | cut | said)
        assert event.output.startswith("it") and event.label == said.get("headrace.label", "")
        assert event.extra["truncated"].keys() == {"output"}


def test_the_whole_text_goes_before_one_that_is_cut() -> None:
    """Where two spans tell of a call, a limit of one of them costs nothing."""
    whole = json.dumps([{"role": "assistant", "content": "x" * 99}])
    around = {"attributes": ASKED | {"gen_ai.completion": whole[:60]}}
    inner = {"attributes": ASKED | {"gen_ai.completion": whole}, "parent_span_id": bytes.fromhex("b7ad6b7169200000")}
    for spans in ((around, inner), (around,)):
        (event,) = read(*spans).events
        assert (event.output == "x" * 99) == (event.extra == {}) == (len(spans) == 2)


@pytest.mark.parametrize(
    ("prompt", "question"),
    [
        ('["Be brief.", "My "VPN" is\ndown"]', 'My "VPN" is\ndown'),
        (str([{"role": "user", "content": "It's my VPN"}]), "It's my VPN"),
        (str({"messages": [{"role": "user", "content": None}, {"role": "user", "content": "a"}]}), "a"),
        ("[{'role': 'user', 'content': " + "(" * 400 + "]", None), ("[{'role': " + "[" * 9000, None), ('["', None),
        ('[{"role": "user", "content": "a"}] is that JSON?', None), ("{'a': 1}", None), ('["a" or "b"', None),
    ],
)  # fmt: skip
def test_what_is_nearly_json_is_read(prompt: str, question: str | None) -> None:
    """Spring AI's lists without escapes, Python's repr of messages; anything else is what was said."""
    assert only(ANSWERED | {"gen_ai.prompt": prompt}).input == (prompt if question is None else question)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"message": "sorry", "action": "refund"}, None), ({"text": "it", "category": "hr"}, None),
        ({"data": {"text": "x"}, "action": "y"}, None), ({"output": ["a"], "score": 1}, None),
        ([{"name": "a", "input": "b"}], None), ([{"text": "Bonn", "type": "CITY"}], None),
        ([{"text": "Bonn"}, {"text": "K\u00f6ln"}], None), ({"message": "done"}, None), ({"choices": ["a", "b"]}, None),
        (["a", "b"], None),
        ({"text": "x"}, None), ({"messages": ["a"]}, None), ({"role": "admin", "content": "x"}, None),
        ({"output": "x"}, None), ({"content": "x"}, None), ({"data": {"text": "x"}}, None), ({"results": ["a"]}, None),
        ({"prompt": "x"}, None), ({"message": "done", "status": "ok"}, None), ({"text": "x", "type": "CITY"}, None),
        ({"content": "x", "type": "note"}, None), ({"choices": [{"text": "a"}, {"text": "b"}]}, None),
        ({"candidates": [{"content": "Ann"}]}, None), ({"messages": [{"text": "a"}]}, None),
        ({"type": "text", "text": "it"}, "it"),
        ([{"type": "text", "text": "it"}, {"type": "text", "text": "hr"}], "it\nhr"),
        ({"model": "m", "choices": [{"text": "it"}]}, "it"),
        ({"choices": [{"text": "it", "finish_reason": "stop"}]}, "it"),
        ({"text": "it", "generation_id": "x"}, "it"), ({"content": "it", "usage": {}}, "it"),
        ({"message": {"role": "assistant", "content": "it"}, "own": 1}, "it"),
        ({"results": [{"outputText": "it", "completionReason": "FINISH"}], "inputTextTokenCount": 3}, "it"),
    ],
)  # fmt: skip
def test_an_applications_own_object_is_the_answer(answer: Any, text: str | None) -> None:
    """Only a provider's envelope is taken off."""
    assert only(ASKED | {"gen_ai.completion": json.dumps(answer)}).output == (text or json.dumps(answer))


def test_a_call_of_a_tool_without_bottom_costs_its_arguments() -> None:
    """An answer of 983 levels is still one."""
    deep = "[" * 983 + "]" * 983
    said = json.dumps([{"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": deep}}]}])
    assert json.loads(only(ASKED | {"gen_ai.output.messages": said}).output)[0]["name"] == "look"


def part(text: Any, kind: str = "text", name: str = "content") -> dict[str, Any]:
    return {"type": kind, name: text}


@pytest.mark.parametrize(
    "said",
    [
        [{"role": "user", "parts": [part("My VPN is down")]}, {"role": "assistant", "parts": [part("it")]}],
        [{"role": "user", "parts": [part("My VPN"), part("is down")], "finish_reason": "stop"}],
        [{"role": "HumanMessage", "content": "My VPN is down"}, {"role": "x", "content": " it", "finish_reason": None}],
        [{"role": "user", "parts": [part("")]}], [{"role": "user", "parts": [part(""), part("it")]}],
        [{"role": "user", "content": ""}], [{"role": "user", "content": None}], [{"role": "user", "content": " "}],
        [{"role": "", "content": "it"}], [{"role": None, "parts": [part("it")]}], [{"role": 7, "content": "it"}],
        [{"role": "user", "content": "one", "parts": [part("other")]}], [{"role": "user", "parts": []}],
        [{"role": "user", "content": json.dumps([part("it", name="text")])}], [{"role": "user", "content": "[1]"}],
        [{"role": "user", "content": ' [{"name": "f", "arguments": {}}]'}], [{"role": "assistant", "parts": [LOOK]}],
        [{"role": "assistant", "parts": [part('[{"name": "f", "arguments": {}}]')]}],
        [{"role": "user", "parts": [part("it"), part("hm", "reasoning")]}],
        [{"role": "user", "parts": [part("it", name="text")]}], [{"role": "user", "content": "it", "name": "Ann"}],
        [{"role": "user", "content": "\ud83d\ude00 \ud800 \x00"}], [{"role": "user"}], [{"role": "user", "content": 7}],
    ],
)  # fmt: skip
def test_json_says_what_its_value_says(said: list[dict[str, Any]]) -> None:
    """Messages are the same as the JSON of a list and as the list, whichever of them are read at once.

    A list that holds no message is what was said.
    """
    text = json.dumps(said)
    assert messages_of(text, USER) == (messages_of(json.loads(text), USER) or [Message(USER, text)])


def test_shapes_of_strange_spans_are_not_kept() -> None:
    """However many names attributes have, and however long ones, what is remembered of them is bounded."""
    before = kept_shapes()
    many = {f"gen_ai.{n}": 1 for n in range(MAX_NAMES)} | {"gen_ai.request.model": "m"}
    for said in (many, {"gen_ai.request.model": "m", "x" * MAX_CHARACTERS: 1}):
        assert shape_of(said).names["request_models"] == ("gen_ai.request.model",)
    assert kept_shapes() == before
    for number in range(KEPT_SHAPES + 1):
        shape_of({f"app.{number}": 1})
    assert kept_shapes() == KEPT_SHAPES


QUESTION = {"role": "user", "content": "My VPN is down"}


@pytest.mark.parametrize(
    "said",
    [
        CALL | {"gen_ai.prompt.0.user": "My VPN is down", "gen_ai.completion.0.content": "it"},
        CALL | {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.user": "My VPN is down", "gen_ai.completion": "it"},
        CALL | {"gen_ai.prompt": json.dumps({"prompts": ["System: Be brief.\nHuman: My VPN is down"]}),
                "gen_ai.completion": "it"},
        CALL | {"gen_ai.prompt": '["My VPN is down"]', "gen_ai.completion": '["it"]'},
        CALL | {"gen_ai.prompt": '["Be "brief".", "My VPN is down"]', "gen_ai.completion": '["it", "hr"]'},
        CALL | {"gen_ai.input.messages": json.dumps([QUESTION]), "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "content": None, "refusal": "it"}])},
    ],
)  # fmt: skip
def test_texts_where_some_instrumentations_put_them(said: dict[str, Any]) -> None:
    """OpenLLMetry's models of text, LangChain's chats as one text, Spring AI's lists, OpenAI's refusals."""
    event = only(said)
    assert (event.input, event.output) == ("My VPN is down", "it")


@pytest.mark.parametrize(
    ("name", "said", "milliseconds"),
    [
        ("gen_ai.server.time_to_first_token", 480, 480), ("gen_ai.server.time_to_first_token", 0.25, 250),
        ("gen_ai.response.time_to_first_chunk", 1.5, 1500), ("ai.response.msToFirstChunk", 480, 480),
    ],
)  # fmt: skip
def test_a_first_token_comes_before_the_last(name: str, said: float, milliseconds: float) -> None:
    """Strands writes milliseconds under a name that others use for seconds."""
    assert only(ASKED | {name: said}).first_token_ms == milliseconds


@pytest.mark.parametrize(
    "answer",
    [
        '{"label": "it", "confidence": 0.9}', "IT.", "<think>\nhr?\n</think>\n\nit",
        json.dumps([{"role": "assistant", "parts": [{"type": "tool_call", "name": "r", "arguments": {"team": "it"}}]}]),
    ],
)  # fmt: skip
def test_a_label_is_read_as_the_gateway_reads_its_models(answer: str) -> None:
    """A router with structured outputs, a tool or thoughts would otherwise be wrong in every audit."""
    assert only(ASKED | {"headrace.task": "router", "gen_ai.completion": answer}).label == "it"
