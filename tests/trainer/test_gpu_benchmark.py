"""`make bench-gpu` works before a GPU is borrowed: a tiny shape on the CPU by every way."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks import gpu

TINY = ["--device", "cpu", "--steps", "1", "--batch", "1", "--mean", "32"]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What would have been written to var/bench/gpu.json."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(gpu, "keep", lambda name, conditions, rows: found.update({name: list(rows)}))
    return found


@pytest.mark.parametrize(
    ("method", "way"),
    [
        ("lora", "headrace"),
        ("full", "headrace"),
        pytest.param("lora", "trl", marks=pytest.mark.acceptance),
        pytest.param("full", "trl", marks=pytest.mark.acceptance),
    ],
)
def test_a_tiny_shape_is_measured_on_the_cpu(kept: dict[str, Any], method: str, way: str) -> None:
    """It has a rate, and neither a GPU's memory nor a share of a peak that nobody knows."""
    assert gpu.main([*TINY, "--method", method, "--way", way]) == 0
    (row,) = kept["gpu"]
    assert row["failed"] == "" and row["tokens_s"] > 0 and (row["gib"], row["mfu"]) == (None, None)


def test_operations_are_those_of_the_shape() -> None:
    """An 8B model needs 6 operations a parameter and token, and a few per cent more for attention; LoRA two thirds."""
    full, lora = (gpu.operations("8b", method, 8_030_000_000, 512) for method in ("full", "lora"))
    assert 1.0 < full / (6 * 8.03e9) < 1.03 and lora / full == pytest.approx(2 / 3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """And how to see that it works."""
    assert gpu.main([]) == 2
    assert "needs a GPU, and torch sees none; --shape tiny --device cpu" in capsys.readouterr().err
