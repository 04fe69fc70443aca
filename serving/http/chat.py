"""OpenAI's chat completions and completions of task aliases: the answer says the label."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headrace.contract.events import Inference
from serving.http.label_shapes import Shape
from serving.http.refusal import Refusal
from serving.http.requests import ChatRequest, CompletionRequest, images_in
from serving.otlp.attributes import OWN_RESPONSE

COMPLETION = "cmpl-"
Parts = tuple[Mapping[str, Any], ...]
_DONE = b"data: [DONE]\n\n"


def question_of(request: ChatRequest) -> tuple[str, Parts]:
    """The last user message with text or an image: its text, and its parts where images are among them.

    Raises Refusal.
    """
    for message in reversed(request.messages):
        if message.role == "user" and ((text := message.text) or images_in(message.content)):
            return text, images_in(message.content)
    raise Refusal(400, "messages has no user message with text; the last one is the question", param="messages")


def prompt_of(request: CompletionRequest) -> str:
    """The one text that is asked. Raises Refusal."""
    prompt = request.prompt
    if isinstance(prompt, list) and len(prompt) == 1:
        (prompt,) = prompt
    if not isinstance(prompt, str) or not prompt:
        raise Refusal(400, "prompt: a task takes one text, and no list of several and no tokens", param="prompt")
    return prompt


def completion(inference: Inference, said: str, shape: Shape, model: str, choices: int) -> dict[str, Any]:
    """A chat.completion object; `headrace` has what feedback needs to name. said: what the shape wrote"""
    message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
    if shape.tool:
        message |= {"content": None} | _called(inference, shape, said)
    one = {"message": message, "logprobs": None, "finish_reason": _finish(shape)}
    return _head(inference, model, "chat.completion") | {
        "choices": [{"index": index} | one for index in range(choices)],
        "usage": _usage(inference),
        "headrace": own_part(inference),
    }


def chunks(inference: Inference, said: str, shape: Shape, model: str, choices: int, usage: bool) -> Iterator[bytes]:
    """The same as server-sent events: the label in one chunk, the end, and [DONE]. usage: a last chunk with it"""
    head = _head(inference, model, "chat.completion.chunk") | ({"usage": None} if usage else {})
    delta: dict[str, Any] = {"role": "assistant", "content": said}
    if shape.tool:
        delta |= {"content": None} | _called(inference, shape, said, {"index": 0})
    indices = range(choices)
    finish = _finish(shape)
    for index in indices:
        yield event(head | {"choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}]})
    for index in indices:
        last = {"index": index, "delta": {}, "logprobs": None, "finish_reason": finish}
        yield event(head | {"choices": [last], "headrace": own_part(inference)})
    if usage:
        yield event(head | {"choices": [], "usage": _usage(inference)})
    yield _DONE


def text_completion(inference: Inference, said: str, model: str, choices: int) -> dict[str, Any]:
    """A text_completion object."""
    head = _head(inference, model, "text_completion", COMPLETION)
    choice = {"text": said, "logprobs": None, "finish_reason": "stop"}
    said_by_all = [{"index": index} | choice for index in range(choices)]
    return head | {"choices": said_by_all, "usage": _usage(inference), "headrace": own_part(inference)}


def text_chunks(inference: Inference, said: str, model: str, choices: int, usage: bool) -> Iterator[bytes]:
    """The same as server-sent events."""
    whole = text_completion(inference, said, model, choices)
    tokens = whole.pop("usage")
    yield event(whole)
    if usage:
        yield event(whole | {"choices": [], "usage": tokens})
    yield _DONE


def own_part(inference: Inference) -> dict[str, Any]:
    """What the gateway adds to OpenAI's objects."""
    return {
        "inference_id": str(inference.inference_id),
        "version": inference.version,
        "arm": inference.arm,
        "scores": inference.scores,
        "latency_ms": inference.latency_ms,
    }


def event(fields: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def _called(inference: Inference, shape: Shape, said: str, place: Mapping[str, int] | None = None) -> dict[str, Any]:
    function = {"name": shape.tool, "arguments": said}
    if shape.older:
        return {"function_call": function}
    call = {"id": f"call_{inference.inference_id.hex}", "type": "function", "function": function}
    return {"tool_calls": [{**(place or {}), **call}]}


def _finish(shape: Shape) -> str:
    if not shape.tool:
        return "stop"
    return "function_call" if shape.older else "tool_calls"


def _head(inference: Inference, model: str, kind: str, prefix: str = OWN_RESPONSE) -> dict[str, Any]:
    created = int(inference.occurred_at.timestamp())
    return {"id": f"{prefix}{inference.inference_id}", "object": kind, "created": created, "model": model}


def _usage(inference: Inference) -> dict[str, int]:
    read, written = inference.tokens_in, inference.tokens_out
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
