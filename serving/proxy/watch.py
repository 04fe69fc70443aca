"""What an answer of an upstream says, read beside the client: its text, its tokens, when the first of them came."""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec

from headrace.contract.framing import MARK
from headrace.contract.texts import whole_characters
from headrace.integrations.answers import calls_of, text_of
from serving.engines.server_sent import Lines

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
_MADE = frozenset({"function_call", "custom_tool_call"})
_PENDING = frozenset({"queued", "in_progress"})
_OF_EVENTS = (b"data:", b"event:", b":")
"""How server-sent events begin, and no JSON does."""


@dataclass(slots=True)
class _Call:
    """Of a tool, as far as it has come."""

    id: str
    name: str = ""
    arguments: str = ""


class Watch:
    """Reads an answer as it passes. What it cannot read it passes over: an answer does not fail because it is watched.

    streamed: whether it is server-sent events, by its type or as it begins; otherwise it is one JSON object
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
        self._lines = Lines()
        self._unzip: Any = None
        self._sealed = self._long = self._fed = self._spoke = False
        self._data: list[bytes] = []
        self._data_bytes = self._kept = 0
        self._texts: list[str] = []
        self._calls: list[_Call] = []
        self._open: dict[int, _Call] = {}

    @property
    def first_token_ms(self) -> float | None:
        """Until the first piece of a streamed answer; None where none came."""
        return None if self._first is None else (self._first - self._began) * 1000

    @property
    def latency_ms(self) -> float:
        """From the request, its wait for a place at the upstream included, until now."""
        return (time.perf_counter() - self._began) * 1000

    @property
    def output(self) -> str:
        """The answer's text, or its tool calls as JSON where it has none."""
        return "".join(self._texts) or calls_of((call.name, call.arguments) for call in self._calls)

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
        if chunk and not self._fed:
            # Under text/plain, or no type at all, from some servers: whoever asked for a stream reads it all the same.
            self._fed, self.streamed = True, self.streamed or chunk.removeprefix(MARK).startswith(_OF_EVENTS)
        if self.streamed:
            for line in self._lines.ended_by(chunk):
                self._line(line)
            if len(self._lines.rest) > MAX_BYTES:
                self._lines.rest.clear()
            return
        self._rest += chunk
        if len(self._rest) > MAX_BYTES:
            self._long = True
            del self._rest[:-_TAIL_BYTES]

    def end(self) -> None:
        """All has come."""
        if self._sealed:
            self.whole = True
        elif self.streamed:
            self._line(bytes(self._lines.rest))
            self._dispatch()
            self.failed = self.failed or not self._spoke
            self.left()
        elif self._long:
            self._take(_tokens_at_end(self._rest))
            self.whole = True
        else:
            told = _told(bytes(self._rest).removeprefix(MARK)) or {}
            self._take(told)
            self.failed = self.failed or not self._spoke
            # One that goes on in the background is none yet.
            self.whole = not self.failed and _text(told.get("status")) not in _PENDING

    def left(self) -> None:
        """No more comes. Not every upstream ends a stream with [DONE], nor does every client wait for it."""
        self.whole = not self.failed and (self.whole or bool(self.finish_reason))

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
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data == b"[DONE]":
                self._dispatch()
                self.failed = self.failed or not self._spoke
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
        kind = _text(said.get("type"))
        if said.get("error") or kind in ("error", "response.failed") or said.get("status") == "failed":
            self.failed, self.whole = True, False
        if isinstance(inner := said.get("response"), dict):
            self._spoke = True
            if kind in _ENDS:
                self._end_with(inner)
            else:
                self._head(inner)
            return
        if kind in _CALLS:
            self._came()
            return
        if kind in _TEXTS:
            self._token(said.get("delta"))
            return
        if kind == "response.output_item.done":
            if isinstance(item := said.get("item"), dict) and item.get("type") != "message":
                self._item(item)
            return
        self._answer(said)

    def _answer(self, said: dict[str, Any]) -> None:
        """A chunk, or a whole answer, as far as it is one: it has choices, the output of a response, or vectors."""
        self._head(said)
        choices = _dicts(said.get("choices"))
        self._spoke = self._spoke or bool(choices) or isinstance(said.get("output"), list) or bool(said.get("data"))
        for choice in choices:
            if not choice.get("index"):
                self._choice(choice)
        for item in _dicts(said.get("output")):
            self._item(item)

    def _end_with(self, inner: dict[str, Any]) -> None:
        """The whole response, which some servers leave the output out of: then what its pieces said counts."""
        pieces = self._texts, self._calls
        self._texts, self._calls, self._kept = [], [], 0
        self.whole = True
        self._answer(inner)
        if not self.output:
            self._texts, self._calls = pieces

    def _item(self, item: dict[str, Any]) -> None:
        """One of a response's output."""
        if item.get("type") == "message":
            self._token(text_of(item.get("content")))
        elif _text(item.get("type")) in _MADE:
            said = _written(item.get("arguments") or item.get("input"))
            self._calls.append(_Call("", _text(item.get("name")), self._within(said)))

    def _head(self, said: dict[str, Any]) -> None:
        self.model = _text(said.get("model")) or self.model
        self.response_id = _text(said.get("id")) or self.response_id
        self._usage(said.get("usage"))
        if isinstance(own := said.get("x_groq"), dict):
            self._usage(own.get("usage"))

    def _usage(self, usage: Any) -> None:
        """Tokens so far; what it does not name stays as it was."""
        if isinstance(usage, dict):
            self.tokens_in = _count(usage.get("prompt_tokens") or usage.get("input_tokens")) or self.tokens_in
            self.tokens_out = _count(usage.get("completion_tokens") or usage.get("output_tokens")) or self.tokens_out

    def _choice(self, choice: dict[str, Any]) -> None:
        if choice.get("error"):
            self.failed, self.whole = True, False
        self.finish_reason = _text(choice.get("finish_reason")) or self.finish_reason
        self._usage(choice.get("usage"))  # Moonshot's streams
        self._token(choice.get("text"))
        said = choice.get("delta") or choice.get("message")
        if not isinstance(said, dict):
            return
        audio = said.get("audio")
        spoken = audio.get("transcript") if isinstance(audio, dict) else None
        content = said.get("content") or said.get("refusal") or spoken
        self._token(text_of(content) if isinstance(content, list) else content)
        if isinstance(older := said.get("function_call"), dict):
            self._call(0, {"function": older})
        for place, call in enumerate(_dicts(said.get("tool_calls"))):
            index = call.get("index")
            self._call(index if isinstance(index, int) else place, call)

    def _call(self, index: int, piece: dict[str, Any]) -> None:
        """A piece of a call. Gemini gives all calls of an answer the index 0, others give none: their ids differ."""
        function = piece.get("function") or piece.get("custom")
        function = function if isinstance(function, dict) else {}
        name, call_id = _text(function.get("name")), _text(piece.get("id"))
        made = self._open.get(index)
        if made is None or (name and call_id and made.id and made.id != call_id):
            made = self._open[index] = _Call(call_id)
            self._calls.append(made)
        made.name += self._within(name)
        made.arguments += self._within(_written(function.get("arguments") or function.get("input")))
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
        self._spoke = True
        if self.streamed and self._first is None:
            self._first = time.perf_counter()


def _told(answer: bytes) -> dict[str, Any] | None:
    """The fields of a whole answer that are read, and of others whether they are lists: vectors are megabytes.

    None: it has none
    """
    try:
        fields = _FIELDS.decode(answer)
        return {
            name: msgspec.json.decode(raw) if name in _READ else bytes(memoryview(raw)[:1]) == b"["
            for name, raw in fields.items()
        }
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


def _written(arguments: Any) -> str:
    """As JSON; some servers write an object where OpenAI's API has the text of one."""
    return json.dumps(arguments) if isinstance(arguments, dict) else _text(arguments)


def _count(tokens: Any) -> int:
    return int(min(max(tokens, 0), MAX_COUNT)) if isinstance(tokens, int | float) else 0
