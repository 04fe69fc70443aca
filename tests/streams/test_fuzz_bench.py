"""A short run of what `make bench-fuzz` runs a million times."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fuzz, guided


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_random_inputs_end_in_known_outcomes(target: str) -> None:
    """Each ends as rows, events, named faults or a refusal; the run raises for anything else."""
    assert fuzz.run(target, 3000, seed=3).total() == 3000


@pytest.mark.parametrize(("target", "inputs"), [("collector", 3000), ("streams", 3000), ("otlp", 500)])
def test_guided_inputs_end_in_known_outcomes(target: str, inputs: int, tmp_path: Path) -> None:
    """The same for inputs that are grown by the code they reach."""
    pytest.importorskip("atheris", reason="atheris has no wheel for this platform")
    assert guided.run(target, inputs, seed=3, folder=tmp_path / "guided").total() == inputs


def test_a_guided_input_that_fails_ends_the_run(tmp_path: Path) -> None:
    """What should not happen is raised, with the input."""
    pytest.importorskip("atheris", reason="atheris has no wheel for this platform")
    with pytest.raises(AssertionError, match="KeyError: 'nothing'"):
        guided.run("nothing", 10, seed=1, folder=tmp_path / "guided")
