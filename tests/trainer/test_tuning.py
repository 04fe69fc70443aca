"""Fine-tuning starts from the probe, stops and goes on exactly, and what it writes is what was tuned."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_artifacts_and_scoring import manifest

from headrace.models.families import open_bundle
from headrace.models.families.encoder import Encoder
from headrace.plan import CandidateSpec
from trainer.tune import checkpoint
from trainer.tune.methods import heads
from trainer.tune.methods.finetune import OutOfBudget, Run, finetune

LABELS = ("hr", "it", "out_of_scope")
TEXTS = [
    f"{word} {n}" for word in ("how many vacation days", "laptop screen broken", "who won the match") for n in range(8)
]
TRUTH = [0] * 8 + [1] * 8 + [2] * 8


class Stopped(Exception):
    """Stands for whatever ends a process between two epochs."""


def nothing(done: int, total: int) -> None:
    """Hear no progress."""


@pytest.fixture(scope="module")
def head() -> heads.Head:
    """The probe on the rows."""
    return heads.probe(Encoder(threads=2).embed(TEXTS), [LABELS[row] for row in TRUTH], LABELS)


def tune(
    head: heads.Head,
    folder: Path,
    method: str = "lora",
    rank: int = 4,
    step: Callable[[int, int], None] = nothing,
    deadline: float = float("inf"),
) -> Encoder:
    """Two epochs of three batches; the tuned encoder."""
    spec = CandidateSpec.model_validate(
        {"method": method, "epochs": 2, "rank": rank, "batch": 8, "learning_rate": 1e-3 if method == "lora" else 1e-4}
    )
    encoder = Encoder(threads=2)
    run = Run(spec, 3, "this run", folder / "checkpoint.safetensors", deadline, step)
    finetune(encoder, head, TEXTS, TRUTH, run, folder / "candidate")
    return encoder


def files(folder: Path) -> dict[str, bytes]:
    """A candidate's files."""
    return {file.name: file.read_bytes() for file in (folder / "candidate").iterdir()}


@pytest.mark.parametrize(("method", "rank"), [("lora", 4), ("lora", 32), ("full", 4)])
def test_what_is_loaded_is_what_was_tuned(head: heads.Head, tmp_path: Path, method: str, rank: int) -> None:
    """The candidate's folder, loaded as a gateway does, embeds as the encoder in memory and not as the base."""
    tuned = tune(head, tmp_path, method, rank)
    loaded = open_bundle(tmp_path / "candidate", manifest(method=method))
    ours, theirs = tuned.embed(TEXTS[:5]), loaded.encoder.embed(TEXTS[:5])
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.abs(theirs - Encoder().embed(TEXTS[:5])).max() > 1e-3
    extra = {"adapter_config.json", "adapter_model.safetensors"} if method == "lora" else {"encoder.safetensors"}
    assert set(files(tmp_path)) == {"head.safetensors", *extra}


def test_stopped_and_resumed_is_never_stopped(head: heads.Head, tmp_path: Path) -> None:
    """Ended in the second epoch and started again from the checkpoint: the same bytes as without an end."""

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise Stopped

    heard: list[tuple[int, int]] = []
    tune(head, tmp_path / "straight")
    with pytest.raises(Stopped):
        tune(head, tmp_path / "stopped", step=stop)
    tune(head, tmp_path / "stopped", step=lambda done, total: heard.append((done, total)))
    assert heard == [(4, 6), (5, 6), (6, 6)]
    assert files(tmp_path / "stopped") == files(tmp_path / "straight")


def test_the_budget_ends_a_run(head: heads.Head, tmp_path: Path) -> None:
    """After the deadline no further batch is trained, and no candidate is written."""
    with pytest.raises(OutOfBudget):
        tune(head, tmp_path, deadline=time.monotonic())
    assert not (tmp_path / "candidate").exists()


def test_only_the_same_runs_checkpoint_is_taken_over(tmp_path: Path) -> None:
    """A checkpoint of other rows, another seed or another plan is left alone; a broken one is no checkpoint."""
    parameters = {"w": torch.nn.Parameter(torch.ones(3))}
    optimizer = torch.optim.AdamW(parameters.values())
    earlier, own = tmp_path / "earlier.safetensors", tmp_path / "own" / "own.safetensors"
    key = checkpoint.key_of(dataset="a", seed=1)
    checkpoint.save(earlier, key, 2, parameters, optimizer)
    assert not checkpoint.take_over(own, earlier, checkpoint.key_of(dataset="b", seed=1))
    assert checkpoint.take_over(own, earlier, key) and not checkpoint.take_over(own, earlier, key)
    assert checkpoint.load(own, key, parameters, optimizer) == 2
    own.write_bytes(earlier.read_bytes()[:40])
    assert checkpoint.load(own, key, parameters, optimizer) == 0


def test_a_rare_label_weighs_more_but_not_all_the_more() -> None:
    """Weights are 1 on average over rows and fall with the root of a label's frequency."""
    weights = heads.balance(["often"] * 90 + ["seldom"] * 10)
    assert (90 * weights["often"] + 10 * weights["seldom"]) / 100 == pytest.approx(1)
    assert weights["seldom"] / weights["often"] == pytest.approx(3)
