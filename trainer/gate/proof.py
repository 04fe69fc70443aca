"""What the outcomes prove of "the candidate's mean score is above the other's, less a margin". Pure.

Two tests, and each may be looked at again and again as rows come, at no cost:
    betting on cluster sums (headrace.statistics.betting), at every number of rows
    for independent texts that are right or wrong half of the level is kept for one exact look at the first
    `planned` of them: McNemar's test where the margin is 0, Tango's score test where it is not
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, log, sqrt

import numpy as np

from headrace.statistics import betting
from headrace.statistics.intervals import quantile
from headrace.statistics.paired import Pairs, mcnemar, tango_z
from headrace.statistics.significance import normal_tail
from trainer.gate.outcomes import Floats, Outcomes, summed

POWER = 0.9
"""How probable a proof shall be, if what was observed is the truth."""
OPTIMISM = 0.9
"""Level of the one-sided bound of the difference above which hope ends."""
SURE = quantile(0.99)
"""Standard errors by which the weighted mean is above the claim, where clusters weigh differently."""
COST_OF_MIXING = 1.3
"""Logarithm of what a mixture of bets has less than the best of them, about."""


@dataclass(frozen=True, slots=True)
class Proof:
    """p: the smallest level at which the claim is proven; difference: observed, weighted

    rows: texts after which betting had its p; capital: its logarithm after all of them
    spread: mean square of the sums, a row
    halved: half of the level is the exact test's
    """

    n: int
    margin: float
    difference: float
    p: float
    rows: int
    capital: float
    spread: float
    halved: bool

    def needs(self, level: float, optimistic: bool = False) -> float:
        """Rows at which this candidate would probably be proven, if the observed difference is the true one.

        optimistic: if the true one is the greatest that is still likely
        """
        more = self.needs_anew(level, optimistic, self.capital)
        return max(self.n + more, float(self.n + 1))

    def needs_anew(self, level: float, optimistic: bool = False, capital: float = 0.0) -> float:
        """Rows that prove another candidate with this difference, or more rows that prove one with this capital.

        Capital grows by x^2 / (2 v) a row, with a standard deviation of x / sqrt(v), for a mean x and a mean square v.
        """
        above = self.difference + self.margin
        if optimistic:
            above += quantile(OPTIMISM) * sqrt(self.spread / self.n) if self.n else inf
        if above <= 0:
            return inf
        if above == inf:
            return 1.0
        z = quantile(POWER)
        lacking = -log(level / 2 if self.halved else level) + COST_OF_MIXING - capital
        return float(ceil(max(self.spread, above * above) * ((z + sqrt(z * z + 2 * max(lacking, 0.0))) / above) ** 2))


def proof(outcomes: Outcomes, against: Floats, margin: float, planned: int) -> Proof:
    """The candidate against another version's scores of the same texts; margin 0: that it is better."""
    n = outcomes.n
    if not n:
        return Proof(0, margin, 0.0, 1.0, 0, 0.0, 1.0, False)
    apart = outcomes.candidate - against
    difference = float((outcomes.weight * apart).sum() / n)
    sums = summed(outcomes.cluster, outcomes.weight * (apart + margin))
    sizes = summed(outcomes.cluster, outcomes.weight)
    spread = max(float((sums * sums).sum()) / n, 1 / n)
    capital = betting.on_at_least(margin, sums, sizes) if margin else betting.on_a_rise(sums, sizes)
    p, rows = betting.p_value(capital), int(np.bincount(outcomes.cluster).cumsum()[capital.argmax()])
    halved = outcomes.independent
    if halved:
        p = min(1.0, 2 * min(p, _exact(apart[:planned], margin) if n >= planned else 1.0))
    # A bet on a heavy cluster is capped, so that betting proves the claim of a mean in which heavy clusters count less.
    # It has to hold of the mean itself, too, beyond what its standard error over the clusters explains.
    if len(set(sizes.tolist())) > 1 and sums.sum() < SURE * sqrt(float((sums * sums).sum())):
        p = 1.0
    return Proof(n, margin, difference, p, rows, float(capital[-1]), spread, halved)


def _exact(apart: Floats, margin: float) -> float:
    found = Pairs(len(apart), int((apart > 0).sum()), int((apart < 0).sum()))
    return normal_tail(tango_z(found, -margin)) if margin else mcnemar(found)
