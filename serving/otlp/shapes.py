"""What the names of attributes alone say of a span: worked out once for all spans that have the same ones.

An instrumentation writes the same dozen of attributes into each span, and looking for every name that any dialect has
would cost more than reading the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from serving.otlp.dialects import DIALECTS
from serving.otlp.dialects.conventions import CONVENTIONS
from serving.otlp.dialects.dialect import Dialect

KEPT_SHAPES = 512
MAX_NAMES, MAX_CHARACTERS = 64, 4096
"""Shapes of more names, or of longer ones, are not kept."""

# What the conventions say goes before what a dialect of its own says.
_READ = (CONVENTIONS, *(dialect for dialect in DIALECTS if dialect is not CONVENTIONS))


def _names(field_name: str, dialects: Iterable[Dialect] = _READ) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for dialect in dialects for name in getattr(dialect, field_name)))


CARRIERS = (*_names("carriers"), "metadata.")
# An agent's own properties, which most platforms carry under a prefix of theirs, are the last of sessions and users.
_OWN_SESSIONS = (
    "session_id", "sessionId", "conversation_id", "conversationId", "thread_id", "threadId", "chat_id", "chatId",
)  # fmt: skip
NAMES: dict[str, tuple[str, ...]] = {
    **{
        field: _names(field)
        for field in (
            "request_models", "response_models", "response_ids", "tokens_in", "tokens_out", "costs", "seconds",
            "milliseconds", "agents", "said",
        )
    },
    "questions": _names("questions", _READ[1:]),
    "answers_in": _names("answers_in", _READ[1:]),
    "sessions": (*_names("sessions"), *_OWN_SESSIONS),
    "users": (*_names("users"), "user_id", "userId"),
}  # fmt: skip
"""Names of attributes by what they say, the best first."""
FLAT_QUESTIONS, FLAT_ANSWERS = _names("flat_questions"), _names("flat_answers")
# By one of these a span looks like a model call. What is generic (input.value, events) is none of them.
LOOKS = frozenset(
    {
        name
        for field in ("request_models", "response_models", "tokens_in", "tokens_out", "said")
        for name in NAMES[field]
    }
    | {*CONVENTIONS.questions, *CONVENTIONS.answers_in, "ai.prompt.messages"}
)
# Spans of agents without an operation, and spans that Logfire sends before they have ended.
NO_CALL = frozenset({"all_messages_events", "pydantic_ai.all_messages", "final_result"})
WORDED = tuple(dialect for dialect in DIALECTS if dialect.kind)
_FLAT = tuple(f"{prefix}.0." for prefix in (*FLAT_QUESTIONS, *FLAT_ANSWERS))
_OURS = "headrace."
_PREFIXES = (
    "gen_ai.", "llm.", "ai.", _OURS, "openinference.", "traceloop.", "langsmith.", "mlflow.", "langfuse.",
    "gcp.vertex.", "braintrust.", "cozeloop.",
)  # fmt: skip

_INDEX: dict[str, list[tuple[str, int, str]]] = {}
for _field, _ranked in NAMES.items():
    for _rank, _name in enumerate(_ranked):
        _INDEX.setdefault(_name.partition("/")[0], []).append((_field, _rank, _name))


@dataclass(frozen=True, slots=True)
class Shape:
    """What the names of a span's attributes say.

    known: one of them begins as a dialect's names do; ours: one is `headrace.*`
    no_call: one of NO_CALL is there; looks: one is of LOOKS, or of a flattened message
    worded: the dialects whose word for a span's kind is there
    carried: an agent's own properties, each with the name that it has without its prefix
    names: by what they say, see NAMES; those that are there, the best first
    """

    known: bool
    ours: bool
    no_call: bool
    looks: bool
    worded: tuple[Dialect, ...]
    carried: tuple[tuple[str, str], ...]
    names: Mapping[str, Sequence[str]]


def shape_of(said: Mapping[str, Any]) -> Shape:
    """The shape of these attributes."""
    names = tuple(said)
    kept = len(names) <= MAX_NAMES and sum(map(len, names)) <= MAX_CHARACTERS
    return _kept(names) if kept else _shape(names)


def kept_shapes() -> int:
    """How many shapes are kept."""
    return _kept.cache_info().currsize


def _shape(names: tuple[str, ...]) -> Shape:
    there = frozenset(names)
    return Shape(
        known=any(name.startswith(_PREFIXES) for name in names),
        ours=any(name.startswith(_OURS) for name in names),
        no_call=not NO_CALL.isdisjoint(there),
        looks=not LOOKS.isdisjoint(there) or any(name.startswith(_FLAT) for name in names),
        worded=tuple(dialect for dialect in WORDED if dialect.kind in there),
        carried=tuple(
            (name, name.removeprefix(prefix)) for name in names for prefix in CARRIERS if name.startswith(prefix)
        ),
        names=_present(names),
    )


_kept = lru_cache(maxsize=KEPT_SHAPES)(_shape)


def _present(names: Iterable[str]) -> dict[str, Sequence[str]]:
    ranked: dict[str, list[tuple[int, str]]] = {kind: [] for kind in NAMES}
    for name in names:
        for kind, rank, full in _INDEX.get(name, ()):
            ranked[kind].append((rank, full))
    return {kind: tuple(full for _, full in sorted(found)) for kind, found in ranked.items()}
