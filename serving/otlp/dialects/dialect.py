"""What a dialect's table says: which spans are one answer of one model, and which attributes say what about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """What a span is by the word of a dialect."""

    ANSWER = "answer"  # one call of one model
    OTHER = "other"  # known, and no answer: a tool, an agent, an embedding
    AROUND = "around"  # what is around calls: a chain, a workflow; named where it tells a call and has none inside
    UNKNOWN = "unknown"  # a word that no table has


GENERIC = frozenset({"span", "unknown", "task", "undefined", "none", "null", "default", "custom", "generic"})
"""Words by which a platform says nothing of a span."""
NO_ANSWERS = (
    "embed", "tool", "retriev", "rerank", "guardrail", "evaluat", "parser", "prompt", "memory", "agent", "event",
)  # fmt: skip
"""How the words begin that platforms have for what is known to be no answer."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """Names of attributes, the best first. A name may go into a JSON object: `mlflow.chat.tokenUsage/input_tokens`.

    kind: the attribute that says what a span is, and its values, folded:
        answers: an answer; around, others: what is around calls, and anything else
        others_begin: others, where they begin so; rest: what every other value says, but for those of GENERIC
    questions, answers_in: messages of the question and of the answer, see headrace/conversations/messages.py
    said: the text of the answer as it is, whatever it looks like
    flat_questions, flat_answers: prefixes of attributes with a number and a field for each message
    carriers: prefixes under which an agent's own properties come, sessions and users among them
    seconds, milliseconds: until the first token
    """

    name: str
    kind: str = ""
    answers: frozenset[str] = frozenset()
    around: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    others_begin: tuple[str, ...] = ()
    rest: Kind = Kind.UNKNOWN
    request_models: tuple[str, ...] = ()
    response_models: tuple[str, ...] = ()
    response_ids: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    answers_in: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    flat_questions: tuple[str, ...] = ()
    flat_answers: tuple[str, ...] = ()
    tokens_in: tuple[str, ...] = ()
    tokens_out: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    seconds: tuple[str, ...] = ()
    milliseconds: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    carriers: tuple[str, ...] = ()

    def kind_of(self, said: Mapping[str, Any]) -> Kind | None:
        """What the span is by this dialect, None where it does not say."""
        word = said.get(self.kind) if self.kind else None
        if not isinstance(word, str) or not word:
            return None
        folded = word.strip().strip('"').casefold()
        if folded in self.answers:
            return Kind.ANSWER
        if folded in GENERIC:
            return Kind.UNKNOWN
        if folded in self.others or folded.startswith(self.others_begin):
            return Kind.OTHER
        return Kind.AROUND if folded in self.around else self.rest
