"""The boundary between the gateway and a model: what is asked, what comes back, what goes wrong.

EngineFailed               no answer
├── UnsupportedRequest     the request asks for what this engine cannot do
├── EngineBusy             the host is full: carries when to come again
└── DeadlinePassed         the request's deadline came first
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from headrace.errors import HeadraceError


class EngineFailed(HeadraceError):
    """No answer: the text says in one sentence what went wrong, for the client and for the log.

    retry_after_s: when to come again; 0 where nobody said
    """

    def __init__(self, message: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnsupportedRequest(EngineFailed):
    """The request asks for what this engine cannot do; another engine may."""


class EngineBusy(EngineFailed):
    """The host is full.

    retry_after_s: when a place is likely to be free
    of_caller: because the caller has its share of the queue
    """

    def __init__(self, message: str, retry_after_s: float, of_caller: bool = False) -> None:
        super().__init__(message, retry_after_s)
        self.of_caller = of_caller


class DeadlinePassed(EngineFailed):
    """The request's deadline came before its answer; nothing of it runs on."""


class Capability(StrEnum):
    """What an engine can do."""

    LABEL_SCORES = "label scores"
    TEXT = "text"
    TOOLS = "tools"
    IMAGES = "images"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for. arguments: JSON text, as the model wrote it"""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    parts: the content as OpenAI's parts, images among them, for an engine that takes these; `content` is their text
    tool_calls: of an assistant's message; tool_call_id: which call a message of the role `tool` answers
    """

    role: str
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    parts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How text is drawn. What is None is left to the engine.

    temperature: 0 takes the likeliest token; stop: the text ends before the first of these
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked.

    stream: deltas as they come; otherwise the final alone
    tools, tool_choice: as OpenAI writes them
    labels: score these and write no text; empty: write text
    deadline: by time.monotonic(); None: none
    caller: whose request it is, for whose turn it is at a full host
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    stream: bool = False
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    labels: tuple[str, ...] = ()
    deadline: float | None = None
    caller: str = ""


@dataclass(frozen=True, slots=True)
class ToolPiece:
    """A piece of a tool call. index: of which one; the pieces of its arguments add up"""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer."""

    text: str = ""
    tool_calls: tuple[ToolPiece, ...] = ()


@dataclass(frozen=True, slots=True)
class Final:
    """The whole answer.

    text: what the deltas add up to
    finish_reason: stop, length, tool_calls, or what an upstream says besides
    scores: label to probability, in the order of the request's labels; empty where none were asked for
    chosen: the label, of an engine that chooses itself, with scores or not; empty: none of them; None: the likeliest
    first_token_ms: until the first token, milliseconds; the whole time where the answer did not stream
    cost: US dollars
    extra: what an event says of it besides, by name: the tier of a chain that answered
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    scores: Mapping[str, float] = field(default_factory=dict)
    chosen: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    first_token_ms: float = 0.0
    cost: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model classified a text as.

    label: the class chosen; empty where the model named none of the task's
    output: the model's own text, where it writes one
    scores: label to probability; empty where the model gives none
    first_token_ms, extra: see Final; cost: US dollars
    recognised: False where the model named no label of the task
    """

    label: str
    first_token_ms: float
    output: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    recognised: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """The fields of an Inference that a model fills in."""
        return {
            "label": self.label,
            "output": self.output,
            "scores": dict(self.scores),
            "first_token_ms": self.first_token_ms,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost": self.cost,
        }


class Engine(Protocol):
    """One model, able to answer.

    capabilities: what it can do; a request for anything else raises UnsupportedRequest
    labels: the only ones that it can score; empty: any
    """

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        """Deltas, then exactly one Final. Raises EngineFailed.

        Closing the generator, or cancelling the task that reads it, ends the work: close it (contextlib.aclosing)
        where it is not read to its end.
        """
        ...

    async def close(self) -> None:
        """Give back memory and connections; what is still in flight raises EngineFailed. Called once."""


def question_of(messages: tuple[Message, ...]) -> str:
    """The last user message, which is what a model that scores labels reads. Raises EngineFailed."""
    for message in reversed(messages):
        if message.role == "user":
            return message.content
    raise EngineFailed("the request has no user message, which is the question")


async def final_of(engine: Engine, request: Request) -> Final:
    """The whole answer, without its deltas. Raises EngineFailed."""
    found: Final | None = None
    async for item in engine.run(request):
        if isinstance(item, Final):
            found = item
    if found is None:
        raise EngineFailed("the engine ended without an answer")
    return found
