"""A student with fewer layers learns what its teachers say, is published as such, and resumes without its teachers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_artifacts_and_scoring import manifest
from test_bases import made
from test_tuning import LABELS, TEXTS, TRUTH, Stopped, nothing
from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel
from warm_processes import run

from headrace.errors import ArtifactError, PlanError
from headrace.models.bases import Base, base_of
from headrace.models.bundle import GRAPH, GRAPH_WEIGHTS, verify
from headrace.models.encoder_base import Encoder, of_config, shallower, write_config
from headrace.models.families import family_of, open_bundle
from headrace.models.families.encoder import TunableEncoder
from headrace.models.family import LabelSet
from headrace.plan import CandidateSpec, parse
from headrace.plan.methods import keys_of
from trainer.progress import Progress
from trainer.publish.artifact import publish_winner
from trainer.tune import checkpoint
from trainer.tune.kept import Kept
from trainer.tune.method import Given
from trainer.tune.methods import distil

SIZE = {"vocab_size": 8, "num_hidden_layers": 4, "intermediate_size": 32, "num_attention_heads": 2}
PLAN = """
version = 2
[tasks.router]
labels = ["hr", "it"]
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.router.candidates.small]
base = "smollm2-135m-q4"
method = "distil"
"""
LOAD = """
import sys
from pathlib import Path
from headrace.models.bundle import verify
from headrace.models.families import load, open_bundle
from headrace.models.family import parity
folder, digest = Path(sys.argv[1]), sys.argv[2]
on_torch = open_bundle(folder, verify(folder, digest))
print(on_torch.encoder.module.config.num_hidden_layers, max(parity(on_torch), parity(load(folder, digest))))
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Four layers with random weights."""
    torch.manual_seed(1)
    return made(tmp_path_factory.mktemp("base"), BertModel(BertConfig(hidden_size=24, **SIZE)))


def given_of(base: Base, folder: Path, step: Callable[[int, int], None] = nothing) -> Given:
    """The rows of test_tuning."""
    return Given(
        base=base,
        family=family_of("encoder"),
        labels=LabelSet(LABELS, {label: label for label in LABELS}, {}),
        texts=TEXTS,
        truth=TRUTH,
        weights=[1.0] * len(TRUTH),
        embeddings=lambda: Encoder(base, threads=1).embed(TEXTS),
        seed=3,
        threads=1,
        checkpoint=folder / "small.safetensors",
        key="this run",
        deadline=float("inf"),
        step=step,
    )


def student(base: Base, folder: Path, step: Callable[[int, int], None] = nothing, **keys: Any) -> TunableEncoder:
    """Two teachers and a student of two epochs of three batches, saved to `candidate`."""
    spec = CandidateSpec.model_validate({"method": "distil", "epochs": 2, "batch": 8, "teachers": 2} | keys)
    given = given_of(base, folder, step)
    distil.tune(given, keys_of(spec))
    (folder / "candidate").mkdir(parents=True)
    given.tunable.save(folder / "candidate", "full")
    assert isinstance(given.tunable, TunableEncoder)
    return given.tunable


def test_a_published_student_is_loaded_with_its_own_layers(tmp_path: Path) -> None:
    """By another process, which gets the log-probabilities that were recorded; a changed one is refused."""
    tuned = student(base_of("minilm-l6"), tmp_path, teachers=1, epochs=1)
    said = manifest(method="distil").model_copy(update={"kind": "full"})
    model = open_bundle(tmp_path / "candidate", said)
    assert np.abs(model.embed(TEXTS[:5]) - tuned.embed(TEXTS[:5])).max() < 1e-4
    assert tuned.parameters == Encoder().parameters - 3 * 1_774_464 + tuned.head.weight.numel() + len(LABELS)
    published = publish_winner(model, tmp_path / "store", said)
    _, told, stderr = run("trainer", ["-c", LOAD, str(published.path), published.digest])
    layers, apart = told.split()
    assert layers == "3" and float(apart) < 1e-4, stderr
    file = published.path / "config.json"
    file.write_text(file.read_text("utf-8").replace('"num_hidden_layers": 3', '"num_hidden_layers": 2'), "utf-8")
    with pytest.raises(ArtifactError, match="its sha256 differs"):
        verify(published.path, published.digest)


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        (lambda: BertModel(BertConfig(hidden_size=24, **SIZE)), "encoder.layer"),
        (lambda: ModernBertModel(ModernBertConfig(hidden_size=32, pad_token_id=0, **SIZE)), "layers"),
    ],
    ids=["bert", "modernbert"],
)
def test_every_second_layer_is_kept(model: Any, layers: str, tmp_path: Path) -> None:
    """With the base's weights; what the configuration describes afterwards takes the same weights."""
    whole = Encoder(made(tmp_path, model()))
    half = shallower(whole.module, 2)
    for number, place in enumerate((0, 2)):
        mine, theirs = half.get_submodule(f"{layers}.{number}"), whole.module.get_submodule(f"{layers}.{place}")
        assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    assert len(half.get_submodule(layers)) == 2 and len(whole.module.get_submodule(layers)) == 4
    (tmp_path / "student").mkdir()
    write_config(half, tmp_path / "student")
    again = of_config(tmp_path / "student", whole.module)
    again.load_state_dict(half.state_dict())
    ids = torch.tensor([[2, 3, 4, 5]])
    assert torch.equal(again(input_ids=ids).last_hidden_state, half(input_ids=ids).last_hidden_state)
    assert str(tmp_path) not in (tmp_path / "student" / "config.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num_hidden_layers": 5}, "with 5 layers"),
        ({"hidden_size": 48}, "width 48"),
        ({"model_type": "x"}, "is not an"),
    ],
)
def test_a_configuration_that_is_not_of_the_base_is_refused(
    small: Base, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    """In one sentence, before anything of that size is built."""
    whole = Encoder(small)
    write_config(shallower(whole.module, 2), tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(ArtifactError, match=says):
        of_config(tmp_path, whole.module)


def test_the_student_says_what_its_teachers_say(small: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the labels have no share; where they have all, it learns them."""
    last = torch.tensor([[0.0, 0.0, 1.0]]).repeat(len(TEXTS), 1)
    monkeypatch.setattr(distil, "_said", lambda given, keys: last)
    keys = {"epochs": 10, "learning_rate": 1e-2, "neighbours": 0}

    def said(folder: str, hard: float) -> set[int]:
        tuned = student(small, tmp_path / folder, hard=hard, **keys)
        with torch.inference_mode():
            return set(tuned.logits(tuned.prepare(TEXTS)).argmax(1).tolist())

    assert said("soft", 0.0) == {2}
    assert said("hard", 1.0) != {2}


def test_teachers_differ_and_say_more_than_one_label(small: Base, tmp_path: Path) -> None:
    """Each has its own seed; a higher temperature leaves more to the other labels."""
    keys = distil.Keys(epochs=1, batch=8, learning_rate=1e-2)
    given = given_of(small, tmp_path)
    first, second = (distil._said(distil._part(given, keys, number, 0, 3), keys) for number in (0, 1))
    assert first.sum(1) == pytest.approx(1) and (first - second).abs().max() > 1e-5
    warmer = keys.model_copy(update={"temperature": 8.0})
    again = distil._said(distil._part(given, warmer, 0, 0, 3), warmer)
    assert again.max(1).values.mean() < first.max(1).values.mean()


def test_a_finished_teacher_is_not_tuned_again(small: Base, tmp_path: Path) -> None:
    """Ended in the second teacher's second epoch, it goes on there, and ends with the same bytes."""

    def stop(done: int, total: int) -> None:
        assert total == 18
        if done == 11:
            raise Stopped

    heard: list[int] = []
    student(small, tmp_path / "straight")
    with pytest.raises(Stopped):
        student(small, tmp_path / "stopped", step=stop)
    student(small, tmp_path / "stopped", step=lambda done, total: heard.append(done))
    assert heard == list(range(10, 19))
    straight, stopped = (
        {file.name: file.read_bytes() for file in (tmp_path / folder / "candidate").iterdir()}
        for folder in ("straight", "stopped")
    )
    assert straight == stopped
    weights = {"head.safetensors", "neighbours.safetensors", "encoder.safetensors", "config.json"}
    assert set(straight) == {*weights, GRAPH, GRAPH_WEIGHTS}


def test_the_whole_base_may_be_the_student(small: Base, tmp_path: Path) -> None:
    """Then its bundle is one of `full`, without a configuration of its own."""
    assert student(small, tmp_path, layers=0, teachers=1, epochs=1).module.config.num_hidden_layers == 4
    assert not (tmp_path / "candidate" / "config.json").exists()


def test_teachers_travel_with_the_candidates_checkpoint(tmp_path: Path) -> None:
    """Through the store to another machine, of the same run alone."""
    parameters = {"w": torch.nn.Parameter(torch.ones(3))}
    optimizer = torch.optim.AdamW(parameters.values())
    one = Kept(tmp_path / "one", [], tmp_path / "store", Progress(sys.stdout))
    given = replace(given_of(base_of("minilm-l6"), tmp_path), checkpoint=one.checkpoint_of("small"))
    checkpoint.save(given.part("teacher-1"), "this run", 2, parameters, optimizer)
    checkpoint.save(given.part("teacher-2"), "another run", 2, parameters, optimizer)
    one.keep("small", "distil")
    other = Kept(tmp_path / "other", [tmp_path / "none", tmp_path / "store"], None, Progress(sys.stdout))
    other.take_over("small", "this run", "distil")
    assert [file.name for file in other.checkpoint_of("small").parent.iterdir()] == ["small+teacher-1.safetensors"]


def test_a_causal_base_takes_no_student() -> None:
    """The plan is refused in one sentence."""
    with pytest.raises(PlanError, match="'distil' needs a base that takes a head, which smollm2-135m-q4 does not"):
        parse(PLAN)
