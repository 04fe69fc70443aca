"""Outcomes of models on clustered test rows, with a known truth.

A session has one to four rows. Each row is its session's own draw with probability COPIED, and a draw by itself
otherwise, so that shares are what they are for independent rows and the variance of a mean is DESIGN_EFFECT times that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.gate.outcomes import Floats, Outcomes, Places

DISCORDANT = 0.07
DESIGN_EFFECT = 1.3
SESSIONS = np.array([0.5, 0.25, 0.15, 0.1])
"""Share of the sessions with one, two, three and four audited rows."""
_ROWS = np.arange(1, 5)
COPIED = float(np.sqrt((DESIGN_EFFECT - 1) / ((SESSIONS * _ROWS**2).sum() / (SESSIONS * _ROWS).sum() - 1)))
LABELS = ("hr", "it", "finance", "product", "out_of_scope")
SHARES = (0.25, 0.3, 0.2, 0.15, 0.1)
RIGHT = 0.96


def sessions(random: np.random.Generator, n: int) -> Places:
    """The session of each of n rows, from 0."""
    sizes = random.choice(_ROWS, size=n, p=SESSIONS)
    return np.repeat(np.arange(n), sizes)[:n]


def pair(
    random: np.random.Generator,
    n: int,
    gained: float,
    lost: float,
    live: float = RIGHT,
    labels: Sequence[str] = LABELS,
    shares: Sequence[float] = SHARES,
) -> Outcomes:
    """A candidate and the live version. gained, lost: shares of the rows; live: the live version's accuracy"""
    session = sessions(random, n)
    ends = np.cumsum([gained, lost, live - lost])
    drawn = np.searchsorted(ends, _clustered(random, session, random.random(n) < COPIED), side="right")
    return Outcomes(
        labels=tuple(labels),
        label=random.choice(len(labels), size=n, p=np.asarray(shares)),
        candidate=np.isin(drawn, (0, 2)).astype(float),
        live=np.isin(drawn, (1, 2)).astype(float),
        reference=None,
        weight=np.ones(n),
        cluster=session,
    )


def uneven(random: np.random.Generator, n: int, rows: int) -> Outcomes:
    """As good as the live version: half of the rows are sessions of one row, of which DISCORDANT are gained, the others
    sessions of so many rows, of which as many are lost.
    """
    sizes = random.permutation(np.concatenate((np.ones(n // 2, dtype=np.intp), np.full(n // 2 // rows, rows))))
    session = np.repeat(np.arange(len(sizes)), sizes)
    apart = random.random(len(session)) < DISCORDANT
    single = sizes[session] == 1
    return Outcomes(
        labels=LABELS,
        label=random.choice(len(LABELS), size=len(session), p=np.asarray(SHARES)),
        candidate=(~apart | single).astype(float),
        live=(~apart | ~single).astype(float),
        reference=None,
        weight=np.ones(len(session)),
        cluster=session,
    )


def three(random: np.random.Generator, n: int, candidate: float, live: float, reference: float) -> Outcomes:
    """Three models of these accuracies. At .96 two of them disagree in being right about as often as DISCORDANT."""
    session = sessions(random, n)
    copied = random.random(n) < COPIED
    hard = _clustered(random, session, copied)
    scores = []
    for accuracy in (candidate, live, reference):
        # A twelfth of the rows is ten times as hard as the others.
        wrong = np.where(hard < 1 / 12, 10.0, 1.0) * (1 - accuracy) / (10 / 12 + 11 / 12)
        scores.append((_clustered(random, session, copied) >= wrong).astype(float))
    return Outcomes(
        labels=LABELS,
        label=random.choice(len(LABELS), size=n, p=np.asarray(SHARES)),
        candidate=scores[0],
        live=scores[1],
        reference=scores[2],
        weight=np.ones(n),
        cluster=session,
    )


def _clustered(random: np.random.Generator, session: Places, copied: NDArray[np.bool_]) -> Floats:
    """Uniform on [0, 1), one a row; copied: whether the row has its session's draw"""
    n = len(session)
    alone, together = random.random(n), random.random(n)[session]
    return np.where(copied, together, alone)
