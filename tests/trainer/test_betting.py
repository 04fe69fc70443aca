"""Tests of a mean that may be looked at at any time, against exact martingales and simulation."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from headrace.statistics import betting
from headrace.statistics.paired import Pairs, mcnemar
from trainer.gate.outcomes import Floats, Outcomes
from trainer.gate.proof import proof


def independent(apart: Floats) -> Outcomes:
    """Texts on which the candidate gained (1), lost (-1) or neither (0)."""
    n = len(apart)
    return Outcomes(
        ("hr",), np.zeros(n, dtype=np.intp), (apart >= 0).astype(float), (apart <= 0).astype(float), None,
        np.ones(n), np.arange(n),
    )  # fmt: skip


def in_sessions(apart: Floats) -> Outcomes:
    """The same, the last two of one session: so betting alone is asked."""
    return replace(independent(apart), cluster=np.minimum(np.arange(len(apart)), len(apart) - 2))


def test_capital_is_fair_where_nothing_is_gained() -> None:
    """Over all courses of six rows, gained and lost equally likely, the mean capital stays one at every row."""
    courses = [np.array(course, dtype=float) for course in product((1.0, -1.0), repeat=6)]
    for bet in (betting.on_a_rise, lambda sums, sizes: betting.on_at_least(0.03, sums, sizes)):
        capital = np.mean([np.exp(bet(course, np.ones(6))) for course in courses], axis=0)
        assert capital == pytest.approx(np.ones(6))


def test_a_heavy_cluster_cannot_take_all() -> None:
    """Forty rows of one session, all lost, leave some capital; all gained, they prove no more than one bet can win."""
    sizes = np.array([1.0, 40.0])
    for capital in (betting.on_a_rise(np.array([1.0, -40.0]), sizes), betting.on_at_least(0.5, -sizes, sizes)):
        assert np.isfinite(capital).all()
    assert betting.p_value(betting.on_a_rise(np.array([1.0, 40.0]), sizes)) > 0.2


def test_large_sessions_prove_a_small_rise() -> None:
    """Sessions of ten rows that agree are bet on by what they vary, so .05 gained and .02 lost are found."""
    random = np.random.default_rng(8)
    drawn = random.choice([10.0, -10.0, 0.0], size=(200, 4000), p=[0.05, 0.02, 0.93])
    proven = [betting.p_value(betting.on_a_rise(sums, np.full(4000, 10.0))) < 0.01 for sums in drawn]
    assert np.mean(proven) > 0.8


def test_nothing_seen_proves_nothing() -> None:
    """No rows and rows without a difference have a p-value of 1."""
    assert betting.p_value(np.zeros(0)) == 1.0
    assert betting.p_value(betting.on_a_rise(np.zeros(50), np.ones(50))) == 1.0


@pytest.mark.parametrize(("margin", "gained", "lost"), [(0.0, 0.05, 0.05), (0.03, 0.02, 0.05)])
def test_looking_after_each_row_keeps_the_level(margin: float, gained: float, lost: float) -> None:
    """Where the claim is just not true it is proven at some time within 500 rows in fewer than a level's share."""
    random = np.random.default_rng(3)
    drawn = random.choice([1.0, -1.0, 0.0], size=(2000, 500), p=[gained, lost, 1 - gained - lost])
    found = np.array([proof(in_sessions(apart), in_sessions(apart).live, margin, 1000).p for apart in drawn])
    for level in (0.01, 0.05):
        assert (found <= level).mean() < level


def test_heavier_rows_count_more() -> None:
    """Twenty gained of weight four prove more than sixty lost of weight a quarter take back."""
    apart = np.tile([1.0, -1.0, -1.0, -1.0], 20)
    weight = np.where(apart > 0, 4.0, 0.25)
    even = in_sessions(apart)
    heavy = replace(even, weight=weight / weight.mean())
    assert proof(even, even.live, 0.0, 1000).p == 1.0
    assert proof(heavy, heavy.live, 0.0, 1000).difference > 0.5 and proof(heavy, heavy.live, 0.0, 1000).p < 0.01


def test_fractions_are_evidence_by_their_size() -> None:
    """Scores between 0 and 1, as of texts that a judge rates, prove a rise sooner the larger it is."""
    random = np.random.default_rng(4)
    live = random.uniform(0.3, 0.6, 200)
    even = in_sessions(np.zeros(200))
    found = [
        proof(replace(even, candidate=live + rise + random.normal(0, 0.05, 200), live=live), live, 0.0, 1000).p
        for rise in (0.0, 0.1, 0.3)
    ]
    assert found[0] > 0.05 > found[1] > found[2]


def test_independent_rows_are_tested_exactly_at_the_planned_number() -> None:
    """Half of the level is McNemar's and Tango's, asked once of the first `planned` rows, and never before or again."""
    apart = np.random.default_rng(6).permutation(np.repeat([1.0, -1.0, 0.0], [60, 30, 910]))
    found = proof(independent(apart), independent(apart).live, 0.0, 1000)
    assert found.p == pytest.approx(2 * mcnemar(Pairs(1000, 60, 30))) and found.halved
    more = independent(np.concatenate([apart, -np.ones(5)]))
    assert proof(more, more.live, 0.0, 1000).p == found.p
    fewer = independent(apart[:999])
    assert proof(fewer, fewer.live, 0.0, 1000).p > found.p
    assert not proof(in_sessions(apart), in_sessions(apart).live, 0.0, 1000).halved


@pytest.mark.parametrize(
    ("margin", "gained", "lost"),
    [
        (0.0, 0.18, 0.02), (0.0, 0.07, 0.03), (0.0, 0.03, 0.02),
        (0.03, 0.035, 0.035), (0.03, 0.025, 0.03), (0.03, 0.0275, 0.0425), (0.15, 0.035, 0.116),
    ],
)  # fmt: skip
def test_rows_needed_give_the_power_they_promise(margin: float, gained: float, lost: float) -> None:
    """With that many rows the observed difference is proven in about nine of ten simulated tests."""
    level = 0.0075
    seen = in_sessions(
        np.repeat([1.0, -1.0, 0.0], [round(1000 * gained), round(1000 * lost), 1000 - round(1000 * (gained + lost))])
    )
    n = int(proof(seen, seen.live, margin, 10**6).needs_anew(level))
    random = np.random.default_rng(12)
    drawn = random.choice([1.0, -1.0, 0.0], size=(600, n), p=[gained, lost, 1 - gained - lost])
    passed = [proof(in_sessions(apart), in_sessions(apart).live, margin, 10**6).p <= level for apart in drawn]
    assert 0.85 <= np.mean(passed) <= 0.995


def test_what_no_rows_prove_needs_infinitely_many() -> None:
    """A candidate that is no better, and not within a margin, is not proven by any number of rows."""
    apart = in_sessions(np.repeat([1.0, -1.0, 0.0], [20, 60, 920]))
    assert proof(apart, apart.live, 0.0, 1000).needs(0.005) == np.inf
    assert proof(apart, apart.live, 0.03, 1000).needs(0.005) == np.inf
    assert proof(apart, apart.live, 0.0, 1000).needs(0.005, optimistic=True) == np.inf
