"""A model on loopback that answers as OpenAI's API does: chat and responses, streamed or not, text or a tool call."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = "Restart your VPN."
WORDS = ["Restart ", "your ", "VPN."]
REFUSES = "refuses"
"""A model that refuses, in the same words."""
TOOL = {"name": "open_ticket", "arguments": '{"team": "it"}'}
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
MODEL = "small-1b-2026"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number = self.server.count()  # type: ignore[attr-defined]
        if asked["model"] == "broken":
            self._send(400, json.dumps({"error": {"message": "no such model", "type": "invalid_request_error"}}))
        elif self.path.endswith("/chat/completions"):
            said = self.server.answer  # type: ignore[attr-defined]
            completion = _completion(asked, number, said(asked) if said else None)
            answer = _chunks(asked, number) if asked.get("stream") else [completion]
            self._answer(asked, answer, "[DONE]")
        elif self.path.endswith("/responses"):
            answer = _events(asked, number) if asked.get("stream") else [_response(asked, number)]
            self._answer(asked, answer, None)
        else:
            self._send(404, "{}")

    def _answer(self, asked: dict[str, Any], bodies: list[dict[str, Any]], end: str | None) -> None:
        if not asked.get("stream"):
            self._send(200, json.dumps(bodies[0]))
            return
        lines = [
            (f"event: {body['type']}\n" if "type" in body else "") + f"data: {json.dumps(body)}\n\n" for body in bodies
        ]
        self._send(200, "".join(lines) + (f"data: {end}\n\n" if end else ""), "text/event-stream")

    def _send(self, status: int, text: str, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None: ...


def _completion(asked: dict[str, Any], number: int, said: str | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said or TEXT}
    if said is None and asked.get("tools"):
        message = {"role": "assistant", "content": None, "tool_calls": [_call()]}
    elif said is None and asked.get("response_format"):
        message = {"role": "assistant", "content": '{"team": "it"}'}
    if asked["model"] == REFUSES:
        message = {"role": "assistant", "content": None, "refusal": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return _head(number, "chat.completion") | {"choices": [choice], "usage": USAGE}


def _chunks(asked: dict[str, Any], number: int) -> list[dict[str, Any]]:
    if asked.get("tools"):
        pieces = [
            {"tool_calls": [_call("", index=0)]},
            {"tool_calls": [{"index": 0, "function": {"arguments": TOOL["arguments"]}}]},
        ]
    else:
        pieces = [{"refusal" if asked["model"] == REFUSES else "content": word} for word in WORDS]
    head = _head(number, "chat.completion.chunk")
    made = [head | {"choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces]
    made.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        made.append(head | {"choices": [], "usage": USAGE})
    return made


def _response(asked: dict[str, Any], number: int, text: str = TEXT) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    if asked["model"] == REFUSES:
        part = {"type": "refusal", "refusal": text}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    call = {"id": "fc_1", "type": "function_call", "call_id": "c1", "status": "completed", **TOOL}
    usage = {"input_tokens": 11, "output_tokens": 5, "total_tokens": 16}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {
        "id": f"resp_{number}", "object": "response", "created_at": 1_790_000_000, "model": MODEL,
        "status": "completed", "output": [call if asked.get("tools") else message], "usage": usage | details,
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip


def _events(asked: dict[str, Any], number: int) -> list[dict[str, Any]]:
    whole = _response(asked, number)
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    empty = whole | {"output": [], "status": "in_progress", "usage": None}
    item = whole["output"][0] | {"content": []}
    kind, part = "response.output_text.delta", {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    if asked["model"] == REFUSES:
        kind, part = "response.refusal.delta", {"type": "refusal", "refusal": ""}
    made: list[dict[str, Any]] = [{"type": "response.created", "response": empty}]
    made.append({"type": "response.output_item.added", "output_index": 0, "item": item})
    made.append({"type": "response.content_part.added", "part": part, **place})
    made += [{"type": kind, "delta": word, **place} for word in WORDS]
    made.append({"type": "response.completed", "response": whole})
    return [one | {"sequence_number": n} for n, one in enumerate(made)]


def _call(arguments: str = TOOL["arguments"], **more: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": TOOL | {"arguments": arguments}, **more}


def _head(number: int, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{number}", "object": kind, "created": 1_790_000_000, "model": MODEL}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Callable[[dict[str, Any]], str] | None) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", 0), _Handler)
        self._number = 0
        self._lock = threading.Lock()

    def count(self) -> int:
        with self._lock:
            self._number += 1
            return self._number


@contextmanager
def fake_model(answer: Callable[[dict[str, Any]], str] | None = None) -> Iterator[str]:
    """Its address, as base_url has it. answer: what it says to the body of a chat completion, where not as usual"""
    server = _Server(answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
