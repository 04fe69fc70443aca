"""LiteLLM's callback on what LiteLLM logs; the real package calls it in tests/serving/test_real_integrations.py."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest

from headrace.testing import RecordingClient

LOGGED: dict[str, Any] = {
    "id": "chatcmpl-1",
    "call_type": "completion",
    "stream": False,
    "model": "small-1b",
    "messages": [{"role": "user", "content": "My VPN is down"}],
    "response": {"model": "small-1b-2026", "choices": [{"message": {"role": "assistant", "content": "it"}}]},
    "startTime": 1_790_000_000.0,
    "endTime": 1_790_000_000.5,
    "completionStartTime": 1_790_000_000.25,
    "prompt_tokens": 11,
    "completion_tokens": 5,
    "response_cost": 0.0002,
    "end_user": "u-1",
}
TOOL = {"function": {"name": "open_ticket", "arguments": "{}"}}


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """headrace.integrations.litellm, over an empty base class of LiteLLM's."""
    logger = ModuleType("litellm.integrations.custom_logger")
    logger.CustomLogger = object  # type: ignore[attr-defined]
    for name in ("litellm", "litellm.integrations"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, logger.__name__, logger)
    monkeypatch.delitem(sys.modules, "headrace.integrations.litellm", raising=False)
    yield importlib.import_module("headrace.integrations.litellm")
    sys.modules.pop("headrace.integrations.litellm", None)


def test_what_litellm_logs_becomes_an_inference(callbacks: Any) -> None:
    """Texts, tokens, cost, times; the session from the call's metadata or the block around it."""
    recorder = RecordingClient()
    callback = callbacks.Callback(recorder, task="router", label_of=str.strip)
    said = {"litellm_params": {"metadata": {"session_id": "s"}}}
    callback.log_success_event({"standard_logging_object": LOGGED, **said}, None, None, None)
    with callbacks.about(session_id="t"):
        streamed = LOGGED | {"stream": True, "cache_hit": True}
        callback.log_success_event({"standard_logging_object": streamed}, None, None, None)
    first, second = recorder.inferences
    assert (first.task, first.version, first.input, first.output) == ("router", "small-1b-2026", "My VPN is down", "it")
    assert (first.label, first.session_id, first.user_ref, first.response_id) == ("it", "s", "u-1", "chatcmpl-1")
    assert (first.tokens_in, first.tokens_out, first.cost, first.latency_ms) == (11, 5, 0.0002, 500)
    assert (first.occurred_at.timestamp(), first.first_token_ms) == (1_790_000_000, 0)
    assert (second.session_id, second.first_token_ms, second.extra) == ("t", 250, {"cached": True})


@pytest.mark.parametrize(
    ("response", "output"),
    [
        (
            {"choices": [{"message": {"content": None, "tool_calls": [TOOL]}}]},
            '[{"name": "open_ticket", "arguments": "{}"}]',
        ),
        ({"choices": [{"text": "a"}]}, "a"),
        ({"output": [{"type": "reasoning"}, {"content": [{"type": "output_text", "text": "b"}]}]}, "b"),
        ("c", "c"),
        (None, ""),
    ],
)
def test_every_kind_of_answer_has_its_text(callbacks: Any, response: Any, output: str) -> None:
    """Chat with a tool call, completions, responses, and what LiteLLM has shortened."""
    recorder = RecordingClient()
    callbacks.Callback(recorder).log_success_event(
        {"standard_logging_object": LOGGED | {"response": response}}, None, None, None
    )
    assert recorder.inferences[0].output == output


def test_other_calls_and_broken_logs_are_passed_over(callbacks: Any) -> None:
    """Embeddings are no answers, and nothing that LiteLLM leaves out breaks a call."""
    recorder = RecordingClient()
    callback = callbacks.Callback(recorder)
    for logged in (LOGGED | {"call_type": "embedding"}, {"call_type": "completion"}, None, LOGGED | {"startTime": "?"}):
        callback.log_success_event({"standard_logging_object": logged}, None, None, None)
    assert not recorder.events


@pytest.mark.parametrize(
    "response",
    [{"choices": [{"message": {"content": None, "refusal": "I cannot."}}]},
     {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}]}],
)  # fmt: skip
def test_a_refusal_is_the_answer(callbacks: Any, response: dict[str, Any]) -> None:
    """In the shape of either of OpenAI's APIs."""
    recorder = RecordingClient()
    logged = {"standard_logging_object": LOGGED | {"response": response}}
    callbacks.Callback(recorder).log_success_event(logged, None, None, None)
    assert recorder.inferences[0].output == "I cannot."
