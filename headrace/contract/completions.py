"""Chat completions of any model: what it says apart from what it thinks, and the parameters that it takes.

A model that reasons writes its thoughts before its answer (`<think>…</think>`), counts them among the tokens that it
may write, and refuses parameters that others need: OpenAI's take `max_completion_tokens` for `max_tokens`, and no
`temperature`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

CUT = "length"
"""The finish_reason of an answer that would have been longer."""
FAILED = "error"
"""That of an answer that is none."""
THINKING_TOKENS = 8192
"""What a model that reasons may write besides its answer."""
_OPENS = re.compile(
    r"\s*(<(think|thinking|thought|reasoning|seed:think)>|\[THINK\]|◁think▷|<\|channel\|>\s*analysis)", re.IGNORECASE
)
_CLOSES = re.compile(
    r"(</(think|thinking|thought|reasoning|seed:think)>|\[/THINK\]|◁/think▷|<\|channel\|>\s*final\s*<\|message\|>)",
    re.IGNORECASE,
)
"""Marks of thoughts: of DeepSeek and Qwen, Seed, Magistral, Kimi, and gpt-oss where its server leaves them in."""
_BEFORE = re.compile(r"(\s*<\|\w+\|>)+")
_BEHIND = re.compile(r"\s*(<\|\w+\|>|</s>|<end_of_turn>|<eos>)\s*\Z")
"""Control tokens around an answer, which some servers leave in its text."""
_MARK_CHARS = 64
"""Of the end of a text, in which the last of them is looked for."""
_LEFT_OUT = ("temperature", "top_p", "seed", "stop")


def answer_in(text: str) -> str | None:
    """What follows a model's thoughts, or all of it where there are none; None where they do not end.

    Templates may have written the mark that opens them, so that only its end is in the text. Control tokens before and
    behind the answer are no part of it.
    """
    closed = list(_CLOSES.finditer(text))
    if closed:
        return _bare(text[closed[-1].end() :]).strip()
    return None if _OPENS.match(text) else _bare(text)


def _bare(text: str) -> str:
    """Without control tokens around it; one after another, since a model that fails may repeat one for thousands."""
    before = _BEFORE.match(text)
    begin, end = before.end() if before else 0, len(text)
    while found := _BEHIND.search(text, max(begin, end - _MARK_CHARS), end):
        end = found.start()
    return text[begin:end]


def error_in(answer: Any) -> Any:
    """What an answer of status 200 says of a failure: its own error, or its choice's (OpenRouter's); None for none."""
    if not isinstance(answer, dict):
        return None
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    return answer.get("error") or choice.get("error") or (choice.get("finish_reason") == FAILED and FAILED) or None


def text_of(content: Any) -> str | None:
    """The text of a message's `content`: itself, or its parts of type text, beside which Magistral gives its thoughts.

    None where it is neither.
    """
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return None
    return "".join(part["text"] for part in content if part.get("type") == "text" and isinstance(part.get("text"), str))


class Manners:
    """What one model has been found to refuse or to need; it is asked so from then on."""

    def __init__(self) -> None:
        self._left_out: set[str] = set()
        self._renamed = False
        self._thinks = False

    def body(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The body of a question as this model takes it."""
        asked = {name: value for name, value in fields.items() if name not in self._left_out}
        if self._thinks and asked.get("max_tokens") is not None:
            asked["max_tokens"] += THINKING_TOKENS
        if self._renamed and "max_tokens" in asked:
            asked["max_completion_tokens"] = asked.pop("max_tokens")
        return asked

    def refused(self, fields: Mapping[str, Any], sent: Mapping[str, Any], error: bytes) -> bool:
        """Whether the question may be asked once more, in another form.

        sent: the body that was refused; error: the answer's body, of status 400 or 422
        """
        name = _refused_in(sent, error)
        if name == "max_tokens":
            self._renamed = self._thinks = True
        elif name:
            self._left_out.add(name)
        return self.body(fields) != sent

    def cut_in_thought(self, fields: Mapping[str, Any], sent: Mapping[str, Any], text: str, finish_reason: str) -> bool:
        """The same of an answer that ended at its bound before the model had said anything.

        text: the answer's `content`
        """
        if finish_reason != CUT or answer_in(text):
            return False
        self._thinks = True
        return self.body(fields) != sent


def _refused_in(sent: Mapping[str, Any], error: bytes) -> str:
    """The field that an error is about, where it can be another one or left out; empty for none."""
    param, message = _said_of(error)
    names = [name for name in ("max_tokens", *_LEFT_OUT) if sent.get(name) is not None]
    if param in names:
        return str(param)
    # Some say it in words alone: Unsupported parameter: 'max_tokens' is not supported with this model.
    quoted = re.findall(r"[\"'`](\w+)[\"'`]", message) if isinstance(message, str) and not param else []
    return next((name for name in quoted if name in names), "")


def _said_of(error: bytes) -> tuple[Any, Any]:
    """The field and the sentence of an error, in OpenAI's form and in others'."""
    try:
        said = json.loads(error)
    except (ValueError, RecursionError):
        return None, None
    if isinstance(said, list) and said:  # Gemini's
        said = said[0]
    if not isinstance(said, dict):
        return None, None
    if isinstance(detail := said.get("detail"), list):  # Mistral's, as FastAPI has it: a list of fields
        first = detail[0] if detail and isinstance(detail[0], dict) else {}
        place = first.get("loc")
        return (place[-1] if isinstance(place, list) and place else None), first.get("msg")
    # vLLM's earlier releases leave the object around it out.
    inner = said.get("error", said)
    return (inner.get("param"), inner.get("message")) if isinstance(inner, dict) else (None, inner)
