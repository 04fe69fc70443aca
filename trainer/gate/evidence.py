"""All that the gate looks at, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.evaluate.measure import Price
from trainer.gate.outcomes import Floats, Outcomes


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the chosen candidate showed beside the live version, and beside the reference version where there is one.

    test, forget: outcomes of the test split and of older test rows
    confidence: the candidate's probability of its own answer, one a text of test
    candidate, live: what serving them costs
    names: the plan's labels, their texts by their ids; out_of_scope: the one that means no expert; empty for none
    trained: rows that the candidate was trained on, by label
    shown: how many validation rows and examples of a label it was asked, and how many it had right, by label
    suites: which suite of the plan with a minimum forbids the candidate, in words; empty for none
    number: this is the number-th candidate that meets test rows since the live version won; looks do not count
    """

    test: Outcomes
    forget: Outcomes
    confidence: Floats
    candidate: Price
    live: Price
    names: Mapping[str, str]
    out_of_scope: str
    trained: Mapping[str, int]
    shown: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    number: int = 1
    suites: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """passed, failed, vetoed or undecided, one sentence why, and the figures behind it."""

    gate: str
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)
