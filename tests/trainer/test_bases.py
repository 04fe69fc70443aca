"""Any BERT- or ModernBERT-like folder is an encoder: its width and its layers are its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertForMaskedLM, BertModel, ModernBertConfig, ModernBertModel

from headrace.errors import ArtifactError
from headrace.models.bases import Base, digest_of, parameters_of, resolve
from headrace.models.encoder_base import Encoder

WORDS = ["[PAD]", "[UNK]", "where", "is", "my", "payslip", "laptop", "leave"]
SMALL = {"vocab_size": len(WORDS), "num_hidden_layers": 2, "intermediate_size": 32}


def bert(width: int) -> BertConfig:
    return BertConfig(hidden_size=width, num_attention_heads=2, **SMALL)


def made(folder: Path, model: Any) -> Base:
    """A folder as its authors would publish it."""
    model.save_pretrained(str(folder))
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return Base("own", "encoder", str(folder), max_length=16)


@pytest.mark.parametrize(
    ("model", "width"),
    [
        (lambda: BertModel(bert(24)), 24),
        (lambda: BertForMaskedLM(bert(48)), 48),
        (lambda: ModernBertModel(ModernBertConfig(hidden_size=32, num_attention_heads=2, pad_token_id=0, **SMALL)), 32),
    ],
    ids=["bert", "bert with another head", "modernbert"],
)
def test_an_encoder_is_what_its_folder_says(model: Any, width: int, tmp_path: Path) -> None:
    """Vectors have the base's own width and unit length, and come of its own weights, alone or in a batch."""
    torch.manual_seed(1)
    encoder = Encoder(made(tmp_path, model()))
    texts = ["where is my payslip", "my laptop", "leave"]
    vectors = encoder.embed(texts)
    assert encoder.width == width and vectors.shape == (3, width)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.abs(np.vstack([encoder.embed([text]) for text in texts]) - vectors).max() < 1e-5
    file = tmp_path / "model.safetensors"
    changed = {name: tensor + 0.3 * torch.randn_like(tensor) for name, tensor in load_file(str(file)).items()}
    save_file(changed, str(file), metadata={"format": "pt"})
    assert np.abs(Encoder(Base("own", "encoder", str(tmp_path), max_length=16)).embed(texts) - vectors).max() > 1e-3


def test_a_base_is_known_by_its_digest(tmp_path: Path) -> None:
    """Another weight is another base; a README is none of it."""
    base = made(tmp_path, BertModel(bert(24)))
    digest = digest_of(tmp_path)
    (tmp_path / "README.md").write_text("a fine model")
    assert digest_of(tmp_path) == digest
    assert resolve(Base("own", "encoder", base.source, digest=digest)) == tmp_path
    weights = load_file(str(tmp_path / "model.safetensors"))
    assert parameters_of(tmp_path) == sum(tensor.numel() for tensor in weights.values())
    with (tmp_path / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=f"and not {digest[:12]}"):
        resolve(Base("own", "encoder", base.source, digest=digest))


def test_a_folder_without_a_model_is_none(tmp_path: Path) -> None:
    """Said in one sentence."""
    with pytest.raises(ArtifactError, match=r"holds no config\.json"):
        resolve(Base("own", "encoder", str(tmp_path)))


@pytest.mark.parametrize(
    ("config", "room"),
    [
        ({"model_type": "bert", "max_position_embeddings": 64}, 64),
        ({"model_type": "roberta", "max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ({"model_type": "llama"}, 1_000_000),
    ],
)
def test_a_base_that_reads_less_than_it_is_told_to_says_so(config: dict[str, Any], room: int, tmp_path: Path) -> None:
    """Before it is loaded, and not by the first long text."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert resolve(Base("own", "encoder", str(tmp_path), max_length=room)) == tmp_path
    if "max_position_embeddings" in config:
        with pytest.raises(ArtifactError, match="it has 64 positions; set max_length to 64 or less"):
            resolve(Base("own", "encoder", str(tmp_path), max_length=room + 1))


def test_a_special_token_in_a_question_is_text() -> None:
    """Whoever asks cannot end the sequence: it keeps one [CLS] and one [SEP], its own."""
    encoder = Encoder()
    ids = encoder.tokens(["Where is [SEP] my payslip?"])[0]
    assert [ids.count(encoder.tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")] == [1, 1]
