"""Drift detectors. A new one is a file here that satisfies `detector.Detector`, and its name in the plan.

detector            what a detector is
shiryaev_roberts    the hard trigger: a Shiryaev-Roberts mixture on the errors of the base audit
label_proportions   two-window proportions: the share of wrong answers among the newest base-audit labels
soft                what the detectors without labels share
estimated_accuracy  accuracy without labels
confidence_ks       confidence: the distribution of the greatest score, against its reference
confidence_shift    mean confidence and entropy: the means of the greatest score and of the entropy of all scores
label_psi           label shift: the population stability index of the labels that the live version gives
out_of_vocabulary   new words: how many questions have a word that the reference does not know
embedding_centroid  meaning: where the questions of a window lie on average, against the reference
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from headrace.errors import PlanError
from headrace.plan import Plan
from streams.detectors.detector import Detector, Reading, View

__all__ = ["Detector", "Reading", "View", "check", "detectors", "names"]


def names() -> list[str]:
    """The detectors there are: files of this folder with a MAKE, which makes one."""
    return sorted(found.name for found in iter_modules(__path__) if hasattr(_module(found.name), "MAKE"))


def check(plan: Plan) -> None:
    """Raises PlanError where a task names a detector that is not there."""
    for task in plan.tasks.values():
        detectors(task.triggers.detectors)


def detectors(wanted: Sequence[str]) -> tuple[Detector, ...]:
    """Those that a plan names, in its order. Raises PlanError."""
    known = names()
    for name in wanted:
        if name not in known:
            raise PlanError(f"there is no detector {name!r}; triggers.detectors may name {', '.join(known)}")
    return tuple(_module(name).MAKE() for name in wanted)


def _module(name: str) -> Any:
    return import_module(f"streams.detectors.{name}")
