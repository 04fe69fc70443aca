"""An answered call of a model as an inference."""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ParamSpec, Protocol
from uuid import UUID

from headrace.contract.events import Inference
from headrace.integrations.about import known

log = logging.getLogger("headrace.integrations")

P = ParamSpec("P")


class Recorder(Protocol):
    """What an integration needs of a client: headrace.client's two, and headrace.testing's."""

    def inference(self, event: Inference | None = None, /, **fields: Any) -> UUID:
        """Record an answer."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Where answers go, and what all of them share.

    fields: of every inference, as task or consent; a call's own `about` counts more
    label_of: the label that an answer's text says, or None
    """

    client: Recorder
    fields: Mapping[str, Any] = field(default_factory=dict)
    label_of: Callable[[str], str | None] | None = None

    def record(self, model: str, output: str, own: Mapping[str, Any], of_call: Mapping[str, Any]) -> None:
        """One answer. own: its fields; of_call: what `about` knew as it began. Raises EventError for a wrong field."""
        fields = {"task": model, "version": model, "output": output, **own, **self.fields, **of_call}
        if self.label_of is not None and (label := self.label_of(output)):
            fields["label"] = label
        self.client.inference(**{name: value for name, value in fields.items() if value not in (None, "")})


@dataclass(slots=True)
class Clock:
    """When a call began, when its first token came, and when its last."""

    began: float = field(default_factory=time.perf_counter)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    first: float | None = None
    known: Mapping[str, Any] = field(default_factory=known)

    def token(self) -> None:
        """One came."""
        if self.first is None:
            self.first = time.perf_counter()

    def fields(self) -> dict[str, Any]:
        """As an inference has them."""
        first = {} if self.first is None else {"first_token_ms": (self.first - self.began) * 1000}
        return {"occurred_at": self.at, "latency_ms": (time.perf_counter() - self.began) * 1000, **first}


def never_fails(work: Callable[P, None]) -> Callable[P, None]:
    """The work, of which an error is logged: a call of a model does not fail because it is observed."""

    @functools.wraps(work)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except Exception as error:
            log.warning("an answer was not recorded: %s: %s", type(error).__name__, error)

    return guarded


def question_in(messages: Any) -> str:
    """The last user's text in OpenAI's messages, or in the input of its responses."""
    if isinstance(messages, str):
        return messages
    for message in reversed(list(messages or ())):
        role = _get(message, "role")
        if role == "user" or (role is None and _get(message, "type") in ("message", None)):
            return text_of(_get(message, "content"))
    return ""


def text_of(content: Any) -> str:
    """The text of a message's content: itself, or its parts' joined by newlines."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Iterable) else ()
    return "\n".join(text for part in parts if isinstance(text := _get(part, "text") or _get(part, "refusal"), str))


def calls_of(tools: Iterable[tuple[Any, Any]]) -> str:
    """Names and arguments of tool calls as JSON, which is the answer where there is no text."""
    made = [{"name": name, "arguments": arguments} for name, arguments in tools if name]
    return json.dumps(made) if made else ""


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
