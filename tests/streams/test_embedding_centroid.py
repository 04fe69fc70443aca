"""Meaning: real embeddings, made by a child beside the monitor, and a test whose numbers are linear algebra's."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from router_story import Story
from scipy import stats
from windows_story import REFERENCE, Answer, tell, view

from benchmarks.shifting import answers
from headrace.plan import Plan
from headrace.settings import Settings
from streams import embedder as embedders
from streams.detectors.embedding_centroid import EmbeddingCentroid, Moments, dispersion, root, t_squared, tail
from streams.embedder import DIMENSIONS, WINDOWS_A_RUN, Embedder, Wanted
from streams.projection import moments

PATIENCE_S = 240


def drawn(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Points that hang together, as embeddings do."""
    draw = np.random.default_rng(seed)
    return (draw.normal(size=(n, 8)) @ np.random.default_rng(0).normal(size=(8, DIMENSIONS)) * 0.1).astype(
        np.float32
    ) + (draw.normal(size=(n, DIMENSIONS)) * 0.1 + shift).astype(np.float32)


def summed(points: np.ndarray) -> Moments:
    """As the warehouse returns them: kept in single precision."""
    row = moments(points)
    return Moments(row["questions"], *(list(map(float, np.float32(row[name]))) for name in ("sums", "products")))


def test_t_squared_is_linear_algebras() -> None:
    """From moments in single precision within a thousandth of what the points give; the benchmark's is the same."""
    before, now = drawn(600, 1), drawn(150, 2, 0.01)
    lower = root(summed(before), summed(now))
    assert lower is not None
    found = t_squared(summed(before), summed(now), lower)
    n, m = len(before), len(now)
    pooled = ((n - 1) * np.cov(before.T) + (m - 1) * np.cov(now.T)) / (n + m - 2)
    difference = now.mean(axis=0) - before.mean(axis=0)
    expected = difference @ np.linalg.solve(pooled, difference) * n * m / (n + m)
    assert found == pytest.approx(expected, rel=1e-3)
    assert answers.t_squared(answers.moments_of(before), answers.moments_of(now)) == pytest.approx(expected, rel=1e-4)
    freedom, under = n + m - 2, n + m - 1 - DIMENSIONS
    scaled = expected * under / (freedom * DIMENSIONS)
    assert tail(expected, n, m, DIMENSIONS) == pytest.approx(stats.f.sf(scaled, DIMENSIONS, under), rel=1e-6)


def test_questions_that_repeat_each_other_are_not_tested() -> None:
    """Fewer different questions than dimensions: there is no covariance to measure by."""
    assert root(summed(np.tile(drawn(50, 1), (6, 1))), summed(np.tile(drawn(20, 2), (6, 1)))) is None


@pytest.mark.parametrize(("season", "low", "high"), [(0.0, 1.0, 1.15), (0.02, 1.3, 20.0)])
def test_windows_that_differ_among_each_other_count_less(season: float, low: float, high: float) -> None:
    """The dispersion is linear algebra's, and the benchmark's; without a season it is next to 1."""
    windows = [drawn(100, seed, season * (seed % 3)) for seed in range(24)]
    before, now = np.concatenate(windows), drawn(150, 99)
    reference = dataclasses.replace(
        summed(before),
        window_questions=[len(each) for each in windows],
        window_sums=[summed(each).sums for each in windows],
    )
    lower = root(reference, summed(now))
    assert lower is not None
    found = dispersion(reference, lower)
    pooled = answers.covariance(answers.moments_of(before), answers.moments_of(now))
    means = np.array([each.mean(axis=0) for each in windows]) - before.mean(axis=0)
    expected = 100 * np.einsum("wi,ij,wj->", means, np.linalg.inv(pooled), means) / 23 / DIMENSIONS
    assert found == pytest.approx(max(1.0, expected), rel=1e-3) and low <= found < high
    few = dataclasses.replace(reference, window_questions=[100] * 5, window_sums=reference.window_sums[:5])
    assert dispersion(few, lower) == 1.0


