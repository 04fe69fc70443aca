"""A causal model is tuned by the same methods as an encoder, and what is loaded is what was tuned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_causal import manifest
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from headrace import kinds
from headrace.models.bases import Base, base_of, digest_of, resolve
from headrace.models.bundle import publish
from headrace.models.families import family_of, load, open_bundle
from headrace.models.families.causal import TunableCausal
from headrace.models.family import LabelSet
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of
from trainer.tune.method import Given

LABELS = LabelSet(("hr", "it"), {"hr": "Human Resources", "it": "IT support"}, {"it": "devices and accounts"})
TEXTS = [f"{word} {n}" for word in ("days off", "broken laptop") for n in range(6)]
TRUTH = [0] * 6 + [1] * 6


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A Llama of two layers with random weights: what is shown is the way, and it takes a second."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(str(resolve(base_of("smollm2-135m-q4"))))
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=True, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(str(folder))
    return Base("tiny", "causal", str(folder), digest=digest_of(folder), max_length=256)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_is_loaded_is_what_was_tuned(base: Base, method: str, tmp_path: Path) -> None:
    """Its labels' probabilities have moved towards the rows, and the published bundle has them to 1e-4."""
    spec = CandidateSpec.model_validate(
        {"base": "tiny", "method": method, "epochs": 8, "batch": 4, "learning_rate": 1e-2}
    )
    given = Given(
        base=base,
        family=family_of("causal"),
        labels=LABELS,
        texts=TEXTS,
        truth=TRUTH,
        weights=[1.0] * len(TRUTH),
        embeddings=lambda: pytest.fail("a causal model takes no head, so nothing is embedded"),
        seed=3,
        threads=2,
        checkpoint=tmp_path / "checkpoint.safetensors",
        key="this run",
        deadline=float("inf"),
        step=lambda done, total: None,
    )
    tunable = given.tunable
    assert isinstance(tunable, TunableCausal)
    rows = tunable.prepare(TEXTS)
    with torch.inference_mode():
        before = tunable.losses(rows, TRUTH)
    module = kinds.load("methods", method)
    module.tune(given, keys_of(spec))
    with torch.inference_mode():
        after = tunable.losses(rows, TRUTH)
        other = tunable.losses(rows, [1 - label for label in TRUTH])
    assert float(after.mean()) < 0.7 * float(before.mean())
    folder = tmp_path / "candidate"
    folder.mkdir()
    tunable.save(folder, module.MAKES)
    named = {
        "base": "tiny", "base_source": base.source, "base_digest": base.digest, "labels": LABELS.ids,
        "method": method, "kind": module.MAKES, "max_length": 256,
    }  # fmt: skip
    found = open_bundle(folder, manifest(**named), threads=2).log_probabilities(TEXTS)
    summed = -torch.stack([after, other], dim=1).numpy()
    expected = np.where(np.array(TRUTH)[:, None] == 0, summed, summed[:, ::-1])
    expected = expected - np.log(np.exp(expected).sum(axis=1, keepdims=True))
    assert np.abs(found - expected).max() < 1e-4
    (folder / "parity.json").write_text("{}")
    published = publish(folder, tmp_path / "store", manifest(**named))
    assert load(published.path, published.digest).manifest.kind == {"lora": "adapter", "full": "full"}[method]
