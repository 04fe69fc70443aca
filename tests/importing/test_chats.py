"""A chat in a cell becomes the text of its last user or assistant, as JSON and as text that holds JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.contract.events import Feedback, Inference
from headrace.importing import Mapping

ASKED, SAID = "My VPN is down", "it"
SYSTEM, USER = {"role": "system", "content": "Route."}, {"role": "user", "content": ASKED}
ANSWER = {"role": "assistant", "content": SAID}
LANGCHAIN = ["langchain", "schema", "messages"]


def serialised(kind: str, content: str) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": [*LANGCHAIN, kind], "kwargs": {"content": content}}


CHATS = {
    "messages": ([SYSTEM, USER], [ANSWER]),
    "a request and a response": (
        {"model": "m", "messages": [SYSTEM, USER]},
        {"choices": [{"index": 0, "message": ANSWER}]},
    ),
    "parts": ([{"role": "user", "content": [{"type": "text", "text": ASKED}]}], ANSWER),
    "Responses": (
        {"input": [SYSTEM, USER]},
        {
            "output": [
                {"type": "reasoning", "summary": []},
                ANSWER | {"content": [{"type": "output_text", "text": SAID}]},
            ]
        },
    ),
    "LangChain": (
        {"messages": [[serialised("SystemMessage", "Route."), serialised("HumanMessage", ASKED)]]},
        {"generations": [[{"text": SAID, "message": serialised("AIMessage", SAID)}]]},
    ),
    "LangGraph": (
        {"messages": [{"type": "human", "content": ASKED}]},
        {"messages": [{"type": "human", "content": ASKED}, {"type": "ai", "content": SAID}]},
    ),
    "Gemini": (
        {"contents": [{"role": "user", "parts": [{"text": ASKED}]}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": SAID}]}}]},
    ),
}
CHATS |= {
    "several choices": (
        {"messages": [USER]},
        {"choices": [{"index": 1, "message": ANSWER | {"content": "hr"}}, {"index": 0, "message": ANSWER}]},
    ),
    "several candidates": (
        {"contents": [{"role": "user", "parts": [{"text": ASKED}]}]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": one}]}} for one in (SAID, "hr")]},
    ),
    "several generations": (
        [USER],
        {"generations": [[{"message": serialised("AIMessage", one)} for one in (SAID, "hr")]]},
    ),
    "Gemini's thoughts": (
        [USER],
        {"role": "model", "parts": [{"text": "The user wants…", "thought": True}, {"text": SAID}]},
    ),
    "Anthropic's thoughts": (
        [USER],
        ANSWER | {"content": [{"type": "thinking", "text": "Hm."}, {"type": "text", "text": SAID}]},
    ),
    "a refusal": ([USER], ANSWER | {"content": [{"type": "refusal", "refusal": SAID}]}),
    "a refusal without content": ([USER], ANSWER | {"content": None, "refusal": SAID}),
    "Google's one message": (
        {"contents": [{"parts": [{"text": ASKED}]}]},
        {"candidates": [{"content": {"parts": [{"text": SAID}]}, "finishReason": "STOP"}]},
    ),
    "OpenTelemetry's conventions": (
        [{"role": "user", "parts": [{"type": "text", "content": ASKED}]}],
        [{"role": "assistant", "parts": [{"type": "text", "content": SAID}], "finish_reason": "stop"}],
    ),
    "Bedrock": (
        {"messages": [{"role": "user", "content": [{"text": ASKED}]}]},
        {"output": {"message": {"role": "assistant", "content": [{"text": SAID}]}}},
    ),
    "LangChain's messages_to_dict": (
        [{"type": "human", "data": {"content": ASKED}}],
        {"output": {"type": "ai", "content": SAID}},
    ),
    "a model of text": ({"prompt": ASKED}, {"model": "m", "choices": [{"text": SAID, "index": 0}]}),
    "Hugging Face": ({"inputs": ASKED}, [{"generated_text": SAID}]),
}
ANSWERS = Mapping(
    "inferences", {"at": "occurred_at", "q": "input", "a": "output"}, {"task": "router", "version": "router@0"}
)


def texts(question: Any, answer: Any) -> tuple[str, str]:
    event = ANSWERS.event({"at": "2026-03-02T12:00:00Z", "q": question, "a": answer})
    assert isinstance(event, Inference)
    return event.input, event.output


@pytest.mark.parametrize("kind", CHATS)
def test_a_chat(kind: str) -> None:
    """As objects, and as the text that a CSV cell, Helicone, BigQuery or pandas has of them."""
    question, answer = CHATS[kind]
    assert texts(question, answer) == (ASKED, SAID)
    assert texts(json.dumps(question), json.dumps(answer, indent=1)) == (ASKED, SAID)
    assert texts(repr(question), repr(answer)) == (ASKED, SAID)


def test_a_chat_that_was_an_array_of_numpy() -> None:
    """pandas writes line ends between its messages; a text has none of its own in a repr."""
    other = {"role": "user", "content": "a}\n{b"}
    assert texts(f"[{USER}\n {other}]", f"[{USER} \r\n {ANSWER}]") == ("a}\n{b", SAID)


@pytest.mark.parametrize("text", ["[urgent] my VPN is down]", '{"a": 1}', "[1, 2]", "[" * 5000 + "]" * 5000, "{}",
    '["it", "hr"]', "[{'role': 'user'", "{'role': f()}", "[{'role': 'user', " + "'a', " * 9000 + "}]"])  # fmt: skip
def test_a_text_that_is_no_chat(text: str) -> None:
    """It stays as it is."""
    assert texts(text, text) == (text, text)


def test_a_chat_in_a_comment() -> None:
    """It is what the user said, and stays as it is."""
    constants = {"source": "user", "signal": "comment", "session_id": "s"}
    form = Mapping("feedback", {"at": "occurred_at", "c": "comment"}, constants)
    event = form.event({"at": "2026-03-02T12:00:00Z", "c": json.dumps([USER])})
    assert isinstance(event, Feedback) and event.comment == json.dumps([USER])