def test_a_childs_embeddings_tell_another_topic(
    story: Story, plan: Plan, clickhouse_server: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child embeds what the detector lacks, the newest window first; windows about something else differ."""
    for name, value in clickhouse_server.replaced(database=story.sink.database).environ().items():
        monkeypatch.setenv(name, value)
    promotion = story.promote("router@1", artifact="a")
    things = ("laptop", "monitor", "phone", "printer", "badge", "keyboard", "headset", "camera", "dock", "router")
    troubles = ("is broken", "got lost", "is too slow", "makes noise", "needs a cable", "will not start", "is too old")

    draw = random.Random(1)

    def about(start: str) -> list[Answer]:
        said = (
            f"{start} {draw.choice(things)} {draw.choice(troubles)} on floor {draw.randint(1, 99)}" for _ in range(60)
        )
        return [Answer(text=text) for text in said]

    tell(story, [about("my") for _ in range(REFERENCE + 1)] + [about("whose song is it when a") for _ in range(2)])
    child = Embedder(tmp_path / "embedding.log")
    seen = dataclasses.replace(view(story, plan.tasks["router"], promotion, REFERENCE + 3), embedder=child)
    detector = EmbeddingCentroid()
    first = detector.read(seen)
    assert first.n == 0 and "embedded yet" in first.reason
    deadline = time.monotonic() + PATIENCE_S
    windows = "SELECT count() AS n FROM window_embeddings FINAL"
    while story.sink.rows(windows)[0]["n"] < REFERENCE + 3:
        assert time.monotonic() < deadline, (tmp_path / "embedding.log").read_text()
        time.sleep(0.2)
    reading = EmbeddingCentroid().read(seen)
    p_values = [window["p_value"] for window in reading.inputs["windows"]]
    assert reading.fired and reading.family == "meaning" and reading.n == 60
    assert p_values[0] > 0.001 > max(p_values[1:]) and reading.inputs["windows"][-1]["distance"] > 0


def test_without_the_encoder_it_says_so(story: Story, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed is named in the reading, and nothing else happens."""
    monkeypatch.setattr(embedders, "NEEDED", ("no_such_package",))
    promotion = story.promote("router@1", artifact="a")
    tell(story, [[Answer()] * 40] * (REFERENCE + 1))
    reading = EmbeddingCentroid().read(view(story, plan.tasks["router"], promotion, REFERENCE + 1))
    assert reading.n == 0 and "the package no_such_package is not installed" in reading.reason


class FakeChild:
    """Runs until it is told that it has ended."""

    started: list[list[str]] = []  # noqa: RUF012 - what the test reads
    running = True

    def __init__(self, name: str, argv: list[str], log: Path) -> None:
        self.windows = json.loads(argv[-1])

    @property
    def alive(self) -> bool:
        return FakeChild.running

    def start(self) -> None:
        FakeChild.started.append([f"{window['task']}{window['window_from']}" for window in self.windows])

    def trim(self, limit_bytes: int) -> None: ...


def test_one_child_at_a_time_and_a_tenth_of_a_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child of 20 s is followed by 180 s of rest; each task's most urgent window comes first, ten in all."""
    monkeypatch.setattr(embedders, "Child", FakeChild)
    now = [0.0]
    child = Embedder(tmp_path / "log", clock=lambda: now[0])
    wanted = {task: [Wanted(task, "v", str(place), "") for place in range(8)] for task in "ab"}
    child.ask("a", [])
    assert FakeChild.started == []
    child.ask("a", wanted["a"])
    child.ask("b", wanted["b"])
    assert FakeChild.started == [[f"a{place}" for place in range(8)]], "the second waits for the first child"
    now[0], FakeChild.running = 20.0, False
    child.ask("a", wanted["a"])
    now[0] = 199.0
    child.ask("a", wanted["a"])
    assert len(FakeChild.started) == 1
    now[0] = 201.0
    child.ask("a", wanted["a"])
    assert len(FakeChild.started[1]) == WINDOWS_A_RUN and FakeChild.started[1][:4] == ["b0", "a0", "b1", "a1"]


def test_the_worker_imports_no_torch() -> None:
    """What embeds is a child: the worker's own modules load neither torch nor transformers."""
    code = "import streams.__main__, sys; print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in found.stdout and "transformers" not in found.stdout
