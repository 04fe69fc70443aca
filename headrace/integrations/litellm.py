"""LiteLLM, in a program or as its proxy (not its release 1.107.0, which is reported as compromised).

    litellm.callbacks = [Callback(Client(url="http://127.0.0.1:8080", emitter="helpdesk"), task="helpdesk")]

For the proxy, a file beside its configuration says the same, `callback = Callback(…)` in `headrace_callback.py`, and
`litellm_settings: {callbacks: headrace_callback.callback}` names it. Recorded are answers of chat, completions and
responses; a session is a call's `metadata["session_id"]` or its `litellm_session_id`, a user its `user`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from headrace.integrations.about import about, known
from headrace.integrations.answers import Recorder, Recording, calls_of, never_fails, question_in, text_of

__all__ = ["Callback", "about"]

ANSWERS = {"completion", "acompletion", "text_completion", "atext_completion", "responses", "aresponses"}


class Callback(CustomLogger):
    """Makes each answer an inference.

    headrace: headrace.client.Client or AsyncClient
    label_of: the label that an answer's text says, where the task has labels; `str.strip` where the text is the label
    fields: of every inference, as task= (else the model's name), version=, consent=
    """

    def __init__(
        self, headrace: Recorder, *, label_of: Callable[[str], str | None] | None = None, **fields: Any
    ) -> None:
        super().__init__()
        self._recording = Recording(headrace, fields, label_of)

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """LiteLLM has an answer."""
        self._record(kwargs)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """See log_success_event."""
        self._record(kwargs)

    @never_fails
    def _record(self, kwargs: Mapping[str, Any]) -> None:
        logged = kwargs.get("standard_logging_object") or {}
        if logged.get("call_type") not in ANSWERS:
            return
        said = kwargs.get("litellm_params") or {}
        metadata = said.get("metadata") or {}
        first = logged.get("completionStartTime") if logged.get("stream") else None
        own = {
            "occurred_at": datetime.fromtimestamp(logged["startTime"], UTC),
            "input": question_in(logged.get("messages")),
            "response_id": logged.get("id"),
            "session_id": metadata.get("session_id") or said.get("litellm_session_id"),
            "user_ref": logged.get("end_user") or kwargs.get("user"),
            "tokens_in": logged.get("prompt_tokens"),
            "tokens_out": logged.get("completion_tokens"),
            "cost": logged.get("response_cost"),
            "latency_ms": max(0.0, logged["endTime"] - logged["startTime"]) * 1000,
            "first_token_ms": max(0.0, first - logged["startTime"]) * 1000 if first else None,
            "extra": {"cached": True} if logged.get("cache_hit") else None,
        }
        response = logged.get("response")
        model = response.get("model") if isinstance(response, Mapping) else None
        # LiteLLM calls back in the context of the call.
        self._recording.record(model or logged["model"], _output(response), own, known())


def _output(response: Any) -> str:
    """The text of what was answered, in OpenAI's shape."""
    if not isinstance(response, Mapping):
        return response if isinstance(response, str) else ""
    if response.get("choices"):
        choice = response["choices"][0]
        message = choice.get("message") or {}
        tools = [one.get("function") or {} for one in message.get("tool_calls") or ()]
        text = text_of(message.get("content")) or choice.get("text") or message.get("refusal") or ""
        return text or calls_of((tool.get("name"), tool.get("arguments")) for tool in tools)
    return "\n".join(filter(None, (text_of(one.get("content")) for one in response.get("output") or ())))
