"""A model of three providers' APIs that answers "it", and a collector that keeps what is exported to it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER, MODEL = "it", "incumbent-70b"


class Handler(BaseHTTPRequestHandler):
    """POST of a question, or of an export, which is appended to `server.exports` as (path, content type, body)."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        path = self.path.split("?")[0]
        if path.endswith(("/v1/traces", "/v1/logs")):
            self.server.exports.append((path, self.headers["content-type"], body))  # type: ignore[attr-defined]
            self._answer(b"{}" if "json" in self.headers["content-type"] else b"", self.headers["content-type"])
            return
        asked = json.loads(body)
        # The id tells the calls of one recording apart.
        self.server.asked += 1  # type: ignore[attr-defined]
        number = self.server.asked  # type: ignore[attr-defined]
        if asked.get("stream"):
            events = _responses_stream(number) if path.endswith("/responses") else _chunks(number)
            lines = "".join(f"data: {json.dumps(one)}\n\n" for one in events) + "data: [DONE]\n\n"
            self._answer(lines.encode(), "text/event-stream")
            return
        self._answer(json.dumps(_completed(path, number)).encode(), "application/json")

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def server() -> ThreadingHTTPServer:
    """On a free port of this machine, not started yet."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.exports, made.asked = [], 0  # type: ignore[attr-defined]
    return made


def _completed(path: str, number: int) -> dict[str, Any]:
    if path.endswith("/messages"):
        return {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [{"type": "text", "text": ANSWER}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 100, "output_tokens": 2},
        }
    if ":generateContent" in path:
        content = {"role": "model", "parts": [{"text": ANSWER}]}
        return {
            "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 2, "totalTokenCount": 102},
            "modelVersion": MODEL,
            "responseId": f"gemini-{number}",
        }
    if path.endswith("/responses"):
        return _response(number)
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_772_452_800,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 102},
    }


def _response(number: int) -> dict[str, Any]:
    text = {"type": "output_text", "text": ANSWER, "annotations": []}
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1_772_452_800,
        "status": "completed",
        "model": MODEL,
        "output": [
            {"type": "message", "id": f"out_{number}", "role": "assistant", "status": "completed", "content": [text]}
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 102,
        },
    }


def _chunks(number: int) -> Iterator[dict[str, Any]]:
    chunk = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion.chunk",
        "created": 1_772_452_800,
        "model": MODEL,
    }
    for delta, reason in (({"role": "assistant", "content": ANSWER}, None), ({}, "stop")):
        yield chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
    usage = {"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 102}
    yield chunk | {"choices": [], "usage": usage}


def _responses_stream(number: int) -> Iterator[dict[str, Any]]:
    whole = _response(number)
    item = whole["output"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": whole | {"status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}},
        {"type": "response.output_text.delta", **place, "delta": ANSWER, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": ANSWER, "logprobs": []},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    for sequence, event in enumerate(events):
        yield event | {"sequence_number": sequence}
