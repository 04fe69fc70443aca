"""The boundary between the gateway and a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from headrace.contract.events import MAX_TEXT
from headrace.errors import HeadraceError


class EngineFailed(HeadraceError):
    """No answer: the text says in one sentence what went wrong, for the client and for the log."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said.

    label: the class chosen; output: the model's own text, where it writes one
    scores: label to probability; empty where the model gives none
    first_token_ms: until the first token, milliseconds; the whole time where the model does not stream
    cost: US dollars
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

    def fields(self) -> dict[str, Any]:
        """The fields of an Inference that a model fills in."""
        return {
            "label": self.label,
            "output": self.output[:MAX_TEXT],
            "scores": dict(self.scores),
            "first_token_ms": self.first_token_ms,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost": self.cost,
        }


class Engine(Protocol):
    """One model version, able to answer."""

    async def answer(self, text: str) -> Answer:
        """Answer one question. Raises EngineFailed."""

    async def close(self) -> None:
        """Give back memory and connections; called once, with nothing in flight."""
