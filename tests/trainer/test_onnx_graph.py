"""Graphs for ONNX Runtime: what is published answers on them as it was tuned, or is not published."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from headrace.errors import ArtifactError
from headrace.models.bases import base_of
from headrace.models.bundle import GRAPH, GRAPH_WEIGHTS, Manifest
from headrace.models.families import load, open_as_served, open_bundle
from headrace.models.families.encoder import TunableEncoder
from headrace.models.family import LabelSet, Unsupported, parity
from headrace.models.onnx_encoder import OnnxEncoder
from headrace.models.onnx_graph import write_graph
from headrace.plan import CandidateSpec
from headrace.plan.methods import mistakes
from trainer.publish.artifact import publish_winner
from trainer.tune.fitting import linear_layers

LABELS = ("hr", "it", "finance")
TEXTS = ("hi", "Where do I send this invoice?", "My laptop does not start, and I tried it twice. " * 9)


def manifest(kind: str) -> Manifest:
    return Manifest.model_validate(
        {
            "version": "router@7",
            "task": "router",
            "job_id": uuid4(),
            "attempt": 1,
            "candidate": "one",
            "base": "minilm-l6",
            "method": "lora",
            "kind": kind,
            "labels": LABELS,
            "created_at": datetime.now(UTC),
        }
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One adapted encoder, saved as each kind of bundle that it can be."""
    tunable = TunableEncoder(base_of("minilm-l6"), LabelSet(LABELS, {label: label for label in LABELS}, {}))
    layers = linear_layers(tunable.module)
    tunable.module = get_peft_model(
        tunable.module, LoraConfig(r=64, lora_alpha=16, use_rslora=True, target_modules=layers)
    )
    torch.manual_seed(3)
    with torch.no_grad():
        for name, tensor in tunable.module.named_parameters():
            if "lora_B" in name:
                tensor.normal_(std=0.01)
    tunable.module.eval()
    tunable.remember(TEXTS, [0, 1, 2], [1.0] * 3, 1)
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("adapter", "int8", "head")}
    for kind, folder in folders.items():
        tunable.save(folder, kind)  # type: ignore[arg-type]
    return folders


def test_an_adapter_answers_as_with_torch(saved: dict[str, Path]) -> None:
    """It is merged as PEFT merges it, and changes what the base would answer."""
    folder = saved["adapter"]
    ours, theirs = open_as_served(folder, manifest("adapter")), open_bundle(folder, manifest("adapter"))
    assert isinstance(ours.encoder, OnnxEncoder) and not isinstance(theirs.encoder, OnnxEncoder)  # type: ignore[attr-defined]
    assert np.abs(ours.log_probabilities(TEXTS) - theirs.log_probabilities(TEXTS)).max() < 1e-4
    assert np.abs(ours.embed(TEXTS) - open_as_served(saved["head"], manifest("head")).embed(TEXTS)).max() > 1e-2
    assert (folder / GRAPH).stat().st_size < 1 << 20


def test_a_quantised_encoder_is_all_in_its_graph(saved: dict[str, Path], tmp_path: Path) -> None:
    """It embeds nearly as the adapted one, answers on ONNX Runtime alone, and repeats its own log-probabilities."""
    folder, said = saved["int8"], manifest("int8")
    assert {file.name for file in folder.iterdir()} == {GRAPH, "head.safetensors", "neighbours.safetensors"}
    model = open_as_served(folder, said)
    alike = (model.embed(TEXTS) * open_as_served(saved["adapter"], manifest("adapter")).embed(TEXTS)).sum(1)
    assert 0.95 < alike.min() < 0.99999
    published = publish_winner(model, tmp_path, said)
    assert parity(load(published.path, published.digest)) == pytest.approx(0, abs=1e-5)
    with pytest.raises(ArtifactError, match="is quantised"):
        open_bundle(folder, said)


def test_what_answers_otherwise_than_torch_is_not_published(saved: dict[str, Path], tmp_path: Path) -> None:
    """A graph of other weights, here quantised ones, never slips in behind what was judged."""
    folder = tmp_path / "work"
    shutil.copytree(saved["adapter"], folder)
    shutil.copyfile(saved["int8"] / GRAPH, folder / GRAPH)
    (folder / GRAPH_WEIGHTS).unlink()
    model = open_bundle(folder, manifest("adapter"))
    with pytest.raises(ArtifactError, match=r"off by .* on ONNX Runtime from what torch answers"):
        publish_winner(model, tmp_path / "artifacts", manifest("adapter"))


def test_a_version_answers_on_when_its_files_are_cut_short(tmp_path: Path) -> None:
    """Words that nobody used before are read then, and not from there; a tuned encoder answers as with torch."""
    tunable = TunableEncoder(base_of("minilm-l6"), LabelSet(LABELS, {label: label for label in LABELS}, {}))
    tunable.save(tmp_path, "full")
    expected = open_bundle(tmp_path, manifest("full")).log_probabilities(TEXTS)
    model = open_as_served(tmp_path, manifest("full"))
    (tmp_path / "encoder.safetensors").write_bytes(b"")
    assert np.abs(model.log_probabilities(TEXTS) - expected).max() < 1e-4


def test_an_architecture_that_cannot_be_exported_says_so(tmp_path: Path) -> None:
    """And is answered by torch, since its bundle has no graph."""
    config = TunableEncoder(
        base_of("minilm-l6"), LabelSet(LABELS, {label: label for label in LABELS}, {})
    ).module.config

    class Odd(type(config)):  # type: ignore[misc]
        """A configuration that no model is made of."""

        model_type = "odd"

    with pytest.raises(Unsupported, match="a odd cannot be exported for ONNX Runtime"):
        write_graph(Odd(), tmp_path)


def test_only_encoders_are_quantised() -> None:
    """A plan says so before anything is trained."""
    spec = {"base": "words", "method": "tfidf", "quantize": "int8"}
    found = list(mistakes({"tasks": {"router": {"candidates": {"small": spec}}}}))
    assert [one["loc"][-1] for one in found] == ["quantize"] and "only an encoder" in found[0]["msg"]
    assert CandidateSpec(method="probe", quantize="int8").options == {}
