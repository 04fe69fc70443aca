"""The cases of `make bench-gate`: what happens in a trial, and how often it may or must. Each trial calls decide()."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from benchmarks.gating import worlds
from headrace.plan import Gate
from trainer.curate.rows import Row
from trainer.evaluate.measure import Price
from trainer.gate.decision import decide
from trainer.gate.evidence import Evidence, Verdict
from trainer.gate.outcomes import Outcomes, outcomes

ROWS = 1000
CANDIDATES = 10
FEW_LABELS = 200
MANY_LABELS = 10_000
CHAIN_ROWS, LITTLE = 2000, 0.006
SAME, CHEAP = Price(1.0, 100.0), Price(0.5, 50.0)
GATE = Gate()
NONE = Outcomes(worlds.LABELS, *(np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0)), None, np.zeros(0),
                np.zeros(0, dtype=np.intp))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """trial: whether what is counted happened; goal: its share at most or at least; None: a comparison"""

    name: str
    trial: Callable[[np.random.Generator], bool]
    goal: float | None
    at_most: bool = True

    def met(self, share: float) -> bool:
        """Whether the share of trials is within the goal."""
        return self.goal is None or (share <= self.goal if self.at_most else share >= self.goal)

    @property
    def asked(self) -> str:
        """The goal in words."""
        return "" if self.goal is None else f"{'at most' if self.at_most else 'at least'} {self.goal:g}"


def judged(
    test: Outcomes, candidate: Price, number: int = 1, shown: Mapping[str, tuple[int, float]] | None = None
) -> Verdict:
    """The gate's verdict on a candidate that is calibrated, and forgot nothing."""
    known = dict.fromkeys(test.labels, (10, 10.0)) if shown is None else shown
    return decide(
        Evidence(
            test=test,
            forget=NONE,
            confidence=np.full(test.n, test.candidate.mean()),
            candidate=candidate,
            live=SAME,
            names={label: label for label in test.labels},
            out_of_scope="out_of_scope",
            trained=Counter(test.labels),
            shown=known,
            number=number,
        ),
        GATE,
    )


def _promoted(random: np.random.Generator, difference: float, price: Price) -> bool:
    """Whether one of ten candidates in turn is; each is looked at at every number of rows up to ROWS."""
    gained, lost = _shares(difference)
    return any(
        judged(worlds.pair(random, ROWS, gained, lost), price, number).gate == "passed"
        for number in range(1, CANDIDATES + 1)
    )


def equal(random: np.random.Generator) -> bool:
    """Ten candidates as good as the live version, and as dear."""
    return _promoted(random, 0.0, SAME)


def worse(random: np.random.Generator) -> bool:
    """Ten candidates worse by the margin, and cheaper."""
    return _promoted(random, -GATE.margin, CHEAP)


def heavy_sessions(random: np.random.Generator) -> bool:
    """Ten candidates as good as the live version, and as dear, that gain single rows and lose sessions of ten."""
    return any(
        judged(worlds.uneven(random, ROWS, 10), SAME, number).gate == "passed" for number in range(1, CANDIDATES + 1)
    )


def cheaper(random: np.random.Generator) -> bool:
    """The first candidate is as good and cheaper, and passes at the first look."""
    return judged(worlds.pair(random, ROWS, *_shares(0.0)), CHEAP).gate == "passed"


def recovery(random: np.random.Generator) -> bool:
    """From .80 to .96: 18 gained and 2 lost of a hundred."""
    return judged(worlds.pair(random, FEW_LABELS, 0.18, 0.02, 0.80), SAME).gate == "passed"


def half_worse(random: np.random.Generator) -> bool:
    """The first candidate is worse by half of the margin and cheaper."""
    return judged(worlds.pair(random, MANY_LABELS, *_shares(-GATE.margin / 2)), CHEAP).gate == "passed"


def little(random: np.random.Generator) -> bool:
    """A candidate that is better by one answer in a hundred: 3 gained and 2 lost."""
    return judged(worlds.pair(random, 2 * MANY_LABELS, 0.03, 0.02), SAME).gate == "passed"


