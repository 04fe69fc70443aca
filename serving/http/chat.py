"""OpenAI's chat completions for task aliases: the answer's content is the label's text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from headrace.access.roles import Principal
from headrace.contract.events import Inference
from serving.answering.gateway import Question
from serving.http.refusal import Refusal
from serving.http.requests import Asker, ChatRequest
from serving.otlp.attributes import OWN_RESPONSE


def question_of(request: ChatRequest, principal: Principal) -> Question:
    """The last user message, asked of the task that the model name is. Raises Refusal."""
    texts = [message.text for message in request.messages if message.role == "user"]
    if not texts or not texts[-1]:
        raise Refusal(400, "messages has no user message with text; the last one is the question", param="messages")
    asker = request.headrace or Asker()
    return Question(
        task=request.model,
        text=texts[-1],
        tenant=principal.tenant,
        key_id=principal.key_id,
        session_id=asker.session_id,
        user_ref=asker.user_ref or request.user,
        consent=asker.consent,
        inference_id=asker.inference_id,
        response_prefix=OWN_RESPONSE,
    )


def completion(inference: Inference, text: str, model: str) -> dict[str, Any]:
    """A chat.completion object; `headrace` has what feedback needs to name. text: the label's"""
    message = {"role": "assistant", "content": text}
    return _head(inference, model, "chat.completion") | {
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _usage(inference),
        "headrace": _extra(inference),
    }


def chunks(inference: Inference, text: str, model: str, usage: bool) -> Iterator[bytes]:
    """The same as server-sent events: the label in one chunk, the end, and [DONE]."""
    head = _head(inference, model, "chat.completion.chunk")
    delta = {"role": "assistant", "content": text}
    yield _event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "headrace": _extra(inference)}
    yield _event(head | last)
    if usage:
        yield _event(head | {"choices": [], "usage": _usage(inference)})
    yield b"data: [DONE]\n\n"


def models(tasks: Iterable[str]) -> dict[str, Any]:
    """The task aliases as OpenAI lists models."""
    return {
        "object": "list",
        "data": [{"id": task, "object": "model", "created": 0, "owned_by": "headrace"} for task in sorted(tasks)],
    }


def _head(inference: Inference, model: str, kind: str) -> dict[str, Any]:
    created = int(inference.occurred_at.timestamp())
    return {"id": f"{OWN_RESPONSE}{inference.inference_id}", "object": kind, "created": created, "model": model}


def _usage(inference: Inference) -> dict[str, int]:
    read, written = inference.tokens_in, inference.tokens_out
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _extra(inference: Inference) -> dict[str, Any]:
    return {
        "inference_id": str(inference.inference_id),
        "version": inference.version,
        "arm": inference.arm,
        "scores": inference.scores,
        "latency_ms": inference.latency_ms,
    }


def _event(fields: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"
