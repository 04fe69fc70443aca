"""Fine-tuning starts from the probe, stops and goes on exactly, and what it writes is what was tuned."""

from __future__ import annotations

import errno
import io
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_artifacts_and_scoring import manifest

from headrace import kinds
from headrace.models.bases import base_of
from headrace.models.bundle import GRAPH, GRAPH_WEIGHTS
from headrace.models.encoder_base import Encoder
from headrace.models.families import family_of, open_bundle
from headrace.models.families.encoder import TunableEncoder
from headrace.models.family import LabelSet
from headrace.models.tensors import Floats
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of
from trainer.heads import balance
from trainer.progress import Progress
from trainer.tune import checkpoint, precision
from trainer.tune.fitting import epochs_of
from trainer.tune.kept import Kept
from trainer.tune.method import Diverged, Given, OutOfBudget
from trainer.tune.naming import WEIGHT, named

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
def embeddings() -> Floats:
    """Of the rows, by the base as it is."""
    return Encoder(threads=2).embed(TEXTS)


def tune(
    embeddings: Floats,
    folder: Path,
    method: str = "lora",
    step: Callable[[int, int], None] = nothing,
    deadline: float = float("inf"),
    **keys: object,
) -> TunableEncoder:
    """Two epochs of three batches, saved to `candidate`; what was tuned."""
    spec = CandidateSpec.model_validate({"method": method, "epochs": 2, "batch": 8} | keys)
    given = Given(
        base=base_of("minilm-l6"),
        family=family_of("encoder"),
        labels=LabelSet(LABELS, {label: label for label in LABELS}, {}),
        texts=TEXTS,
        truth=TRUTH,
        weights=[1.0] * len(TRUTH),
        embeddings=lambda: embeddings,
        seed=3,
        threads=2,
        checkpoint=folder / "checkpoint.safetensors",
        key="this run",
        deadline=deadline,
        step=step,
    )
    kinds.load("methods", method).tune(given, keys_of(spec))
    (folder / "candidate").mkdir(parents=True)
    given.tunable.save(folder / "candidate", kinds.load("methods", method).MAKES)
    assert isinstance(given.tunable, TunableEncoder)
    return given.tunable


def files(folder: Path) -> dict[str, bytes]:
    """A candidate's files."""
    return {file.name: file.read_bytes() for file in (folder / "candidate").iterdir()}


@pytest.mark.parametrize(("method", "keys"), [("lora", {"rank": 4}), ("lora", {"rank": 64}), ("full", {})])
def test_what_is_loaded_is_what_was_tuned(
    embeddings: Floats, tmp_path: Path, method: str, keys: dict[str, int]
) -> None:
    """The candidate's folder, loaded as a gateway does, embeds as the encoder in memory and not as the base."""
    tuned = tune(embeddings, tmp_path, method, **keys).encoder
    loaded = open_bundle(tmp_path / "candidate", manifest(method=method))
    ours, theirs = tuned.embed(TEXTS[:5]), loaded.encoder.embed(TEXTS[:5])
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.abs(theirs - Encoder().embed(TEXTS[:5])).max() > 1e-3
    extra = {"adapter_config.json", "adapter_model.safetensors"} if method == "lora" else {"encoder.safetensors"}
    assert set(files(tmp_path)) == {"head.safetensors", "neighbours.safetensors", GRAPH, GRAPH_WEIGHTS, *extra}
    remembered = open_bundle(tmp_path / "candidate", manifest(method=method)).neighbours
    assert remembered.k == 10 and np.abs(remembered.vectors - tuned.embed(TEXTS)).max() < 1e-4