def chain(random: np.random.Generator, with_reference: bool = True) -> bool:
    """Ten candidates that are cheaper by half and each a little worse than the one before are promoted or refused: is
    what serves in the end worse by more than the margin?
    """
    live, number = worlds.RIGHT, 1
    for _ in range(CANDIDATES):
        test = worlds.three(random, CHAIN_ROWS, live - LITTLE, live, worlds.RIGHT)
        verdict = judged(test if with_reference else replace(test, reference=None), CHEAP, number)
        live, number = (live - LITTLE, 1) if verdict.gate == "passed" else (live, number + 1)
    return worlds.RIGHT - live > GATE.margin + 1e-9


def chain_alone(random: np.random.Generator) -> bool:
    """The same where no candidate is compared with the reference version."""
    return chain(random, with_reference=False)


def label_lost(random: np.random.Generator) -> bool:
    """A rare label disappears: the candidate never answers it but for luck, and is better otherwise. None to some ten
    of its rows are in the test, and half of the time the plan has three examples.
    """
    rare = random.choice([0.0005, 0.002, 0.005, 0.01])
    labels, shares = (*worlds.LABELS, "rare"), [*(share * (1 - rare) for share in worlds.SHARES), rare]
    test = worlds.pair(random, ROWS, 0.06, 0.01, 0.90, labels, shares)
    lucky = random.random(test.n) < 0.02
    test = replace(test, candidate=np.where(test.label == labels.index("rare"), lucky, test.candidate).astype(float))
    shown = dict.fromkeys(worlds.LABELS, (10, 10.0))
    if random.random() < 0.5:
        shown["rare"] = (3, float((random.random(3) < 0.02).sum()))
    return judged(test, CHEAP, 1, shown).gate == "passed"


def repeated(random: np.random.Generator) -> bool:
    """Twelve copies of one question that the candidate gained, among independent rows: do they change the verdict?"""
    n = int(random.integers(60, 300))
    drawn = worlds.pair(random, n, 0.10, 0.02, 0.85)
    gains = np.flatnonzero(drawn.candidate > drawn.live)
    copied = [*range(n), *([int(gains[0])] * 11 if len(gains) else [])]
    rows = [_row(index, place, drawn) for index, place in enumerate(copied)]
    once, more = (
        judged(
            outcomes(
                some, worlds.LABELS, [drawn.candidate[place] for place in places], [drawn.live[p] for p in places]
            ),
            SAME,
        )
        for some, places in ((rows[:n], copied[:n]), (rows, copied))
        for p in [0]
    )
    return (once.gate, once.reason) != (more.gate, more.reason)


def _row(index: int, place: int, drawn: Outcomes) -> Row:
    said = UUID(int=index)
    return Row(
        "test", "default", said, said, datetime.fromtimestamp(index, UTC), str(place), str(place),
        drawn.labels[drawn.label[place]], "audit", 4, "", "", 1.0, str(place),
    )  # fmt: skip


def _shares(difference: float) -> tuple[float, float]:
    return (worlds.DISCORDANT + difference) / 2, (worlds.DISCORDANT - difference) / 2


CASES = (
    Case("equal and not cheaper, promoted in ten candidates", equal, 0.05),
    Case("worse by the margin and cheaper, promoted in ten candidates", worse, 0.05),
    Case("equal, gains in single rows and losses in sessions of ten, promoted in ten candidates", heavy_sessions, 0.05),
    Case("equal and cheaper, promoted at the first look at 1,000 rows", cheaper, 0.60, at_most=False),
    Case("from .80 to .96, promoted with 200 test labels", recovery, 0.95, at_most=False),
    Case("worse by half of the margin and cheaper, promoted with 10,000 rows", half_worse, 0.85, at_most=False),
    Case("3 gained and 2 lost of a hundred, promoted with 20,000 rows", little, 0.85, at_most=False),
    Case("ten candidates, each .006 worse: more than the margin is lost", chain, 0.05),
    Case("the same without a reference version", chain_alone, None),
    Case("a label disappears, let through", label_lost, 0.01),
    Case("twelve copies of one question change the verdict", repeated, 0.0),
)
