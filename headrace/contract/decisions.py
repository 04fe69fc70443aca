"""A choice among labels, as `/v1/decisions` of a headrace gateway is asked for one and answers (docs/gateway.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PATH = "/decisions"
"""Behind an address that ends with /v1."""


class NoDecision(ValueError):
    """The answer is not one of a decision endpoint; the text says why, without the answer."""


@dataclass(frozen=True, slots=True)
class Decided:
    """label: the option that was chosen, empty for none of them; probabilities: of each option, empty for none given"""

    label: str
    probabilities: Mapping[str, float]


def body_of(task: str, text: str, options: Sequence[str]) -> dict[str, Any]:
    """What is asked. task: the endpoint's own name for it"""
    return {"task": task, "text": text, "options": list(options)}


def decided(content: bytes, options: Sequence[str]) -> Decided:
    """What the answer says of these options. Raises NoDecision."""
    try:
        fields = json.loads(content)
        label, said = fields["decision"], fields.get("probabilities") or {}
        probabilities = {option: float(said.get(option, 0.0)) for option in options} if said else {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NoDecision("it is no object with a decision and probabilities") from None
    if label is not None and label not in options:
        raise NoDecision("its decision is none of the options")
    if not all(0 <= probability <= 1 for probability in probabilities.values()):
        raise NoDecision("its probabilities are not numbers between 0 and 1")
    return Decided(label or "", probabilities)
