"""Mean confidence and entropy: the means of the greatest score and of the entropy of all scores, against the reference.

The two are tested together, by Hotelling's two-sample T squared (Ann. Math. Statist. 1931) with pooled covariances: one
test and one error rate, however strongly they hang together. Its F distribution with two degrees of freedom in the
numerator has a closed form.
"""

from __future__ import annotations

from headrace.statistics.significance import chi_square_tail
from streams.detectors import confidence_ks, soft
from streams.detectors.detector import CONFIDENCE, Reading, View
from streams.profiles import Pair, Profile

SINGULAR = 1e-9
"""Share of the product of the variances below which the two measure the same thing: one of them is enough then."""


def moments(profile: Profile) -> tuple[float, float, float, float, float]:
    """Mean confidence and entropy, and the centred sums of squares and products: cc, ee, ce."""
    n = profile.scored
    c, e = profile.confidence_sum / n, profile.entropy_sum / n
    return (
        c,
        e,
        max(0.0, profile.confidence_squares - n * c * c),
        max(0.0, profile.entropy_squares - n * e * e),
        profile.confidence_entropy - n * c * e,
    )


def t_squared(before: Profile, now: Profile) -> tuple[float, int]:
    """Hotelling's T squared and how many means it compares: 2; 1 or 0 where the others do not vary on their own."""
    n, m = before.scored, now.scored
    c0, e0, *sums = moments(before)
    c1, e1, *more = moments(now)
    cc, ee, ce = ((x + y) / (n + m - 2) for x, y in zip(sums, more, strict=True))
    size, c, e = n * m / (n + m), c1 - c0, e1 - e0
    determinant = cc * ee - ce * ce
    if determinant > SINGULAR * cc * ee:
        return size * (c * c * ee - 2 * c * e * ce + e * e * cc) / determinant, 2
    if cc > 0:
        return size * c * c / cc, 1
    return 0.0, 0


def tested(pair: Pair, alpha: float) -> soft.Tested:
    """Both sides have scored answers."""
    n, m = pair.reference.scored, pair.window.scored
    statistic, means = t_squared(pair.reference, pair.window)
    freedom = n + m - 2
    if means == 2:
        p_value = (1 + statistic / freedom) ** (-(freedom - 1) / 2)
        threshold = freedom * (alpha ** (-2 / (freedom - 1)) - 1)
    else:
        p_value, threshold = chi_square_tail(statistic, 1), 0.0
    return soft.Tested(
        pair.window_from,
        n,
        m,
        statistic,
        p_value if means else 1.0,
        threshold,
        {
            "confidence": [pair.reference.confidence_sum / n, pair.window.confidence_sum / m],
            "entropy": [pair.reference.entropy_sum / n, pair.window.entropy_sum / m],
        },
    )


class ConfidenceShift:
    """Reads the scores of the live arm of the current version."""

    name = "confidence_shift"

    def read(self, view: View) -> Reading:
        found = [tested(pair, soft.alpha(view)) for pair in confidence_ks.scored(view)]
        if not found:
            return confidence_ks.without_scores(view, self.name)
        before, now = found[-1].inputs["confidence"]
        what = f"mean confidence (now {now:.3f}, reference {before:.3f}) and entropy"
        return soft.verdict(view, self.name, CONFIDENCE, found, what)


MAKE = ConfidenceShift
