"""The confidence at which a tier of a chain answers, so that the chain's accuracy holds. Pure.

A configuration has one threshold for each tier but the last: a tier that is at least so sure answers, the others ask
the next tier. Configurations stand in an order from "the last tier answers everything" to "the first tier does", and
each is tested at the whole level until one is not proven: fixed-sequence testing, which keeps the probability that any
configuration is wrongly called proven at the level, however many there are (Angelopoulos et al., "Learn then Test",
Ann. Appl. Stat. 2025). The cheapest of the proven ones is taken.

The order must not come from the rows that test it. With one threshold it is LEVELS, downwards. With several it is a
greedy walk on a third of the rows, which the other rows then test: each step lowers the threshold that saves most for
what it loses there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf, log

import numpy as np
from numpy.typing import NDArray

from headrace.statistics.intervals import wilson
from headrace.statistics.noninferiority import BOUNDED_AT, floor_p_value, margin_p_value, upper
from headrace.statistics.paired import Pairs
from trainer.tune.method import Unproven

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NEVER = inf
LEVELS = (0.995, 0.99, 0.985, 0.98, 0.97, 0.96, 0.95, 0.94, 0.92, 0.9, 0.87, 0.84, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.4)
"""Confidences that thresholds are chosen from, fixed before any row is seen."""
WALKED = 3
"""One row in so many shows the order of configurations where there are several thresholds."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a chain has to keep to.

    margin: how far its accuracy may be below the last tier's; floor: the accuracy it must have instead, None for none
    confidence: probability that it does, over the draw of the rows; max_escalated: share of requests that may reach the
        last tier
    """

    margin: float
    floor: float | None = None
    confidence: float = 0.95
    max_escalated: float = 1.0

    @property
    def alpha(self) -> float:
        return 1 - self.confidence

    @property
    def rows_needed(self) -> int:
        """With fewer rows nothing is proven, although no answer be wrong; 0 where that cannot be said."""
        if self.floor is not None:
            return ceil(log(self.alpha) / log(self.floor))
        level = self.alpha - BOUNDED_AT
        return ceil(log(level) / log(1 - self.margin)) if self.margin and level > 0 else 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the tiers say to rows that trained none of them, one a session or text, so that they are independent.

    confidence: float (tiers - 1, rows), each tier's probability of its own answer; right: bool (tiers, rows)
    usd_per_1k: of each tier, US dollars for a thousand requests
    """

    confidence: Floats
    right: Bools
    usd_per_1k: Sequence[float]

    @property
    def rows(self) -> int:
        return int(self.right.shape[1])

    def of(self, places: NDArray[np.int_]) -> Asked:
        """The same of some rows."""
        return Asked(self.confidence[:, places], self.right[:, places], self.usd_per_1k)

    def answered_by(self, thresholds: Sequence[float]) -> NDArray[np.int_]:
        """The number of the tier that answers each row."""
        sure = self.confidence >= np.array(thresholds)[:, None]
        return np.where(sure.any(axis=0), sure.argmax(axis=0), len(thresholds)).astype(np.int_)


@dataclass(frozen=True, slots=True)
class Point:
    """A configuration on the rows that test it.

    thresholds: NEVER of a tier that is left out; escalated: share of the rows that reach the last tier
    accuracy, with its 95 % Wilson interval; pairs: against the last tier
    p_value: None of those after the first that is not proven, which are not tested
    proven: it and all before it in the order are, at the bar's confidence
    """

    thresholds: tuple[float, ...]
    usd_per_1k: float
    escalated: float
    accuracy: float
    low: float
    high: float
    pairs: Pairs
    p_value: float | None
    proven: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """The configuration that is taken, and all in their order, those after the first unproven one too.

    rows: that tested them
    """

    chosen: Point
    curve: tuple[Point, ...]
    rows: int


