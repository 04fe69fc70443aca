"""What the gate said of an attempt without a winner: a part of the job's result that the next attempt waits by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError

from headrace.contract.events import Record
from headrace.plan import Task
from headrace.plan.methods import OF_ALL_METHODS, filled


class Verdict(Record):
    """Part of a job's result, whose schema_version is the job's; it keeps unknown fields as the job does.

    gate: failed (not proven on the test rows, and more of them would not help), vetoed (proven, but something forbids
        it) or undecided (more test rows may prove it)
    rows, difference, p_value: blind test rows, the candidate's accuracy less the live version's on them, and the p of
        "it is better" (trainer/gate/proof.py)
    labels: blind audit labels since the trigger's test_from, when the test rows were drawn from them
    needs_labels: how many of these it takes until an undecided candidate would probably pass, or until another one is
        worth a share of alpha of its own; 0 after a veto: no number of them (older trainers)
    candidates: the plan's, as they were
    """

    model_config = ConfigDict(extra="allow")

    gate: Literal["failed", "vetoed", "undecided"]
    rows: int = 0
    difference: float = 0.0
    p_value: float = 1.0
    labels: int = 0
    needs_labels: int = 0
    candidates: list[dict[str, Any]] = Field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Self | None:
        """From JSON; None for an empty text, and for one that this version cannot read."""
        try:
            return cls.model_validate_json(text) if text else None
        except ValidationError:
            return None

    def has_new_candidate(self, task: Task) -> bool:
        """Whether the plan has a candidate now, whatever it is called, that it did not have then."""
        thens = [_told(then) for then in self.candidates]
        return any(not any(then.items() <= now.items() for then in thens) for now in map(_told, specs(task)))


def _told(candidate: Mapping[str, Any]) -> dict[str, Any]:
    """A candidate to be compared: with its method's defaults, and as an older version said it alike."""
    keys = candidate.get("keys", {key: candidate[key] for key in OF_ALL_METHODS if key in candidate})
    rest = {key: value for key, value in candidate.items() if key not in OF_ALL_METHODS}
    return rest | {"keys": filled(str(candidate.get("method")), keys)}


def specs(task: Task) -> list[dict[str, Any]]:
    """The plan's candidates as plain values, in the order of the plan; a method's own keys are one of them."""
    return [
        spec.model_dump(mode="json", exclude=set(spec.options)) | {"keys": spec.options}
        for spec in task.candidates.values()
    ]
