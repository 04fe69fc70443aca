"""What the bodies of requests may hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

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


class DecisionRequest(Asker):
    """POST /v1/decisions"""

    task: Optional200 = ""
    """A task of the plan; may be left out for `router` and where there is only one."""
    text: Text = Field(min_length=1)
    """What is decided about."""
    options: list[Name] | None = Field(default=None, min_length=1, max_length=1000)
    """The labels to choose from, by their texts or ids; left out: all of the task's but the one for out of scope."""


class Decision(Body):
    """What /v1/decisions answers; feedback about it names the inference_id."""

    inference_id: UUID
    decision: str | None
    """The option that was chosen, by its id; null where none of them is."""
    none_of_these: bool
    probabilities: dict[str, float]
    """Of each option, by its id, calibrated on validation rows; empty where the version gives none."""
    none_probability: float | None
    """Of everything else; null where the version gives no probabilities."""
    version: str
    arm: str
    latency_ms: float


class Lenient(BaseModel):
    """A body of OpenAI's API: what the gateway has no use for is let pass, as null is where a field may be left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True, hide_input_in_errors=True)


class ChatMessage(Lenient):
    """One message of a conversation. Clients replay answers of other models whole: what they hold is let pass."""

    role: Name
    content: Any = None
    """Text, or a list of parts, of which those of type text count."""

    @field_validator("content")
    @classmethod
    def _readable(cls, content: Any) -> Any:
        return _text_or_parts(content)

    @property
    def text(self) -> str:
        """The content's text, its parts joined by newlines."""
        return text_in(self.content)


class StreamOptions(Lenient):
    """OpenAI's stream_options."""

    include_usage: bool | None = None


class ModelRequest(Lenient):
    """What the bodies of OpenAI's API share."""

    model: Name
    """A task of the plan, or a model of an upstream that the plan names."""
    stream: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    headrace: Asker | None = None
    """Who asks; the same may come in headers or, but for the id, in `metadata`."""
    metadata: dict[str, Any] | None = None


class ChatRequest(ModelRequest):
    """POST /v1/chat/completions. Where the model is a task, the question is the last user message with text.

    What shapes generated text is taken, because clients send it unasked, and has no effect on a label.
    """

    messages: list[ChatMessage] = Field(min_length=1)
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, ge=1, le=128)
    """So many choices; of a task all of them say the same label."""
    response_format: dict[str, Any] | None = None
    """Where the model is a task: text, json_object, or a json_schema of an object with one property for the label."""
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    """Where the model is a task: a function that has to be called is called with the label."""
    functions: list[dict[str, Any]] | None = None
    function_call: Any = None
    """The older form of tools and tool_choice."""


class CompletionRequest(ModelRequest):
    """POST /v1/completions. Where the model is a task, the prompt is the question."""

    prompt: Any = None
    """Text; where the model is a task one text, and no tokens."""
    n: int | None = Field(default=None, ge=1, le=128)
    stream_options: StreamOptions | None = None


class ResponsesRequest(ModelRequest):
    """POST /v1/responses. Where the model is a task, the question is the last user message with text."""

    input: Any = None
    """Text, or a list of items."""
    text: dict[str, Any] | None = None
    """Its `format` as response_format of chat completions."""
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None


class EmbeddingsRequest(ModelRequest):
    """POST /v1/embeddings, for a model of an upstream."""

    input: Any = None


def text_in(content: Any) -> str:
    """The text of a message's content, its parts joined by newlines."""
    if isinstance(content, list):
        return "\n".join(text for part in content if (text := _text_of(part)))
    return content if isinstance(content, str) else ""


def images_in(content: Any) -> tuple[dict[str, Any], ...]:
    """The parts of a message's content, as those of chat completions, where images are among them; else none."""
    parts = [_of_chat(part) for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return tuple(parts) if any(part.get("type") == "image_url" for part in parts) else ()


def _of_chat(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") == "input_image":
        shown = {"url": part.get("image_url"), "detail": part.get("detail")}
        return {"type": "image_url", "image_url": {name: value for name, value in shown.items() if value}}
    return {"type": "text", "text": _text_of(part)} if part.get("type") == "input_text" else part


def _text_of(part: Any) -> str:
    if isinstance(part, str):
        return part
    # A file or an image may bear a text, too, which is not the user's.
    known = isinstance(part, dict) and part.get("type") in ("text", "input_text", "output_text")
    text = part.get("text") if known else None
    return text if isinstance(text, str) else ""


def _text_or_parts(content: Any) -> Any:
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict | str) for part in content):
        return content
    raise PydanticCustomError("content", "Input should be text or a list of parts")
