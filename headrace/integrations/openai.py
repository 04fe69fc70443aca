"""The OpenAI client, with and without an event loop.

    client = observed(OpenAI(), headrace, task="helpdesk")
    with about(session_id="conversation-7"):
        completion = client.chat.completions.create(model="gpt-4.1-mini", messages=[…])
    headrace.feedback(response_id=completion.id, source="user", signal="thumb", value=-1)

`observed` returns a copy of the client, of the same type; what it returns and raises is what the client's own would.
Recorded are answers of `chat.completions` (`create`, `parse`, `stream`) and of `responses`, streamed or not, when
they are whole; a stream that is closed before its end has `extra.interrupted`, and before its first piece is none. A
call that fails is no answer. An answer of headrace's own gateway is not recorded again; one taken by
`with_raw_response` or `with_streaming_response` is not seen.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from headrace.integrations.about import about
from headrace.integrations.answers import Clock, Recorder, Recording, calls_of, never_fails, question_in

__all__ = ["about", "observed"]

C = TypeVar("C")


def observed(client: C, headrace: Recorder, *, label_of: Callable[[str], str | None] | None = None, **fields: Any) -> C:
    """The same client, whose answers become inferences.

    client: openai.OpenAI, AsyncOpenAI, or one of their kind, as AzureOpenAI
    headrace: headrace.client.Client or AsyncClient
    label_of: the label that an answer's text says, where the task has labels; `str.strip` where the text is the label
    fields: of every inference, as task= (else the model's name), version=, consent=
    """
    copied: Any = client.copy()  # type: ignore[attr-defined]
    recording = Recording(headrace, fields, label_of)
    for resource, names in ((copied.chat.completions, ("create", "parse")), (copied.responses, ("create", "parse"))):
        for name in names:
            if (method := getattr(resource, name, None)) is not None:
                setattr(resource, name, _watched(method, recording))

    def copy(*args: Any, **kwargs: Any) -> Any:
        return observed(type(client).copy(copied, *args, **kwargs), headrace, label_of=label_of, **fields)  # type: ignore[attr-defined]

    copied.copy = copied.with_options = copy
    made: C = copied
    return made


def _watched(method: Callable[..., Any], recording: Recording) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(inspect.unwrap(method)):

        async def call_later(*args: Any, **kwargs: Any) -> Any:
            asked = _readable_twice(kwargs)
            watch = _Watch(recording, asked)
            return watch.seen(await method(*args, **asked))

        return call_later

    def call(*args: Any, **kwargs: Any) -> Any:
        asked = _readable_twice(kwargs)
        watch = _Watch(recording, asked)
        return watch.seen(method(*args, **asked))

    return call


@dataclass(slots=True)
class _Watch:
    """One call. The texts of a stream are collected as its pieces pass."""

    recording: Recording
    asked: dict[str, Any]
    clock: Clock = field(default_factory=Clock)
    pieces: list[str] = field(default_factory=list)
    tools: dict[int, list[str]] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    pulling: bool = False
    over: bool = False

    def seen(self, answer: Any) -> Any:
        """The answer itself; a stream's pieces are seen as the caller takes them."""
        pieces = getattr(answer, "_iterator", None)
        if isinstance(pieces, AsyncIterator):
            answer._iterator = self._passed_later(pieces)
            self._watch_close(answer.response)
        elif isinstance(pieces, Iterator):
            answer._iterator = self._passed(pieces)
            self._watch_close(answer.response)
        else:
            self._answered(answer)
        return answer

    @never_fails
    def _watch_close(self, response: Any) -> None:
        """A stream and the helpers around it all end in its response's close, also where the caller stops early."""
        close, aclose = response.close, response.aclose

        def closed() -> None:
            close()
            self._left()

        async def closed_later() -> None:
            await aclose()
            self._left()

        response.close, response.aclose = closed, closed_later

    def _left(self) -> None:
        # While a piece is waited for, the client itself closes: whether that is the end is for the loop to say.
        if not self.pulling:
            self._ended(whole=False)

    def _passed(self, pieces: Iterator[Any]) -> Iterator[Any]:
        whole = False
        try:
            self.pulling = True
            for piece in pieces:
                self.pulling = False
                self._piece(piece)
                yield piece
                self.pulling = True
            whole = True
        finally:
            self._ended(whole)

    async def _passed_later(self, pieces: AsyncIterator[Any]) -> AsyncIterator[Any]:
        whole = False
        try:
            self.pulling = True
            async for piece in pieces:
                self.pulling = False
                self._piece(piece)
                yield piece
                self.pulling = True
            whole = True
        finally:
            self._ended(whole)

    @never_fails
    def _answered(self, answer: Any) -> None:
        if getattr(answer, "headrace", None) is not None:
            return
        if (choices := getattr(answer, "choices", None)) is not None:
            message = choices[0].message
            text = message.content or getattr(message, "refusal", None) or ""
            tools = [_called(call) for call in message.tool_calls or ()]
        elif isinstance(text := getattr(answer, "output_text", None), str):
            made = [one for one in answer.output if one.type in ("function_call", "custom_tool_call")]
            tools = [(one.name, one.arguments if one.type == "function_call" else one.input) for one in made]
            # Some servers end a stream without the output: then what its pieces said counts.
            text = text or _refusal(answer.output) or ("" if answer.output else "".join(self.pieces))
        else:
            return  # Raw responses, and what nobody knows yet.
        self._record(answer.model, text or calls_of(tools), answer.id, answer.usage)

    @never_fails
    def _piece(self, piece: Any) -> None:
        if getattr(piece, "headrace", None) is not None:
            self.last["own"] = True
        kind = getattr(piece, "type", None)
        if isinstance(kind, str) and kind.startswith("response."):
            if kind in ("response.output_text.delta", "response.refusal.delta"):
                self.clock.token()
                self.pieces.append(piece.delta)
            elif (response := getattr(piece, "response", None)) is not None:
                self.last |= {"model": response.model, "id": response.id, "usage": response.usage}
                if kind == "response.completed":
                    self.last["whole"] = response
            return
        self.last |= {"model": piece.model, "id": piece.id}
        if piece.usage is not None:
            self.last["usage"] = piece.usage
        for choice in piece.choices:
            if choice.index == 0:
                self._delta(choice.delta)

    def _delta(self, delta: Any) -> None:
        if said := delta.content or getattr(delta, "refusal", None):
            self.clock.token()
            self.pieces.append(said)
        for call in delta.tool_calls or ():
            self.clock.token()
            made = self.tools.setdefault(call.index, ["", ""])
            if call.function is not None:
                made[0] += call.function.name or ""
                made[1] += call.function.arguments or ""

    @never_fails
    def _ended(self, whole: bool) -> None:
        over, self.over = self.over, True
        if over or "id" not in self.last or self.last.get("own"):
            return
        if (response := self.last.get("whole")) is not None:
            self._answered(response)
            return
        text = "".join(self.pieces) or calls_of((name, arguments) for name, arguments in self.tools.values())
        if text or whole:
            extra = None if whole else {"interrupted": True}
            self._record(self.last["model"], text, self.last["id"], self.last.get("usage"), extra)

    def _record(
        self, model: str, output: str, response_id: str, usage: Any, extra: dict[str, Any] | None = None
    ) -> None:
        asked = self.asked
        metadata = asked.get("metadata")
        session = metadata.get("session_id") if isinstance(metadata, dict) else None
        own = {
            "input": question_in(asked.get("messages") or asked.get("input")),
            "response_id": response_id,
            "session_id": session,
            "user_ref": _given(asked.get("safety_identifier")) or _given(asked.get("user")),
            "tokens_in": getattr(usage, "prompt_tokens", None) or getattr(usage, "input_tokens", None),
            "tokens_out": getattr(usage, "completion_tokens", None) or getattr(usage, "output_tokens", None),
            "extra": extra,
        }
        self.recording.record(model, output, {**own, **self.clock.fields()}, self.clock.known)


def _readable_twice(asked: dict[str, Any]) -> dict[str, Any]:
    """The call's arguments, an iterator's messages as a list: the client reads them, and so does the record."""
    once = {
        name: list(asked[name])
        for name in ("messages", "input")
        if isinstance(asked.get(name), Iterable) and not isinstance(asked[name], Sequence | Mapping)
    }
    return asked | once


def _called(call: Any) -> tuple[Any, Any]:
    """The name and the arguments of a chat's tool call; a custom tool takes any text."""
    if (function := getattr(call, "function", None)) is not None:
        return function.name, function.arguments
    custom = getattr(call, "custom", None)
    return getattr(custom, "name", None), getattr(custom, "input", None)


def _refusal(items: Iterable[Any]) -> str:
    """What the messages of a response refuse with, which is no part of its text; "" for nothing."""
    parts = (part for item in items if item.type == "message" for part in item.content)
    return "".join(part.refusal for part in parts if part.type == "refusal")


def _given(value: Any) -> str | None:
    # Left out, it is an object of the client's own.
    return value if isinstance(value, str) else None
