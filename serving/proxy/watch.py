"""What an answer of an upstream says, read beside the client: its text, its tokens, when the first of them came."""

from __future__ import annotations

import json
import time
import zlib
from typing import Any

import msgspec

from headrace.contract.texts import whole_characters
from headrace.integrations.answers import calls_of, text_of

MAX_BYTES = 16 << 20
"""Of an answer that are kept; more passes all the same."""
_TAIL_BYTES = 4096
"""Of a longer answer's end, where its tokens stand."""
_ANY_ZLIB = 32 + zlib.MAX_WBITS
MAX_COUNT = 2**31 - 1
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_READ = frozenset({"id", "model", "usage", "choices", "output", "error", "status", "type"})
_TEXTS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_CALLS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_ENDS = frozenset({"response.completed", "response.incomplete"})


class Watch:
    """Reads an answer as it passes. What it cannot read it passes over: an answer does not fail because it is watched.

    streamed: whether it is server-sent events; otherwise it is one JSON object
    whole: its end has been seen
    failed: it says that it is an error, or is no answer of a model
    """

    def __init__(self) -> None:
        self.streamed = self.whole = self.failed = False
        self.model = self.response_id = self.finish_reason = ""
        self.tokens_in = self.tokens_out = 0
        self._began = time.perf_counter()
        self._first: float | None = None
        self._rest = bytearray()
        self._unzip: Any = None
        self._sealed = self._long = False
        self._data: list[bytes] = []
        self._data_bytes = self._kept = 0
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

    def packed(self, encoding: str) -> None:
        """The answer's content-encoding, of an upstream that packs it unasked. What is neither gzip nor zlib passes
        unread."""
        if encoding in ("gzip", "x-gzip", "deflate"):
            self._unzip = zlib.decompressobj(_ANY_ZLIB)
        else:
            self._sealed = encoding not in ("", "identity")

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the answer."""
        if self._unzip is not None and not self._sealed:
            chunk = self._unpacked(chunk)
        if self._sealed:
            return
        self._rest += chunk
        if self.streamed and b"\n" in chunk:
            *lines, rest = self._rest.split(b"\n")
            self._rest = rest
            for line in lines:
                self._line(bytes(line))
        if len(self._rest) > MAX_BYTES:
            self._long = True
            del self._rest[:-_TAIL_BYTES]

    def end(self) -> None:
        """All has come."""
        if self._sealed:
            self.whole = True
        elif self.streamed:
            self._line(bytes(self._rest))
            self._dispatch()
            # Not every upstream ends a stream with [DONE].
            self.whole = not self.failed and (self.whole or bool(self.finish_reason))
        elif self._long:
            self._take(_tokens_at_end(self._rest))
            self.whole = True
        else:
            told = _told(bytes(self._rest))
            self.failed = told is None
            self._take(told)
            self.whole = not self.failed

    def _unpacked(self, chunk: bytes) -> bytes:
        try:
            found: bytes = self._unzip.decompress(chunk, MAX_BYTES)
        except zlib.error:
            self._sealed = True
            return b""
        self._sealed = bool(self._unzip.unconsumed_tail)
        return found

    def _line(self, line: bytes) -> None:
        """One line of a stream. An event's data are its lines of data up to an empty one (HTML, 9.2.6)."""
        line = line.rstrip(b"\r")
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data == b"[DONE]":
                self._dispatch()
                self.whole = not self.failed
            elif self._data_bytes + len(data) <= MAX_BYTES:
                self._data.append(data)
                self._data_bytes += len(data)
        elif not line:
            self._dispatch()

    def _dispatch(self) -> None:
        lines, self._data, self._data_bytes = self._data, [], 0
        if not lines:
            return
        whole = _decoded(lines[0] if len(lines) == 1 else b"\n".join(lines))
        # Some servers leave the empty lines out.
        for piece in [whole] if whole is not None else map(_decoded, lines):
            self._take(piece)

    def _take(self, said: Any) -> None:
        """A chunk, an event, or a whole answer."""
        if not isinstance(said, dict):
            return
        kind = said.get("type")
        if said.get("error") or kind in ("error", "response.failed") or said.get("status") == "failed":
            self.failed, self.whole = True, False
        if isinstance(inner := said.get("response"), dict):
            if kind in _ENDS:
                self._texts.clear()
                self._kept = 0
                self.whole = True
                self._take(inner)
            else:
                self._head(inner)
            return
        if kind in _CALLS:
            self._came()
            return
        if kind in _TEXTS:
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
            self.tokens_in = _count(usage.get("prompt_tokens") or usage.get("input_tokens"))
            self.tokens_out = _count(usage.get("completion_tokens") or usage.get("output_tokens"))

    def _choice(self, choice: dict[str, Any]) -> None:
        if choice.get("error"):
            self.failed, self.whole = True, False
        self.finish_reason = _text(choice.get("finish_reason")) or self.finish_reason
        self._token(choice.get("text"))
        said = choice.get("delta") or choice.get("message")
        if not isinstance(said, dict):
            return
        content = said.get("content") or said.get("refusal")
        self._token(text_of(content) if isinstance(content, list) else content)
        if isinstance(older := said.get("function_call"), dict):
            self._call(0, older)
        for place, call in enumerate(_dicts(said.get("tool_calls"))):
            index = call.get("index")
            self._call(index if isinstance(index, int) else place, call.get("function"))

    def _call(self, index: int, function: Any) -> None:
        made = self._calls.setdefault(index, ["", ""])
        if isinstance(function, dict):
            made[0] += self._within(_text(function.get("name")))
            made[1] += self._within(_text(function.get("arguments")))
        self._came()

    def _token(self, text: Any) -> None:
        if text and isinstance(text, str):
            if kept := self._within(text):
                self._texts.append(kept)
            self._came()

    def _within(self, text: str) -> str:
        """The text, as far as there is room for it."""
        kept = text[: max(0, MAX_BYTES - self._kept)]
        self._kept += len(kept)
        return kept

    def _came(self) -> None:
        if self.streamed and self._first is None:
            self._first = time.perf_counter()


def _told(answer: bytes) -> dict[str, Any] | None:
    """The fields of a whole answer that are read, and not its vectors, of which there are megabytes; None: none."""
    try:
        return {name: msgspec.json.decode(raw) for name, raw in _FIELDS.decode(answer).items() if name in _READ}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _told(whole) if (whole := whole_characters(answer)) != answer else None


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return _decoded(whole) if (whole := whole_characters(data)) != data else None


def _tokens_at_end(answer: bytearray) -> dict[str, Any]:
    """The tokens that the end of an answer names."""
    _, named, rest = answer[-_TAIL_BYTES:].decode(errors="replace").rpartition('"usage"')
    try:
        return {"usage": json.JSONDecoder().raw_decode(rest.lstrip(" \t\r\n:"))[0]} if named else {}
    except (ValueError, RecursionError):
        return {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(tokens: Any) -> int:
    return int(min(max(tokens, 0), MAX_COUNT)) if isinstance(tokens, int | float) else 0
