"""OpenAI's responses of task aliases: the output says the label."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from headrace.contract.events import Inference
from serving.http.chat import Parts, own_part
from serving.http.label_shapes import Shape
from serving.http.refusal import Refusal
from serving.http.requests import ResponsesRequest, images_in, text_in

RESPONSE = "resp_"


def question_of(request: ResponsesRequest) -> tuple[str, Parts]:
    """The input, or the last user message in it with text or an image; see chat.question_of. Raises Refusal."""
    if isinstance(request.input, str) and request.input:
        return request.input, ()
    for item in reversed(request.input if isinstance(request.input, list) else []):
        if isinstance(item, dict) and item.get("role") == "user":
            text, parts = text_in(item.get("content")), images_in(item.get("content"))
            if text or parts:
                return text, parts
    raise Refusal(400, "input has no text and no user message with text; the last one is the question", param="input")


def response(inference: Inference, said: str, shape: Shape, request: ResponsesRequest) -> dict[str, Any]:
    """A response object. said: what the shape wrote"""
    read, written = inference.tokens_in, inference.tokens_out
    return {
        "id": f"{RESPONSE}{inference.inference_id}",
        "object": "response",
        "created_at": int(inference.occurred_at.timestamp()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": request.metadata,
        "model": request.model,
        "output": [_item(inference, said, shape)],
        "parallel_tool_calls": False,
        "temperature": None,
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools or [],
        "top_p": None,
        "text": request.text or {"format": {"type": "text"}},
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        },
        "headrace": own_part(inference),
    }


def events(whole: dict[str, Any]) -> Iterator[bytes]:
    """A response object as server-sent events, in the order of OpenAI's."""
    (item,) = whole["output"]
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    place = {"output_index": 0}
    of = {"item_id": item["id"], **place}
    if item["type"] == "message":
        (part,) = item["content"]
        inner = of | {"content_index": 0}
        empty = item | {"status": "in_progress", "content": []}
        pieces = [
            ("response.content_part.added", inner | {"part": part | {"text": ""}}),
            ("response.output_text.delta", inner | {"delta": part["text"], "logprobs": []}),
            ("response.output_text.done", inner | {"text": part["text"], "logprobs": []}),
            ("response.content_part.done", inner | {"part": part}),
        ]
    else:
        empty = item | {"status": "in_progress", "arguments": ""}
        said = item["arguments"]
        pieces = [
            ("response.function_call_arguments.delta", of | {"delta": said}),
            ("response.function_call_arguments.done", of | {"arguments": said, "name": item["name"]}),
        ]
    told = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", place | {"item": empty}),
        *pieces,
        ("response.output_item.done", place | {"item": item}),
        ("response.completed", {"response": whole}),
    ]
    for number, (kind, fields) in enumerate(told):
        data = {"type": kind, "sequence_number": number, **fields}
        yield f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _item(inference: Inference, said: str, shape: Shape) -> dict[str, Any]:
    name = inference.inference_id.hex
    if shape.tool:
        call = {"id": f"fc_{name}", "call_id": f"call_{name}", "type": "function_call", "status": "completed"}
        return call | {"name": shape.tool, "arguments": said}
    part = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
    return {"id": f"msg_{name}", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
