"""Successive halving (Jamieson and Talwalkar, 2016): among candidates for one place the worse half ends early.

Candidates compete where they would cost the same to serve: those of one base that follow a gradient. All of a group
train up to the first rung, a share of their epochs; the better half on the validation rows goes on to the next rung,
and the last one to the end. A rung is a checkpoint that training writes anyway, so nothing is trained twice. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2


@dataclass(frozen=True, slots=True)
class Rung:
    """share: of the epochs that are trained when candidates are compared; keep: how many go on"""

    share: float
    keep: int


def rungs(candidates: int) -> list[Rung]:
    """For so many candidates, each rung at twice the share of the one before; none where there is no competition.

    >>> rungs(4)
    [Rung(share=0.25, keep=2), Rung(share=0.5, keep=1)]
    """
    number = ceil(log2(candidates)) if candidates > 1 else 0
    return [Rung(2.0 ** (at - number), ceil(candidates / 2 ** (at + 1))) for at in range(number)]


def better_half(accuracies: Mapping[str, float], keep: int) -> list[str]:
    """Those that go on, in the order in which they are given; of equal ones the earlier, which costs less to try."""
    best = sorted(accuracies, key=lambda name: -accuracies[name])[:keep]
    return [name for name in accuracies if name in best]


def groups(of_base: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Names of the candidates that compete, base by base. of_base: (name, base) in the order of trying"""
    found: dict[str, list[str]] = {}
    for name, base in of_base:
        found.setdefault(base, []).append(name)
    return list(found.values())
