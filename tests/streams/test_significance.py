"""P-values: each equals scipy's, or what scipy gives for its parts."""

from __future__ import annotations

import pytest
from scipy import special, stats

from headrace.statistics.significance import chi_square_tail, f_tail, kolmogorov_tail, more_often, normal_tail


@pytest.mark.parametrize("degrees", [1, 2, 3.7, 9, 150])
@pytest.mark.parametrize("ratio", [0.01, 0.5, 1.0, 1.3, 4.0])
def test_the_chi_square_tail_is_exact(degrees: float, ratio: float) -> None:
    """Any degrees, whole or not, in the body and far out."""
    expected = stats.chi2.sf(ratio * degrees, degrees)
    assert chi_square_tail(ratio * degrees, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize(("over", "under"), [(2, 200), (96, 105), (96, 5000)])
@pytest.mark.parametrize("statistic", [0.0, 0.3, 1.0, 1.5, 4.0])
def test_the_f_tail_is_exact(statistic: float, over: int, under: int) -> None:
    """As many degrees as the centroid's test has, with few questions and with many."""
    assert f_tail(statistic, over, under) == pytest.approx(stats.f.sf(statistic, over, under), rel=1e-7, abs=1e-14)


@pytest.mark.parametrize("distance", [0.001, 0.05, 0.1, 0.15, 0.2, 0.4])
def test_the_kolmogorov_tail_is_the_series(distance: float) -> None:
    """With Stephens' correction it lies close to the exact test of two samples too."""
    size = 240 * 120 / 360
    scaled = (size**0.5 + 0.12 + 0.11 / size**0.5) * distance
    assert kolmogorov_tail(distance, 240, 120) == pytest.approx(special.kolmogorov(scaled), rel=1e-6, abs=1e-12)
    exact = stats.distributions.kstwo.sf(distance, round(size))
    assert kolmogorov_tail(distance, 240, 120) == pytest.approx(exact, rel=0.2, abs=1e-3)


def test_the_exact_test_of_two_shares_counts_the_observed_case_half() -> None:
    """Mid-p is Fisher's one-sided p-value less half of the probability of the observed table."""
    (before, n), (now, m) = (30, 1000), (12, 150)
    table = [[now, m - now], [before, n - before]]
    observed = stats.hypergeom.pmf(now, n + m, before + now, m)
    expected = stats.fisher_exact(table, alternative="greater").pvalue - observed / 2
    assert more_often(before, n, now, m) == pytest.approx(expected, rel=1e-8)
    assert more_often(0, 50, 0, 50) == more_often(50, 50, 50, 50) == 1.0


def test_the_normal_tail() -> None:
    """1.96 leaves 2.5 % above it."""
    assert normal_tail(1.959964) == pytest.approx(0.025, rel=1e-6)
