"""P-values of the two-sample tests that drift detectors make, in closed forms or series; no I/O, nothing to install.

A p-value is the probability of a statistic at least as large where nothing changed. Each function is compared with
scipy's in the tests.
"""

from __future__ import annotations

from math import erfc, exp, inf, lgamma, log, pi, sqrt

PRECISION = 1e-12
MAX_TERMS = 10_000


def normal_tail(z: float) -> float:
    """P(Z >= z) of a standard normal."""
    return erfc(z / sqrt(2)) / 2


def chi_square_tail(statistic: float, degrees: float) -> float:
    """P(X >= statistic) of a chi-square with `degrees`, not necessarily whole: the regularised upper gamma function.

    By its series or its continued fraction (Press et al., Numerical Recipes, section 6.2).
    """
    a, x = degrees / 2, statistic / 2
    if x <= 0:
        return 1.0
    scale = exp(a * log(x) - x - lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for n in range(1, MAX_TERMS):
            term *= x / (a + n)
            total += term
            if term < total * PRECISION:
                break
        return max(0.0, 1 - scale * total)
    b, c = x + 1 - a, inf
    d = fraction = 1 / b
    for n in range(1, MAX_TERMS):
        numerator = n * (a - n)
        b += 2
        d = 1 / (numerator * d + b)
        c = b + numerator / c
        fraction *= c * d
        if abs(c * d - 1) < PRECISION:
            break
    return min(1.0, scale * fraction)


def f_tail(statistic: float, over: float, under: float) -> float:
    """P(F >= statistic) with `over` and `under` degrees of freedom: a regularised incomplete beta function.

    By its continued fraction (Press et al., Numerical Recipes, section 6.4).
    """
    if statistic <= 0:
        return 1.0
    x = under / (under + over * statistic)
    return _incomplete_beta(under / 2, over / 2, x)


def kolmogorov_tail(distance: float, n: float, m: float) -> float:
    """P of a greatest distance between two empirical distribution functions of n and m values, ties aside.

    The asymptotic series with Stephens' correction for small samples (J. R. Statist. Soc. B 1970). Ties, as binning
    makes them, can only make the distance smaller: the test is then conservative.
    """
    size = n * m / (n + m)
    x = (sqrt(size) + 0.12 + 0.11 / sqrt(size)) * distance
    if x < 0.3:
        return 1.0
    if x < 1.18:  # the other form of the series, which converges here
        return 1 - sqrt(2 * pi) / x * sum(exp(-((2 * k - 1) ** 2) * pi * pi / (8 * x * x)) for k in range(1, 6))
    return min(1.0, 2 * sum((-1.0) ** (k - 1) * exp(-2 * k * k * x * x) for k in range(1, 6)))


def more_often(before: int, n: int, now: int, m: int) -> float:
    """P of `now` or more of m where `before` of n: Fisher's exact one-sided test, with half of the observed case.

    The half (mid-p, Lancaster, JASA 1961) keeps the discreteness from making the test needlessly conservative.
    """
    marked, drawn = before + now, m
    lowest, highest = max(0, marked - n), min(marked, drawn)
    if lowest == highest:
        return 1.0
    constant = _log_choose(n + m, drawn)
    p, k = 0.0, now
    while k <= highest:
        term = exp(_log_choose(marked, k) + _log_choose(n + m - marked, drawn - k) - constant)
        p += term / 2 if k == now else term
        if term < p * PRECISION and k > now:
            break
        k += 1
    return min(1.0, p)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    scale = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)) / a
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for n in range(1, MAX_TERMS):
        change = 1.0
        for numerator in (
            n * (b - n) * x / ((a + 2 * n - 1) * (a + 2 * n)),
            -(a + n) * (a + b + n) * x / ((a + 2 * n) * (a + 2 * n + 1)),
        ):
            d = 1 / (1 + numerator * d)
            c = 1 + numerator / c
            change = c * d
            fraction *= change
        if abs(change - 1) < PRECISION:
            break
    return min(1.0, scale * fraction)
