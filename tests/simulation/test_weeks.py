"""A small version of `make bench-weeks`: the loop's own decisions on simulated weeks."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import weeks
from benchmarks.weekly import world


def test_a_fall_is_recovered_in_a_week() -> None:
    """At 50 labels a day, where a first look at 1,000 test rows would come after three weeks."""
    names = [case.name for case in weeks.CASES]
    turns = weeks.batch(names.index("falls to .80"), 100, seed=7)
    assert sum(one.days is not None and one.days <= 7 for one in turns) >= 88
    late = weeks.batch(names.index("falls to .80, first look at 1,000 test rows"), 10, seed=7)
    assert not [one for one in late if one.days is not None and one.days <= 21]


def test_candidates_that_are_no_better_are_not_promoted() -> None:
    """Two months of looks, and of candidates that are as good as the live version."""
    names = [case.name for case in weeks.CASES]
    turns = weeks.batch(names.index("no candidate is better"), 25, seed=7)
    assert sum(one.days is not None for one in turns) <= 2
    assert np.mean([one.looks for one in turns]) > 3


@pytest.mark.parametrize("equal", [True, False])
def test_a_candidate_is_as_good_as_the_world_says(equal: bool) -> None:
    """An equal one is as often right as the live version; one that learned all is right again in nearly everything."""
    random = np.random.default_rng(5)
    given = world.World(equal=equal)
    found = world.history(given, 2_000, 0.4, random)
    after = found.at >= 0
    assert abs(found.wrong[after].mean() - 0.20) < 0.01
    scores = world.tuned(1, 0, 1_500, found, random).scores(given, found)[after]
    live = ~found.wrong[after]
    assert abs(scores.mean() - (live.mean() if equal else 0.96)) < 0.01
    if equal:
        assert abs((scores != live).mean() - world.DISCORDANT) < 0.01
