"""The estimate from labels of some: what weights, strata and known answers do to it."""

from __future__ import annotations

import pytest

from benchmarks.coverage import measure
from headrace.statistics.intervals import wilson
from streams.estimation import MIN_LABELS, Sample, Stratum, estimate, pooled
from streams.sampling import Layer, chances


def drawn(answers: int, labelled: int, errors: int, probability: float = 0.05) -> Stratum:
    return Stratum(answers, (Sample(probability, labelled, labelled, errors),))


def test_a_uniform_sample_of_one_stratum_is_wilsons_interval() -> None:
    """Without strata and weights it is the plain share with Wilson's interval, but for what is labelled."""
    found = estimate([drawn(1_000_000, 400, 40)])
    assert found.value == pytest.approx(0.9)
    assert (found.low, found.high) == pytest.approx(wilson(360, 400), abs=1e-4)
    assert found.effective == pytest.approx(400, rel=1e-3)


def test_strata_count_by_their_answers_and_not_by_their_labels() -> None:
    """Ten times as many labels of complaints as of silent answers leave the estimate where it was."""
    few = estimate([drawn(1000, 50, 25), drawn(9000, 450, 9)])
    many = estimate([drawn(1000, 500, 250, 0.5), drawn(9000, 450, 9)])
    assert few.value == pytest.approx(many.value) == pytest.approx(1 - (1000 * 0.5 + 9000 * 0.02) / 10_000)
    assert many.high - many.low < few.high - few.low < wilson(466, 500)[1] - wilson(466, 500)[0]


def test_answers_weigh_by_how_likely_they_were_drawn() -> None:
    """Half of a stratum drawn ten times as often, with other errors, does not get ten times the say."""
    samples = (Sample(0.05, 50, 50, 0), Sample(0.5, 500, 500, 100))
    assert estimate([Stratum(2000, samples)]).value == pytest.approx(0.9)
    # Labels that are not there yet: those that are speak for all that were drawn alike.
    late = (Sample(0.05, 50, 50, 0), Sample(0.5, 500, 100, 20))
    assert estimate([Stratum(2000, late)]).value == pytest.approx(0.9)


def test_a_small_stratum_joins_its_neighbour() -> None:
    """Fewer labels than a stratum needs are taken together with the next one's, the last with the one before."""
    strata = [drawn(10, MIN_LABELS - 1, 5), drawn(100, 20, 2), drawn(1000, 40, 1), drawn(5, 1, 0)]
    assert [(one.answers, one.labelled) for one in pooled(strata)] == [(110, MIN_LABELS + 19), (1005, 41)]
    assert pooled([Stratum(100)]) == []


def test_known_answers_are_counted_and_the_sample_speaks_for_the_rest() -> None:
    """A hundred known to be wrong cost what they are, with no doubt of their own."""
    alone = estimate([drawn(900, 90, 9, 0.1)])
    found = estimate([drawn(900, 90, 9, 0.1)], known=100, known_errors=100)
    assert found.value == pytest.approx(0.9 * 0.9)
    assert found.high - found.low == pytest.approx(0.9 * (alone.high - alone.low))
    for errors in (0, 1, 10):
        all_known = estimate([], known=10, known_errors=errors)
        assert (all_known.low, all_known.value, all_known.high) == pytest.approx((1 - errors / 10,) * 3)


def test_without_labels_nothing_is_claimed() -> None:
    """No label: anything is possible, but for what is known."""
    assert (estimate([Stratum(100)]).low, estimate([Stratum(100)]).high) == (0.0, 1.0)
    some = estimate([Stratum(50)], known=50, known_errors=10)
    assert (some.low, some.high) == pytest.approx((0.4, 0.9))


def test_all_right_is_not_certainly_all_right() -> None:
    """Two hundred labels without an error leave room for the errors that they may have missed."""
    found = estimate([drawn(400, 20, 0), drawn(3600, 180, 0)])
    assert found.value == 1.0 == pytest.approx(found.high)
    assert 0.975 < found.low < 0.985


def test_reviews_go_where_they_tell_most() -> None:
    """Doubtful and large strata get more, every stratum gets some, and together they are what the plan pays for."""
    layers = [Layer(1000, 50, 100, 50), Layer(8000, 400, 800, 8), Layer(1000, 50, 100, 1)]
    shares = chances(layers, 200)
    left = [layer.answers - layer.drawn for layer in layers]
    assert sum(chance * rest for chance, rest in zip(shares, left, strict=True)) == pytest.approx(200)
    assert shares[0] > 5 * shares[1] and all(chance >= 0.1 * 200 / sum(left) for chance in shares)
    assert chances(layers, 0) == [0, 0, 0]
    assert chances(layers, 1e9) == [1, 1, 1]


def test_intervals_hold_where_only_the_wronged_speak() -> None:
    """Thumbs are off by half the scale, the estimate by less than a point, and its interval holds 19 times of 20."""
    row = measure("angry", 500, 0.9, 400, seed=1)
    assert row["thumbs_bias"] < -40
    for name in ("audit", "corrected", "targeted"):
        assert abs(row[f"{name}_bias"]) < 1 and 0.91 < row[f"{name}_coverage"] < 0.99
    assert row["targeted_width"] < row["corrected_width"] < 0.9
