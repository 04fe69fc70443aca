"""Thresholds of a chain: proven by exact tests, cheapest first, within the plan's budget."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from benchmarks.cascading.worlds import EXCESS, Abrupt, Gradual
from headrace.statistics.noninferiority import binomial_tail, floor_p_value, margin_p_value, upper
from headrace.statistics.paired import Pairs
from trainer.tune.method import Unproven
from trainer.tune.thresholds import LEVELS, NEVER, Asked, Bar, fit

BAR = Bar(0.02)


def asked(sure: list[float], first: list[bool], last: list[bool]) -> Asked:
    """Two tiers, of which the second costs a hundred times as much."""
    return Asked(np.array([sure]), np.array([first, last]), (0.01, 1.0))


def at_most(draws: int, share: float) -> int:
    """So many of the draws that more would come once in ten thousand times at this share."""
    return next(count for count in range(draws) if 1 - binomial_tail(count, draws, share) < 1e-4)


@pytest.mark.parametrize(
    ("n", "margin", "gained"), [(60, 0.05, 0.0), (60, 0.05, 0.02), (50, 0.0, 0.05), (50, 0.1, 0.1)]
)
def test_the_exact_test_keeps_its_level(n: int, margin: float, gained: float) -> None:
    """Where the accuracy is lower by just the margin, all outcomes with p <= .05 together have at most .05."""
    lost = gained + margin
    total = 0.0
    counts = [(one, other) for one in range(n + 1 if gained else 1) for other in range(n + 1 - one)]
    for both, alone in counts:
        ways = comb(n, both) * comb(n - both, alone) * gained**both * lost**alone
        ways *= (1 - gained - lost) ** (n - both - alone)
        if ways > 1e-8 and margin_p_value(Pairs(n, both, alone), margin) <= 0.05:
            total += ways
    assert total <= 0.05


def test_the_exact_test_is_nearly_as_strong_as_the_binomial() -> None:
    """Where nothing is gained a binomial tail of the losses is the best test; gains make up for losses here alone."""
    for lost in (0, 1, 3):
        seen, best = margin_p_value(Pairs(300, 0, lost), 0.02), binomial_tail(lost, 300, 0.02)
        assert best <= seen <= best + 0.006
    assert margin_p_value(Pairs(300, 4, 4), 0.02) < 0.1 < binomial_tail(4, 300, 0.02)
    assert margin_p_value(Pairs(0, 0, 0), 0.02) == 1 and margin_p_value(Pairs(300, 0, 9), 0.02) > 0.5


def test_exact_bounds_of_one_share() -> None:
    """As in tables: no error in 59 rows shows .95 at .95, and the bound of 0 in 59 is .05."""
    assert floor_p_value(59, 59, 0.95) < 0.05 < floor_p_value(58, 58, 0.95)
    assert upper(0, 59, 0.05) == pytest.approx(0.0495, abs=1e-4)
    assert upper(3, 20, 0.05) == pytest.approx(0.3437, abs=1e-4) and upper(7, 7, 0.05) == 1
    assert binomial_tail(1, 3, 0.5) == pytest.approx(0.5) and binomial_tail(0, 5, 1.0) == 0


def test_the_cheapest_proven_thresholds_are_taken() -> None:
    """A tier that is right where it is sure answers as much as the rows prove, and no more."""
    sure = [0.96] * 200 + [0.72] * 100 + [0.45] * 100
    found = fit(asked(sure, [True] * 300 + [False] * 100, [True] * 400), BAR)
    assert found.chosen.thresholds == (0.7,) and found.chosen.escalated == 0.25 and found.chosen.accuracy == 1
    assert found.chosen.usd_per_1k == pytest.approx(0.01 + 0.25)
    assert [point.proven for point in found.curve] == [level > 0.45 for level in LEVELS]
    assert found.curve[-1].pairs == Pairs(400, 0, 100) and found.curve[-1].p_value == 1


def test_nothing_after_the_first_unproven_thresholds_is_tested() -> None:
    """Looking further for one that passes by chance would break the level."""
    # At .9 ten rows are lost; at .7 a hundred are gained, which would prove anything.
    sure = [0.99] * 200 + [0.9] * 10 + [0.7] * 100 + [0.1] * 100
    first = [True] * 200 + [False] * 10 + [True] * 200
    last = [True] * 210 + [False] * 100 + [True] * 100
    found = fit(asked(sure, first, last), BAR)
    assert found.chosen.thresholds == (0.99,), "the most careful of those that cost the same"
    assert [point.p_value for point in found.curve if point.thresholds[0] < 0.9] == [None] * 9


def test_too_few_rows_prove_nothing() -> None:
    """The reason says how many it takes at least, and so many are enough."""
    with pytest.raises(Unproven, match="on 140 validation rows; it takes 150 rows at least"):
        fit(asked([0.999] * 140, [True] * 140, [True] * 140), BAR)
    assert fit(asked([0.999] * 152, [True] * 152, [True] * 152), BAR).chosen.escalated == 0
    with pytest.raises(Unproven, match=r"above 0\.99 at 95% on 152 validation rows; it takes 299"):
        fit(asked([0.999] * 152, [True] * 152, [True] * 152), Bar(0.02, floor=0.99))


def test_a_floor_is_of_the_accuracy_itself() -> None:
    """A last tier that is worse than the floor is no excuse, and one that is better need not be reached."""
    sure = [0.99] * 200 + [0.3] * 200
    poor = asked(sure, [True] * 200 + [False] * 200, [True] * 200 + [False] * 100 + [True] * 100)
    assert fit(poor, BAR).chosen.escalated == 0.5
    with pytest.raises(Unproven, match=r"above 0\.9 at 95% on 400 validation rows$"):
        fit(poor, Bar(0.02, floor=0.9))
    worse = asked([0.99] * 400, [True] * 380 + [False] * 20, [True] * 400)
    assert fit(worse, Bar(0.02, floor=0.9)).chosen.accuracy == 0.95
    with pytest.raises(Unproven, match="cost less than the last tier alone"):
        fit(worse, BAR)


def test_the_budget_of_escalations_is_kept_to_beyond_chance() -> None:
    """A share that chance may have made too small is not within the budget."""
    rows = asked([0.99] * 300 + [0.3] * 100, [True] * 300 + [False] * 100, [True] * 400)
    assert fit(rows, Bar(0.02, max_escalated=0.3)).chosen.escalated == 0.25
    with pytest.raises(Unproven, match=r"asked 25\.0% of the requests.*max_escalated is 26\.0%"):
        fit(rows, Bar(0.02, max_escalated=0.26))


def test_each_of_several_tiers_has_its_own_threshold() -> None:
    """A tier that cannot be trusted is left out, and its place taken by the next; the order comes from other rows."""
    draw = np.random.default_rng(3)
    n = 1800
    useful, last = draw.random(n) < 0.75, draw.random(n) < 0.99
    sure = np.stack([np.full(n, 0.9), np.where(useful, 0.97, 0.3)])
    right = np.stack([draw.random(n) < 0.6, useful & last, last])
    found = fit(Asked(sure, right, (0.01, 0.1, 1.0)), BAR)
    assert found.chosen.thresholds[0] in (NEVER, *[level for level in LEVELS if level > 0.9])
    assert 0.3 < found.chosen.thresholds[1] <= 0.97 and found.rows == 1200
    assert found.chosen.escalated == pytest.approx(0.25, abs=0.05)


def test_a_chain_that_breaks_its_promise_is_taken_at_most_so_often() -> None:
    """The first tier loses a hair more than the margin wherever it answers: one draw in twenty may not notice."""
    trial = Abrupt()
    for rows, draws in ((300, 300), (600, 50)):
        found = [trial(np.random.default_rng([rows, draw]), rows, BAR) for draw in range(draws)]
        broken = sum(one is not None for one in found)
        assert all(one is None or one == pytest.approx(-EXCESS) for one in found)
        assert 0 < broken <= at_most(draws, 0.05)


def test_drawn_validation_rows_break_the_promise_at_most_so_often() -> None:
    """With temperatures fitted on the same rows, two tiers and three; and thresholds are proven nearly always."""
    draws = 15
    for trial, rows in ((Gradual((3.5, 5.0), (0.01, 1.0)), 300), (Gradual((3.0, 4.0, 5.0), (0.01, 0.1, 1.0)), 900)):
        found = [trial(np.random.default_rng([rows, draw]), rows, BAR) for draw in range(draws)]
        proven = [one for one in found if one is not None]
        assert len(proven) > 0.8 * draws and sum(one < 0 for one in proven) <= at_most(draws, 0.05)
