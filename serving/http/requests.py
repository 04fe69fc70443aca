"""What the bodies of requests may hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from headrace.contract.events import Name, Optional200, Text
from headrace.contract.given_ids import Id7


class Body(BaseModel):
    """Frozen, and a field that nobody knows is refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)


class Asker(Body):
    """Who asks."""

    session_id: Optional200 = ""
    """Requests of one session get the same version during a rollout."""
    user_ref: Optional200 = ""
    """A pseudonym; never a name or an address."""
    consent: bool | None = None
    """Whether the question may train a model: yes where nothing is said, but the incumbent's own answer to it may only
    where this is true."""
    inference_id: Id7 | None = None
    """The answer's id, a UUID of version 7; a retry with the same id is the same event."""


class RouteRequest(Asker):
    """POST /v1/route"""

    text: Text = Field(min_length=1)
    """The question."""
    task: Optional200 = ""
    """A task of the plan; may be left out for `router` and where there is only one."""


class RouteAnswer(Body):
    """What /v1/route answers; feedback about it names the inference_id."""

    inference_id: UUID
    label: str
    scores: dict[str, float]
    version: str
    arm: str
    latency_ms: float


class Part(Body):
    """A piece of a message's content."""

    type: str
    text: Text = ""


class ChatMessage(BaseModel):
    """One message of a conversation. Clients replay answers of other models whole: what they hold is let pass."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    role: Name
    content: Text | list[Part] | None = None
    name: Optional200 = ""

    @property
    def text(self) -> str:
        """The content's text, its parts joined by newlines."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(Body):
    """OpenAI's stream_options."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ChatRequest(Body):
    """POST /v1/chat/completions. The question is the last user message; a router has no use for the rest.

    What shapes generated text is taken, because clients send it unasked, and has no effect on a label.
    """

    model: Name
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: Optional200 = ""
    n: int | None = Field(default=None, ge=1, le=1)
    headrace: Asker | None = None
    metadata: dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
