"""What calibration and ranking figures say, on cases whose answer is known and beside scikit-learn's."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from headrace.statistics.calibration import auroc, auroc_interval, brier, ece, fit_temperature, reliability
from headrace.statistics.intervals import quantile


def test_the_calibration_error_of_a_boaster() -> None:
    """Always certain and right half the time is off by a half; right as often as it says is off by nothing."""
    assert ece([1.0] * 10, [True, False] * 5) == pytest.approx(0.5)
    assert ece([0.75] * 8, [True] * 6 + [False] * 2) == pytest.approx(0.0)
    assert ece([1.0, 0.95], [1, 1]) == pytest.approx(0.025)
    assert ece([], []) == 0.0


def test_bins_hold_every_row_once() -> None:
    """A bin ends with its upper bound, the first begins with 0, and an empty one says so."""
    found = reliability([0.0, 0.1, 0.100001, 1.0, 1.0], [0, 1, 1, 1, 0])
    assert [one.rows for one in found] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (found[9].confidence, found[9].right) == (1.0, 0.5) and (found[4].confidence, found[4].right) == (0, 0)
    assert (found[0].low, found[9].high) == (0.0, 1.0)


def test_rows_without_their_labels_are_refused() -> None:
    """Figures of lists that do not belong together would be wrong without a sign."""
    with pytest.raises(ValueError, match="1 confidences of 2 answers"):
        ece([0.5], [1, 1])
    with pytest.raises(ValueError, match="probabilities of 1 rows"):
        brier([[0.5, 0.5]], [0, 1])
    with pytest.raises(ValueError, match="log-probabilities of 1 rows"):
        fit_temperature([[0.0, -1.0]], [0, 1])


def test_the_brier_score_of_the_sure_and_the_wrong() -> None:
    """0 where the model is sure and right, 2 where it is sure and wrong, 1 - 1/labels where it says nothing."""
    assert brier([[1.0, 0.0]], [0]) == 0 and brier([[1.0, 0.0]], [1]) == 2
    assert brier([[0.25] * 4], [2]) == pytest.approx(0.75)
    assert brier(np.zeros((0, 4)), []) == 0


def test_a_temperature_undoes_what_sharpened_the_scores() -> None:
    """Labels drawn from the softmax of some logits: of logits three times as large the temperature is three."""
    draw = np.random.default_rng(4)
    logits = draw.normal(size=(4000, 5)) * 2
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = [int(draw.choice(5, p=row)) for row in odds]
    assert fit_temperature(logits, truth) == pytest.approx(1, abs=0.06)
    assert fit_temperature(3 * logits, truth) == pytest.approx(3, abs=0.18)
    assert fit_temperature(logits / 3, truth) == pytest.approx(1 / 3, abs=0.02)


def test_a_few_right_rows_make_no_model_certain() -> None:
    """Without an error the likelihood alone would take the lowest temperature there is."""
    probabilities = [[0.8, 0.1, 0.1]] * 5
    found = fit_temperature(np.log(probabilities), [0] * 5)
    assert 0.4 < found < 1
    assert fit_temperature(np.zeros((0, 3)), []) == 1


def test_the_area_under_the_curve_is_scikit_learns() -> None:
    """Also with ties; without rows of both kinds it says nothing."""
    draw = np.random.default_rng(2)
    inside, outside = draw.integers(0, 20, 300), draw.integers(5, 25, 200)
    expected = roc_auc_score([0] * 300 + [1] * 200, [*inside, *outside])
    assert auroc(inside, outside) == pytest.approx(expected)
    assert auroc([], [1.0]) == 0.5


@pytest.mark.parametrize(("area", "above", "below"), [(0.99, 5, 50), (0.9, 60, 15), (0.7, 20, 80)])
def test_an_interval_of_the_area_holds_the_true_one(area: float, above: int, below: int) -> None:
    """In 95 of 100 draws, also near 1 with few rows, where the observed area's own variance held it in 55."""
    apart, random = sqrt(2) * quantile(area), np.random.default_rng(3)
    held = 0
    for _ in range(400):
        found = auroc(random.normal(0, 1, below), random.normal(apart, 1, above))
        low, high = auroc_interval(found, above, below)
        assert 0 <= low <= found <= high <= 1
        held += low <= area <= high
    assert held >= 0.93 * 400


def test_few_rows_of_a_kind_make_no_area_certain() -> None:
    """One of 1, or 0, has an interval; without rows of a kind nothing is known."""
    low, high = auroc_interval(1.0, 2, 10)
    assert low < 0.6 and high == 1
    assert auroc_interval(0.0, 10, 2) == pytest.approx((0.0, 1 - low))
    assert auroc_interval(0.5, 0, 9) == (0.0, 1.0)
