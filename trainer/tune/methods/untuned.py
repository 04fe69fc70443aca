"""The base as it is, told what the labels are called and stand for; no row is used."""

from __future__ import annotations

from headrace.plan.section import Section
from trainer.tune.method import Given, Tuning

NEEDS = frozenset[str]()
EFFORT = 0


class Keys(Section):
    """None of its own."""


def tune(given: Given, keys: Keys) -> Tuning:
    """See method.Method."""
    return Tuning(given.tunable.kind, 0)