def test_a_head_learns_at_a_rate_of_its_own(embeddings: Floats, tmp_path: Path) -> None:
    """With weights that hardly move, it is the head that is tuned, from where the probe put it."""
    rates = {"learning_rate": 1e-7, "neighbours": 0}
    slow = tune(embeddings, tmp_path / "slow", "full", head_learning_rate=1e-7, **rates)
    quick = tune(embeddings, tmp_path / "quick", "full", head_learning_rate=1e-2, **rates)
    assert float((quick.head.weight - slow.head.weight).detach().abs().max()) > 0.01
    assert np.abs(quick.encoder.embed(TEXTS[:5]) - slow.encoder.embed(TEXTS[:5])).max() < 1e-3


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (19, ["hr: people and pay", "out of scope"]),
        (20, []),
    ],
)
def test_names_of_labels_are_rows_where_rows_are_few(
    embeddings: Floats, tmp_path: Path, rows: int, expected: list[str]
) -> None:
    """Of labels that have rows, with what the plan says that they stand for; and with an embedding each."""
    given = Given(
        base=base_of("minilm-l6"),
        family=family_of("encoder"),
        labels=LabelSet(LABELS, {label: label for label in LABELS}, {"hr": "people and pay"}),
        texts=["how many"] * 2 * rows,
        truth=[0, 2] * rows,
        weights=[0.5] * 2 * rows,
        embeddings=lambda: np.repeat(embeddings[:1], 2 * rows, axis=0),
        seed=3,
        threads=2,
        checkpoint=tmp_path / "checkpoint.safetensors",
        key="this run",
        deadline=float("inf"),
        step=nothing,
    )
    full = kinds.load("methods", "full")
    found = named(given, full)
    added = len(expected)
    assert [*found.texts[2 * rows :]] == expected and len(found.texts) == 2 * rows + added
    assert [*found.truth[2 * rows :]] == [0, 2][:added] and [*found.weights[2 * rows :]] == [WEIGHT] * added
    assert found.embeddings().shape == (2 * rows + added, embeddings.shape[1])
    assert named(replace(given, family=family_of("causal")), full).texts == given.texts


def test_the_plan_may_want_no_neighbours(embeddings: Floats, tmp_path: Path) -> None:
    """Then the bundle holds what it held before there were any."""
    tune(embeddings, tmp_path, "full", neighbours=0)
    assert set(files(tmp_path)) == {"head.safetensors", "encoder.safetensors", GRAPH, GRAPH_WEIGHTS}


def test_the_fewer_rows_a_label_has_the_more_often_each_is_seen() -> None:
    """Between the method's fewest epochs and ten, unless the plan says how many."""
    seen = [epochs_of(0, [n % 10 for n in range(rows)], (), 3) for rows in (40, 100, 200, 411, 2000)]
    assert seen == [10, 10, 5, 3, 3]
    assert epochs_of(0, [n % 10 for n in range(2000)], (), 6) == 6 and epochs_of(2, [0, 1], (), 3) == 2


