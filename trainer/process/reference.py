"""The reference version on the test rows: what a cheaper candidate must not be worse than by the margin.

It is the last version that was promoted as better (Served.reference), so that the margins of successive cheaper
promotions do not add up. A published one is loaded, and the plan's incumbent is asked what it did not answer itself.
Where neither is possible (the artifact is gone, the incumbent does not answer or is not in the plan any more), nothing
proves that margins do not add up: then only a candidate that is better may serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.contract.control import Served
from headrace.errors import ArtifactError
from headrace.judging.endpoint import Unanswered
from headrace.models.families import load
from headrace.plan import Task
from trainer.curate.rows import Row
from trainer.evaluate.measure import live_answers, recorded_or_asked
from trainer.evaluate.upstream import WITHIN_S, asked
from trainer.gate.evidence import Verdict
from trainer.process.incumbent import attached, incumbent_of


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


def replaces(verdict: Verdict) -> bool:
    """Whether the winner becomes the reference: proven better than the live version, and not below the reference.

    A live version may have lost up to the margin since; what is better than it and below the reference has not won it
    back, and the next margins would count from there.
    """
    return is_better(verdict) and float(verdict.figures.get("reference", {}).get("difference", 0.0)) >= 0


def reference_on(rows: Sequence[Row], live: Served, task: Task, within_s: float = WITHIN_S) -> Reference:
    """Ask the live version's reference, or look up what it answered.

    rows: the test rows; within_s: how long an incumbent that is asked may take
    """
    reference = live.own_reference
    version = reference.version
    if version == live.version:
        return Reference(version, None)
    try:
        if reference.artifact:
            model = load(Path(reference.artifact), reference.digest)
            model = attached(model, incumbent_of(task, rows, within_s=within_s))
            return Reference(version, live_answers(rows, version, model))
        said = recorded_or_asked(rows, version, lambda missing: _of_incumbent(version, missing, task, within_s))
    except (ArtifactError, OSError) as error:
        return Reference(version, None, f"the reference version {version} cannot be loaded: {error}")
    except Unanswered as error:
        return Reference(version, None, f"the reference version {version} cannot be asked: {error}")
    return Reference(version, said)


def _of_incumbent(version: str, rows: Sequence[Row], task: Task, within_s: float) -> list[str]:
    """Raises Unanswered."""
    if not rows:
        return []
    if task.incumbent.version != version:
        raise Unanswered(f"it is not the plan's incumbent, {task.incumbent.version}, and did not answer these rows")
    return asked(task.incumbent, task, [row.text for row in rows], within_s)
