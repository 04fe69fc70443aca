"""Label shift: the population stability index of the labels that the live version gives, against its reference.

A fixed cut-off on PSI alarms by chance (a quarter of the time at n = 100), so it is calibrated: with n reference and m
tested answers, PSI x n m / (n + m) follows a chi-square distribution with k - 1 degrees of freedom where nothing
changed (Yurdakul and Naranjo, J. Risk Model Validation 2020), if rare labels are pooled and one inference a session is
counted. Where the windows of the reference differ among each other more than by chance, as those of a first day do, the
statistic is divided by how much more (Rao and Scott, Ann. Statist. 1984).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log

from headrace.statistics.intervals import quantile
from headrace.statistics.significance import chi_square_tail
from streams.detectors import soft
from streams.detectors.detector import ANSWERS, Reading, View
from streams.profiles import Pair, Profile

MIN_EXPECTED = 5
"""Labels with fewer expected in the smaller sample are pooled."""


def chi_square_quantile(probability: float, degrees: int) -> float:
    """Wilson and Hilferty's approximation (PNAS 1931): within 3 % at .001 from two degrees of freedom on."""
    spread = 2 / (9 * degrees)
    return float(degrees * max(0.0, 1 - spread + quantile(probability) * spread**0.5) ** 3)


def pooled(before: Mapping[str, int], now: Mapping[str, int]) -> list[tuple[int, int]]:
    """Counts of a label in both samples; labels with few expected in the smaller one count as one, the last."""
    n, m = sum(before.values()), sum(now.values())
    smaller = min(n, m) / (n + m)
    cells, rare = [], (0, 0)
    for label in sorted({*before, *now}):
        cell = before.get(label, 0), now.get(label, 0)
        if sum(cell) * smaller < MIN_EXPECTED:
            rare = rare[0] + cell[0], rare[1] + cell[1]
        else:
            cells.append(cell)
    return [*cells, rare] if sum(rare) else cells


def stability_index(cells: list[tuple[int, int]]) -> float:
    """PSI of counts; half an answer in each cell, so that an empty one has a logarithm."""
    n, m = (sum(cell[side] for cell in cells) + 0.5 * len(cells) for side in (0, 1))
    shares = [((x + 0.5) / n, (y + 0.5) / m) for x, y in cells]
    return sum((p - q) * log(p / q) for p, q in shares)


def dispersion(reference: Profile) -> float:
    """How much more its windows differ than by chance: Pearson's chi-square over its expectation, at least 1.

    Labels that are rare in a window are left out, and a reference of few windows says nothing.
    """
    if reference.windows < soft.MIN_WINDOWS:
        return 1.0
    common = {
        label: count / reference.sessions
        for label, count in reference.labels.items()
        if count >= MIN_EXPECTED * reference.windows
    }
    found = sum(reference.label_squares[label] / share - reference.labels[label] for label, share in common.items())
    expected = (reference.windows - 1) * sum(1 - share for share in common.values())
    return max(1.0, found / expected) if expected > 0 else 1.0


def tested(pair: Pair, alpha: float) -> soft.Tested | None:
    """None where all labels but one are rare: there is nothing to compare."""
    cells = pooled(pair.reference.labels, pair.window.labels)
    degrees = len(cells) - 1
    if degrees < 1:
        return None
    n, m = pair.reference.sessions, pair.window.sessions
    psi, spread = stability_index(cells), dispersion(pair.reference)
    statistic = psi * n * m / (n + m) / spread
    return soft.Tested(
        pair.window_from,
        n=n,
        m=m,
        statistic=statistic,
        p_value=chi_square_tail(statistic, degrees),
        threshold=chi_square_quantile(1 - alpha, degrees),
        inputs={"psi": psi, "degrees": degrees, "dispersion": spread},
    )


class LabelPsi:
    """Reads the labels of the live arm of the current version."""

    name = "label_psi"

    def read(self, view: View) -> Reading:
        alpha = soft.alpha(view)
        found = [test for pair in soft.pairs(view) if (test := tested(pair, alpha)) is not None]
        if not found:
            return soft.quiet(view, self.name, ANSWERS)
        return soft.verdict(view, self.name, ANSWERS, found, "the labels given")


MAKE = LabelPsi
