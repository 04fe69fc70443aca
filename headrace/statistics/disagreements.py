"""By how much one version's accuracy is below another's, from the answers on which the two differ alone.

Where both say the same they are right or wrong together: the difference of their accuracies is the share of answers
on which they differ, times the mean over those of 1 (gained: the new version is right), -1 (lost: the old one is) and
0 (neither). The share takes no labels, and bounds the difference: a version cannot be worse by more than it differs.
The mean is of answers that experts reviewed, drawn among those that differ with a probability that does not depend on
who is right. Both are known by statements that hold at any time (headrace.statistics.sequences, and betting as in
headrace.statistics.betting), so the counts may be looked at after every label; half a level each covers the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, log1p

from headrace.statistics.sequences import bounds

BETS = tuple((number + 0.5) / 16 for number in range(16))
"""Shares of the capital that the worst outcome would take; a sixteenth of the capital is bet so each."""


@dataclass(frozen=True, slots=True)
class Disagreements:
    """Answers of two versions to the same questions.

    compared: all; differ: of these, where they say different things
    gained, lost, neither: of the reviewed among those: the new version alone is right, the old one alone, none of them
    """

    compared: int = 0
    differ: int = 0
    gained: int = 0
    lost: int = 0
    neither: int = 0

    @property
    def reviewed(self) -> int:
        return self.gained + self.lost + self.neither

    def worse_by_less(self, drop: float, alpha: float) -> bool:
        """Whether the new version is shown to be worse by less than `drop`; wrong with probability alpha at most.

        drop: a share of all answers, above 0
        """
        share = bounds(self.differ, self.compared, alpha / 2)[1]
        if share < drop:
            return True
        return _above(-drop / share, self.gained, self.neither, self.lost, alpha / 2)

    def worse_by_more(self, drop: float, alpha: float) -> bool:
        """Whether it is shown to be worse by more than `drop`, 0 or above; wrong with probability alpha at most."""
        share = bounds(self.differ, self.compared, alpha / 2)[0]
        if share <= drop:
            return False
        return _above(drop / share, self.lost, self.neither, self.gained, alpha / 2)


def _above(mean: float, up: int, level: int, down: int, alpha: float) -> bool:
    """Whether values of 1, 0 and -1, so many of each, are shown to have a mean above this one, from -1 to below 1."""
    if mean <= -1:
        return up + level > 0
    most = 1 / (1 + mean)
    capital = [
        up * log1p(bet * most * (1 - mean)) + level * log1p(-bet * most * mean) + down * log1p(-bet) for bet in BETS
    ]
    greatest = max(capital)
    return greatest + log(sum(exp(each - greatest) for each in capital) / len(BETS)) >= -log(alpha)