def fit(asked: Asked, bar: Bar) -> Fit:
    """The cheapest proven configuration. Raises Unproven."""
    order: Sequence[tuple[float, ...]] = [(level,) for level in LEVELS]
    if len(asked.confidence) > 1:
        # Rows come in no order that their answers depend on, but sources may alternate: a draw, always the same.
        drawn = np.random.default_rng(0).permutation(asked.rows)
        shown, asked = asked.of(drawn[: asked.rows // WALKED]), asked.of(drawn[asked.rows // WALKED :])
        order = list(_walk(shown))
    curve = list(_tested(asked, order, bar))
    proven = [point for point in curve if point.proven]
    if not proven:
        raise Unproven(_nothing(asked.rows, bar))
    kept = [
        one for one in proven if upper(round(one.escalated * asked.rows), asked.rows, bar.alpha) <= bar.max_escalated
    ]
    if not kept:
        least = min(one.escalated for one in proven)
        raise Unproven(
            f"the last tier would be asked {least:.1%} of the requests, or more by chance, and the plan's max_escalated"
            f" is {bar.max_escalated:.1%}; thresholds that ask it less are not proven on {asked.rows} validation rows"
        )
    # Where the last tier's price is not known, each request that it is not asked is worth something.
    last = asked.usd_per_1k[-1] or inf
    saving = [one for one in kept if one.escalated < 1 and one.usd_per_1k < last]
    if not saving:
        raise Unproven(
            f"no thresholds that are proven on {asked.rows} validation rows cost less than the last tier alone"
        )
    return Fit(min(saving, key=lambda one: (one.usd_per_1k, one.escalated)), tuple(curve), asked.rows)


def _nothing(rows: int, bar: Bar) -> str:
    against = f"{bar.floor:g}" if bar.floor is not None else f"{bar.margin:g} below the last tier's"
    least = f"; it takes {bar.rows_needed} rows at least" if rows < bar.rows_needed else ""
    return (
        f"no thresholds are proven to keep the accuracy above {against} at {bar.confidence:.0%} on {rows} validation"
        f" rows{least}"
    )


def _walk(shown: Asked) -> Iterator[tuple[float, ...]]:
    """Configurations, each with one threshold one level lower than the one before.

    Of all thresholds lowered by any number of levels, the one that saves most for what it loses comes next.
    """
    at = [-1] * len(shown.confidence)
    before = _seen(shown, _levels(at))
    while jumps := [_lowered(at, tier, to) for tier, level in enumerate(at) for to in range(level + 1, len(LEVELS))]:
        found = [(_seen(shown, _levels(jump)), jump) for jump in jumps]
        # One more wrong row: what is not seen to lose anything might.
        after, jump = max(found, key=lambda one: (before[0] - one[0][0]) / (max(0, one[0][1] - before[1]) + 1))
        tier = next(tier for tier, level in enumerate(jump) if level != at[tier])
        yield from (_levels(_lowered(at, tier, to)) for to in range(at[tier] + 1, jump[tier] + 1))
        before, at = after, jump


def _lowered(at: Sequence[int], tier: int, to: int) -> list[int]:
    return [to if number == tier else level for number, level in enumerate(at)]


def _levels(at: Sequence[int]) -> tuple[float, ...]:
    return tuple(NEVER if level < 0 else LEVELS[level] for level in at)


def _seen(asked: Asked, thresholds: Sequence[float]) -> tuple[float, int]:
    """What a row costs where every tier is run, and how many rows more are wrong than the last tier has wrong."""
    by = asked.answered_by(thresholds)
    wrong = int(asked.right[-1].sum()) - int(asked.right[by, np.arange(asked.rows)].sum())
    reached = np.array([(by >= tier).sum() for tier in range(len(asked.right))])
    return float(reached @ np.array(asked.usd_per_1k)) or float(reached.sum()), wrong


def _tested(asked: Asked, order: Sequence[tuple[float, ...]], bar: Bar) -> Iterator[Point]:
    proven = True
    last = asked.right[-1]
    for thresholds in order:
        by = asked.answered_by(thresholds)
        right = asked.right[by, np.arange(asked.rows)]
        both = Pairs(asked.rows, int((right & ~last).sum()), int((last & ~right).sum()))
        correct = int(right.sum())
        p_value = _p_value(both, correct, bar) if proven else None
        proven = p_value is not None and p_value <= bar.alpha
        usd = sum(
            price * float((by >= tier).mean())
            for tier, price in enumerate(asked.usd_per_1k)
            if tier == len(thresholds) or thresholds[tier] != NEVER
        )
        escalated = float((by == len(thresholds)).mean())
        low, high = wilson(correct, asked.rows)
        yield Point(thresholds, usd, escalated, correct / asked.rows, low, high, both, p_value, proven)


def _p_value(both: Pairs, correct: int, bar: Bar) -> float:
    return margin_p_value(both, bar.margin) if bar.floor is None else floor_p_value(correct, both.n, bar.floor)
