"""The reference version on the test rows: what a cheaper candidate must not be worse than by the margin.

It is the last version that was promoted as better (Served.reference), so that the margins of successive cheaper
promotions do not add up. Where it cannot be scored on these rows any more (its artifact is gone, or it is an upstream
that did not answer them), nothing proves that they do not: then only a candidate that is better may serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.contract.control import Served
from headrace.errors import ArtifactError
from headrace.models.families import load
from trainer.curate.rows import Row
from trainer.evaluate.measure import live_answers
from trainer.gate.evidence import Verdict


@dataclass(frozen=True, slots=True)
class Reference:
    """What the reference version says to rows.

    answers: in the order of the rows; None where it is the live version, or cannot be asked
    unknown: why it cannot be asked, in words; empty where it can
    """

    version: str
    answers: Sequence[str] | None
    unknown: str = ""

    def held_to(self, verdict: Verdict) -> Verdict:
        """The gate's verdict, without a pass that rests on a margin to a reference that nobody can score."""
        if not self.unknown or verdict.gate != "passed" or is_better(verdict):
            return verdict
        reason = f"only a better one may serve while margins might add up: {self.unknown}; although {verdict.reason}"
        return replace(verdict, gate="vetoed", reason=reason)


def is_better(verdict: Verdict) -> bool:
    """Whether the candidate was proven better than the live version."""
    return float(verdict.figures["p_value"]) <= float(verdict.figures["alpha"])


def reference_on(rows: Sequence[Row], live: Served) -> Reference:
    """Ask the live version's reference, or look up what it answered. rows: the test rows"""
    reference = live.own_reference
    if reference.version == live.version:
        return Reference(reference.version, None)
    if all(row.version == reference.version for row in rows):
        return Reference(reference.version, [row.answered for row in rows])
    if not reference.artifact:
        return Reference(
            reference.version, None, f"the reference version {reference.version} did not answer these rows"
        )
    try:
        model = load(Path(reference.artifact), reference.digest)
    except (ArtifactError, OSError) as error:
        return Reference(
            reference.version, None, f"the reference version {reference.version} cannot be loaded: {error}"
        )
    return Reference(reference.version, live_answers(rows, reference.version, model))
