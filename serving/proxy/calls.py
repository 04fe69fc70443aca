"""What a client asks of a model by OpenAI's API, read no further than the gateway has to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from headrace.contract.framing import MARK
from headrace.contract.texts import whole_characters
from headrace.integrations.answers import question_in

OWN = "headrace"
"""The field that is the gateway's alone, and that no upstream knows."""
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Endpoint(StrEnum):
    """The paths that models answer at, behind /v1."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"


class NoCall(ValueError):
    """The body is no JSON object, or names no model. param: the field at fault, empty for the whole"""

    def __init__(self, text: str, param: str = "") -> None:
        super().__init__(text)
        self.param = param


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    fields: the body's, each as it was sent, but for halves of surrogate pairs
    question: the text that is asked: the last user's, the prompt, what is embedded
    """

    endpoint: Endpoint
    model: str
    body: bytes
    fields: Mapping[str, msgspec.Raw]
    question: str

    @classmethod
    def read(cls, body: bytes, endpoint: Endpoint) -> Call:
        """Raises NoCall. A byte order mark before the body is no part of it (RFC 8259, 8.1)."""
        body = body.removeprefix(MARK)
        fields = _fields(body)
        try:
            model = msgspec.json.decode(fields["model"], type=str)
        except KeyError:
            raise NoCall("model: the field is missing", "model") from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise NoCall("model: it is the name of a model, as text", "model") from None
        # A large body is read in its key's turn, and not where its answer ends.
        asked_in, read = _ASKED[endpoint]
        return cls(endpoint, model, body, fields, read(_said(fields, asked_in)))

    def said(self, name: str) -> Any:
        """A field's value; None where it is not there, or cannot be read."""
        return _said(self.fields, name)

    def sent_as(self, model: str) -> bytes:
        """The body for an upstream that calls the model so: other fields keep their bytes."""
        if model == self.model and OWN not in self.fields:
            return self.body
        fields = {name: bytes(raw) for name, raw in self.fields.items() if name != OWN}
        fields["model"] = msgspec.json.encode(model)
        return b"{" + b",".join(msgspec.json.encode(name) + b":" + raw for name, raw in fields.items()) + b"}"


def _said(fields: Mapping[str, msgspec.Raw], name: str) -> Any:
    raw = fields.get(name)
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _FIELDS.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        if (whole := whole_characters(body)) != body:
            return _fields(whole)
        raise NoCall(f"the body is no JSON object: {error}") from None


def _last(messages: Any) -> str:
    if isinstance(messages, list):
        return question_in([message for message in messages if isinstance(message, dict)])
    return messages if isinstance(messages, str) else ""


def _joined(texts: Any) -> str:
    if isinstance(texts, list):
        return "\n".join(text for text in texts if isinstance(text, str))
    return texts if isinstance(texts, str) else ""


_ASKED: dict[Endpoint, tuple[str, Callable[[Any], str]]] = {
    Endpoint.CHAT: ("messages", _last),
    Endpoint.RESPONSES: ("input", _last),
    Endpoint.COMPLETIONS: ("prompt", _joined),
    Endpoint.EMBEDDINGS: ("input", _joined),
}
