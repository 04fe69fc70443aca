"""The base as it is, told what the labels are called and stand for; no row is used."""

from __future__ import annotations

from headrace.plan.section import Section
from trainer.tune.method import Given

NEEDS = frozenset[str]()
EFFORT = 0
MAKES = ""


class Keys(Section):
    """None of its own."""


def tune(given: Given, keys: Keys) -> int:
    """See method.Method."""
    return 0
