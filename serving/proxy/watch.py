"""What an answer of an upstream says, read beside the client: its text, its tokens, when the first of them came."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from headrace.integrations.answers import calls_of, text_of

MAX_BYTES = 16 << 20
"""Of an answer that is read; more passes all the same."""
MAX_COUNT = 2**31 - 1
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_READ = frozenset({"id", "model", "usage", "choices", "output"})
_TEXTS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_ENDS = frozenset({"response.completed", "response.incomplete"})


class Watch:
    """Reads an answer as it passes. What it cannot read it passes over: an answer does not fail because it is watched.

    streamed: whether it is server-sent events; otherwise it is one JSON object
    whole: its end has been seen
    """

    def __init__(self) -> None:
        self.streamed = self.whole = False
        self.model = self.response_id = self.finish_reason = ""
        self.tokens_in = self.tokens_out = 0
        self._began = time.perf_counter()
        self._first: float | None = None
        self._rest = bytearray()
        self._read = 0
        self._texts: list[str] = []
        self._calls: dict[int, list[str]] = {}

    @property
    def first_token_ms(self) -> float | None:
        """Until the first piece of a streamed answer; None where none came."""
        return None if self._first is None else (self._first - self._began) * 1000

    @property
    def latency_ms(self) -> float:
        """Until now."""
        return (time.perf_counter() - self._began) * 1000

    @property
    def output(self) -> str:
        """The answer's text, or its tool calls as JSON where it has none."""
        return "".join(self._texts) or calls_of((name, arguments) for name, arguments in self._calls.values())

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the answer."""
        self._read += len(chunk)
        if self._read > MAX_BYTES:
            self._rest.clear()
            return
        self._rest += chunk
        if self.streamed and b"\n" in chunk:
            *lines, rest = self._rest.split(b"\n")
            self._rest = bytearray(rest)
            for line in lines:
                if line.startswith(b"data:"):
                    self._event(bytes(line[5:]).strip())

    def end(self) -> None:
        """All has come."""
        if not self.streamed:
            self._take(_told(self._rest))
        # Not every upstream ends a stream with [DONE].
        self.whole = self.whole or not self.streamed or bool(self.finish_reason)

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.whole = True
        elif isinstance(piece := _decoded(data), dict):
            self._take(piece)

    def _take(self, said: Any) -> None:
        """A chunk, an event, or a whole answer."""
        if not isinstance(said, dict):
            return
        if isinstance(inner := said.get("response"), dict):
            if said.get("type") in _ENDS:
                self._texts.clear()
                self.whole = True
                self._take(inner)
            else:
                self._head(inner)
            return
        if said.get("type") in _TEXTS:
            self._token(said.get("delta"))
            return
        self._head(said)
        for choice in _dicts(said.get("choices")):
            if not choice.get("index"):
                self._choice(choice)
        for item in _dicts(said.get("output")):
            if item.get("type") == "message":
                self._token(text_of(item.get("content")))
            elif item.get("type") == "function_call":
                self._calls[len(self._calls)] = [str(item.get("name") or ""), str(item.get("arguments") or "")]

    def _head(self, said: dict[str, Any]) -> None:
        self.model = _text(said.get("model")) or self.model
        self.response_id = _text(said.get("id")) or self.response_id
        if isinstance(usage := said.get("usage"), dict):
            self.tokens_in = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
            self.tokens_out = _count(usage.get("completion_tokens", usage.get("output_tokens")))

    def _choice(self, choice: dict[str, Any]) -> None:
        self.finish_reason = _text(choice.get("finish_reason")) or self.finish_reason
        self._token(choice.get("text"))
        said = choice.get("delta") or choice.get("message")
        if not isinstance(said, dict):
            return
        self._token(said.get("content") or said.get("refusal"))
        for place, call in enumerate(_dicts(said.get("tool_calls"))):
            index = call.get("index")
            made = self._calls.setdefault(index if isinstance(index, int) else place, ["", ""])
            if isinstance(function := call.get("function"), dict):
                made[0] += _text(function.get("name"))
                made[1] += _text(function.get("arguments"))
            self._came()

    def _token(self, text: Any) -> None:
        if text and isinstance(text, str):
            self._texts.append(text)
            self._came()

    def _came(self) -> None:
        if self.streamed and self._first is None:
            self._first = time.perf_counter()


def _told(answer: bytearray) -> dict[str, Any]:
    """The fields of a whole answer that are read; vectors, of which there may be megabytes, are not."""
    try:
        return {name: msgspec.json.decode(raw) for name, raw in _FIELDS.decode(answer).items() if name in _READ}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(tokens: Any) -> int:
    return min(max(tokens, 0), MAX_COUNT) if isinstance(tokens, int) else 0
