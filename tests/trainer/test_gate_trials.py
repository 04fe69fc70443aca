"""The gate's promises on simulated test rows: `make bench-gate` with few trials."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gate
from benchmarks.gating import worlds
from benchmarks.gating.cases import CASES, Case
from headrace.statistics.intervals import wilson

TRIALS = 60


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.goal is not None], ids=lambda case: case.trial.__name__
)
def test_the_gate_keeps_its_promise(case: Case) -> None:
    """The share of trials is not proven to miss its goal."""
    random = np.random.default_rng(1)
    count = sum(case.trial(random) for _ in range(TRIALS))
    low, high = wilson(count, TRIALS)
    assert case.met(low if case.at_most else high), f"{count} of {TRIALS}"


def test_without_a_reference_margins_add_up() -> None:
    """The chain of ten candidates loses more than the margin where each is compared with the live version alone."""
    (alone,) = (case for case in CASES if case.goal is None)
    random = np.random.default_rng(1)
    assert sum(alone.trial(random) for _ in range(20)) > 2


def test_the_rows_are_what_the_benchmark_says() -> None:
    """Two versions disagree on .07 of the rows, and sessions make a mean's variance 1.3 times that of single rows."""
    random = np.random.default_rng(1)
    apart = [
        (test.candidate - test.live, test) for test in (worlds.pair(random, 500, 0.035, 0.035) for _ in range(2000))
    ]
    sums = np.array([one.sum() for one, _ in apart])
    discordant = np.mean([(one != 0).mean() for one, _ in apart])
    assert discordant == pytest.approx(worlds.DISCORDANT, abs=0.002)
    assert sums.var() / (500 * discordant) == pytest.approx(worlds.DESIGN_EFFECT, abs=0.13)


def test_a_missed_goal_fails_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are written either way, and the exit code says whether each goal is met."""
    monkeypatch.chdir(tmp_path)
    for goal, code in ((0.0, 1), (1.0, 0)):
        monkeypatch.setattr(gate, "CASES", (Case("always", lambda random: True, goal),))
        monkeypatch.setattr(gate, "CHUNKS", 1)
        assert gate.main(["--trials", "1"]) == code
        (row,) = json.loads((tmp_path / "var/bench/gate.json").read_text())["rows"]
        assert row.items() >= {"case": "always", "trials": 1, "share": 1.0, "high": 1.0}.items()
