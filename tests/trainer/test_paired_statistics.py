"""The gate's statistics against published values, against other code, and against simulation."""

from __future__ import annotations

import time
from math import sqrt

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from headrace.statistics.paired import (
    Pairs,
    mcnemar,
    pairs,
    spent,
    tango_lower,
    tango_z,
)


def test_pairs_counts_only_disagreements() -> None:
    """A row both get right, or both get wrong, is neither gained nor lost."""
    assert pairs([True, True, False, False], [True, False, True, False]) == Pairs(4, 1, 1)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (5, 1), (1, 5), (12, 12), (40, 18), (300, 250)])
def test_mcnemar_is_the_exact_sign_test(gained: int, lost: int) -> None:
    """The one-sided p-value is scipy's exact binomial one."""
    ours = mcnemar(Pairs(1000, gained, lost))
    n = gained + lost
    theirs = stats.binomtest(gained, n, 0.5, alternative="greater").pvalue if n else 1.0
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_mcnemar_agrees_with_statsmodels_two_sided() -> None:
    """Twice the smaller one-sided p-value is statsmodels' exact two-sided one."""
    both = statsmodels_mcnemar([[900, 40], [18, 42]], exact=True).pvalue
    assert 2 * mcnemar(Pairs(1000, 40, 18)) == pytest.approx(both, rel=1e-9)


@pytest.mark.parametrize(
    ("n", "gained", "lost", "low", "high"),
    [
        # Airway hyper-responsiveness before and after transplantation: Fagerland, Lydersen & Laake, Stat Med 2014.
        (21, 1, 7, -0.517, -0.026),
        # Complete agreement has a closed form: z^2 / (n + z^2).
        (54, 0, 0, -0.0664, 0.0664),
    ],
)
def test_tango_interval_matches_published_values(n: int, gained: int, lost: int, low: float, high: float) -> None:
    """Both ends of the 95 % interval are those of the literature, to the digits it gives."""
    assert tango_lower(Pairs(n, gained, lost), 0.025) == pytest.approx(low, abs=5e-4)
    assert -tango_lower(Pairs(n, lost, gained), 0.025) == pytest.approx(high, abs=5e-4)


@pytest.mark.parametrize(("n", "gained", "lost"), [(50, 12, 2), (160, 40, 20), (274, 9, 11), (1000, 40, 35)])
def test_tango_bound_is_a_root_of_the_closed_form(n: int, gained: int, lost: int) -> None:
    """The bound found by bisection is a root of the quartic of Yang, Sun & Hardin, Stat Med 2013."""
    g, d, s = stats.norm.ppf(0.99) ** 2, gained - lost, gained + lost
    quartic = [
        n**2 * (n / g + 1) ** 2,
        -n * d * (n / g + 1) * (4 * n / g + 1),
        2 * n * d**2 * (3 * n / g + 2) / g - n**2 * (s / g + 1),
        n * d * (2 * s / g + 1) - d**3 * (4 * n / g + 1) / g,
        d**2 * (d**2 / g - s) / g,
    ]
    roots = np.roots(quartic)
    assert np.abs(roots - tango_lower(Pairs(n, gained, lost), 0.01)).min() < 1e-9


def test_tango_statistic_is_mcnemars_at_no_difference() -> None:
    """At a hypothesised difference of 0 the score statistic is (b - c) / sqrt(b + c)."""
    assert tango_z(Pairs(400, 25, 10), 0.0) == pytest.approx(15 / sqrt(35))


def test_tango_constrained_estimate_maximises_the_likelihood() -> None:
    """The variance uses the likeliest probabilities under the hypothesis, found here by brute force."""
    data, d = Pairs(200, 14, 9), -0.03
    grid = np.linspace(max(0.0, -d) + 1e-9, (1 - d) / 2 - 1e-9, 400_001)
    likelihood = (
        data.gained * np.log(grid + d)
        + data.lost * np.log(grid)
        + (data.n - data.gained - data.lost) * np.log(1 - 2 * grid - d)
    )
    lost = grid[int(np.argmax(likelihood))]
    expected = (data.gained - data.lost - data.n * d) / sqrt(data.n * (2 * lost + d - d * d))
    assert tango_z(data, d) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("n", "truth"), [(274, -0.05), (1000, -0.05), (1000, -0.03), (1000, 0.0)])
def test_tango_bound_covers_as_often_as_it_says(n: int, truth: float) -> None:
    """The 99 % bound lies above the true difference in about 1 % of simulated tests, the gate's false passes."""
    random = np.random.default_rng(7)
    discordant = 0.08
    gained = (discordant + truth) / 2
    draws = random.multinomial(n, [gained, discordant - gained, 1 - discordant], size=4000)
    above = np.mean([tango_lower(Pairs(n, int(b), int(c)), 0.01) > truth for b, c, _ in draws])
    assert 0.003 <= above <= 0.018


def test_no_rows_prove_nothing() -> None:
    """Without rows the bound is -1, below any margin, and the p-value is 1."""
    assert tango_lower(Pairs(0, 0, 0), 0.01) == -1.0
    assert mcnemar(Pairs(0, 0, 0)) == 1.0


def test_identical_answers_do_not_prove_equality_on_few_rows() -> None:
    """Even without one disagreement, 30 rows leave a loss of 10 points possible at 99 %."""
    assert -0.25 < tango_lower(Pairs(30, 0, 0), 0.01) < -0.10


def test_alpha_is_never_overspent() -> None:
    """However many candidates, their shares of alpha add up to less than alpha, and the first gets most of it."""
    assert spent(0.01, 1) == pytest.approx(0.00832, abs=1e-5)
    assert 0.009999 < sum(spent(0.01, number) for number in range(1, 5000)) < 0.01
    with pytest.raises(ValueError, match="from 1"):
        spent(0.01, 0)


def test_mcnemar_of_many_rows_takes_no_minutes() -> None:
    """Each binomial follows from the one before: one by one 40,000 discordant rows took four minutes."""
    assert mcnemar(Pairs(3, 1, 2)) == 7 / 8
    began = time.perf_counter()
    assert mcnemar(Pairs(90_000, 20_000, 20_000)) == pytest.approx(0.502, abs=0.001)
    assert time.perf_counter() - began < 10