@pytest.mark.parametrize(
    ("instructions", "gain", "expected"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, 3.0, "bfloat16"),
        ({"avx512_bf16": True}, 0.66, "float32"),
        ({"avx512_bf16": True}, 1.1, "float32"),
        ({}, 3.0, "float32"),
    ],
)
def test_bfloat16_multiplies_where_it_is_clearly_faster(
    instructions: dict[str, bool], gain: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Having the instructions says nothing of that."""
    monkeypatch.setattr(precision, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    monkeypatch.setattr(precision, "gain", lambda: gain)
    assert precision.products.__wrapped__() == expected


def test_timing_a_layer_draws_nothing_from_the_runs_numbers() -> None:
    """A run is repeated to the byte, whether the layer was timed in its process or not."""
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    assert precision.gain() > 0
    assert torch.equal(torch.rand(3), expected)


def test_a_head_learns_to_answer_alike_under_dropout(embeddings: Floats) -> None:
    """The consistent loss is the mean of two readings and what they differ by; without dropout the plain loss."""
    tunable = TunableEncoder(base_of("minilm-l6"), LabelSet(LABELS, {label: label for label in LABELS}, {}), 2)
    rows = tunable.prepare(TEXTS[:4])
    with torch.inference_mode():
        plain, twice = tunable.losses(rows, TRUTH[:4]), tunable.consistent_losses(rows, TRUTH[:4])
        assert torch.allclose(plain, twice, atol=1e-5)
        tunable.module.train()
        torch.manual_seed(1)
        first, second = tunable.head(tunable.encoder.pooled([*rows, *rows])).log_softmax(1).chunk(2)
        torch.manual_seed(1)
        apart = ((first.exp() - second.exp()) * (first - second)).sum(1) / 2
        expected = -(first + second)[range(4), TRUTH[:4]] / 2 + apart
        assert torch.allclose(tunable.consistent_losses(rows, TRUTH[:4]), expected, atol=1e-5) and apart.min() > 0


def test_stopped_and_resumed_is_never_stopped(embeddings: Floats, tmp_path: Path) -> None:
    """Ended in the second epoch and started again from the checkpoint: the same bytes as without an end."""

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise Stopped

    heard: list[tuple[int, int]] = []
    tune(embeddings, tmp_path / "straight")
    with pytest.raises(Stopped):
        tune(embeddings, tmp_path / "stopped", step=stop)
    tune(embeddings, tmp_path / "stopped", step=lambda done, total: heard.append((done, total)))
    assert heard == [(4, 6), (5, 6), (6, 6)]
    assert files(tmp_path / "stopped") == files(tmp_path / "straight")


def test_the_budget_ends_a_run(embeddings: Floats, tmp_path: Path) -> None:
    """After the deadline no further batch is trained, and no candidate is written."""
    with pytest.raises(OutOfBudget):
        tune(embeddings, tmp_path, deadline=time.monotonic())
    assert not (tmp_path / "candidate").exists()


def test_only_the_same_runs_checkpoint_is_taken_over(tmp_path: Path) -> None:
    """A checkpoint of other rows, another seed or another plan is left alone; a broken one is no checkpoint."""
    parameters = {"w": torch.nn.Parameter(torch.ones(3))}
    optimizer = torch.optim.AdamW(parameters.values())
    earlier, own = tmp_path / "earlier.safetensors", tmp_path / "own" / "own.safetensors"
    key = checkpoint.key_of(dataset="a", seed=1)
    checkpoint.save(earlier, key, 2, parameters, optimizer)
    behind = tmp_path / "behind.safetensors"
    checkpoint.save(behind, key, 1, parameters, optimizer)
    assert checkpoint.take_over(own, [earlier], checkpoint.key_of(dataset="b", seed=1)) is None
    assert checkpoint.take_over(own, [behind, earlier, tmp_path / "none"], key) == earlier
    assert checkpoint.take_over(own, [earlier], key) is None
    assert checkpoint.load(own, key, parameters, optimizer) == 2
    own.write_bytes(earlier.read_bytes()[:40])
    assert checkpoint.load(own, key, parameters, optimizer) == 0


def test_a_checkpoint_of_other_tensors_is_none(tmp_path: Path) -> None:
    """Of a version of this program that trained fewer, or others: the run begins anew, and nothing is half taken."""
    file, ones = tmp_path / "c.safetensors", torch.nn.Parameter(torch.ones(3))
    checkpoint.save(file, "key", 2, {"w": ones}, torch.optim.AdamW([ones]))
    for other in ({"w": torch.zeros(3), "new": torch.zeros(1)}, {"w": torch.zeros(2, 3)}):
        named = {name: torch.nn.Parameter(tensor) for name, tensor in other.items()}
        assert checkpoint.load(file, "key", named, torch.optim.AdamW(named.values())) == 0
        assert not any(tensor.any() for tensor in named.values())


def test_a_store_that_fails_in_the_middle_costs_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was to be copied is left out, either way, and no half of it stays to fill a full disk."""
    ones = torch.nn.Parameter(torch.ones(3))
    file = tmp_path / "store" / "checkpoints" / "a.safetensors"
    checkpoint.save(file, "key", 2, {"w": ones}, torch.optim.AdamW([ones]))

    def full(source: Path, to: Path) -> None:
        """A disk that takes a part of the file."""
        to.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    said = io.StringIO()
    kept = Kept(tmp_path / "own", [tmp_path / "store"], tmp_path / "store", Progress(said))
    assert not kept.take_over("a", "key", "lora").curve and "could not be copied: No space left" in said.getvalue()
    checkpoint.save(kept.checkpoint_of("b"), "key", 1, {"w": ones}, torch.optim.AdamW([ones]))
    kept.keep("b", "lora")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.safetensors", "b.safetensors"]


def test_a_rare_label_weighs_more_but_not_all_the_more() -> None:
    """Weights are 1 on average over rows and fall with the root of a label's frequency."""
    often, seldom = 0, 1
    weights = balance([often] * 90 + [seldom] * 10)
    assert (90 * weights[often] + 10 * weights[seldom]) / 100 == pytest.approx(1)
    assert weights[seldom] / weights[often] == pytest.approx(3)


@pytest.mark.parametrize(("method", "keys"), [("lora", {"rank": 4}), ("full", {}), ("distil", {"teachers": 1})])
def test_training_that_diverges_says_so(
    embeddings: Floats, tmp_path: Path, method: str, keys: dict[str, object]
) -> None:
    """With a rate that makes the weights no numbers nothing is saved, and no checkpoint to go on from."""
    with pytest.raises(Diverged, match=r"diverged in epoch 1 of 2: .* learning_rate below 1e"):
        tune(embeddings, tmp_path, method, learning_rate=1e30, **keys)
    assert not list(tmp_path.rglob("*.safetensors"))
