"""Six kinds of real faults under load: nothing missing, nothing twice. `make chaos` injects all of them, many times."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.load import Load
from benchmarks.chaos.round import play
from benchmarks.chaos.stage import raised

pytestmark = [pytest.mark.end_to_end, pytest.mark.stack, pytest.mark.timeout(400)]
CACHE = Path(__file__).parents[2] / "var" / "cache"
RATE = 1000.0


@pytest.fixture(scope="module")
def scenery(tmp_path_factory):
    with raised(tmp_path_factory.mktemp("chaos") / "home", CACHE) as stage:
        load = Load(stage.settings, RATE)
        with load.running():
            yield stage, load


@pytest.mark.parametrize(
    "name",
    [
        "both streams workers killed",
        "broker killed",
        "ClickHouse killed",
        "gateway killed",
        "a value that ClickHouse refuses",
        "duplicates",
    ],
)
def test_a_fault_costs_no_event(scenery, name):
    """Everything that was acknowledged while it happened is a row once, or a dead letter where it cannot be one."""
    stage, load = scenery
    outcome = play(FAULTS[name][0], stage, load, f"chaos-{name.replace(' ', '-')}.")
    assert outcome.events > 2000
    assert (outcome.missing, outcome.duplicated) == (0, 0), outcome


def test_the_count_notices_a_loss(scenery):
    """An event that its emitter counted and nobody has is missing; what does not become true is said."""
    stage, load = scenery

    def lose(scene):
        scene.load.emitted[scene.tag] += 1
        scene.checks += [lambda: "", lambda: "it is not so"]

    outcome = play(lose, stage, load, "chaos-loss.", patience_s=5.0)
    assert (outcome.missing, outcome.untrue) == (1, ("it is not so",))
