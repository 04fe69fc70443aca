"""Which answers experts should label beside the base audit, for the tightest estimate that they have time for. Pure.

A stratum's labels are worth most where there are many answers and least certainty about them: with labels in proportion
to N_h S_h, the answers and the standard deviation of their errors, the variance of the estimate is least (Neyman, J.
Royal Statistical Society 1934). What the base audit drew already counts; where that is more than a stratum's part, the
others share the rest. A tenth of the reviews goes evenly to all, so that no stratum is left to a guess about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from headrace.statistics.intervals import wilson_upper

EVENLY = 0.1
# Halvings of the interval in which the share of reviews is looked for.
STEPS = 60
# One-sided confidence of the error rate that a stratum is credited with: few labels leave room for many errors.
CREDIT = 0.75


@dataclass(frozen=True, slots=True)
class Layer:
    """A stratum that answers can be drawn from.

    answers: in the window; drawn: of these, in the base audit already
    labelled, errors: of its answers before the window, which tell how certain it is; labels of the window itself would
        leave strata alone in which chance showed few errors, and the estimate would believe them
    """

    answers: int
    drawn: int
    labelled: int
    errors: int

    @property
    def spread(self) -> float:
        """The standard deviation of an answer's error, on the careful side."""
        rate = min(0.5, wilson_upper(self.errors, self.labelled, CREDIT))
        return sqrt(rate * (1 - rate))


def chances(layers: Sequence[Layer], reviews: float) -> list[float]:
    """With which probability each layer's answers that are not drawn yet should be drawn; 0 to 1.

    reviews: how many may be drawn, expected over all layers
    """
    left = [layer.answers - layer.drawn for layer in layers]
    if sum(left) <= reviews:
        return [1.0 if rest else 0.0 for rest in left]
    evenly, aimed = EVENLY * reviews / sum(left), (1 - EVENLY) * reviews
    weights = [layer.answers * layer.spread for layer in layers]

    def wanted(share: float) -> list[float]:
        return [_more(layer, share * weight) for layer, weight in zip(layers, weights, strict=True)]

    low, high = 0.0, max((layer.answers / w for layer, w in zip(layers, weights, strict=True) if w), default=0.0)
    for _ in range(STEPS):
        share = (low + high) / 2
        low, high = (low, share) if sum(wanted(share)) > aimed else (share, high)
    return [min(1.0, evenly + more / rest) if rest else 0.0 for more, rest in zip(wanted(low), left, strict=True)]


def _more(layer: Layer, labels: float) -> float:
    """Labels that a layer lacks to its part of them."""
    return min(max(0.0, labels - layer.drawn), layer.answers - layer.drawn)
