"""A causal base for tests: two layers with random weights, and the default base's tokenizer with few tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from headrace.models.bases import Base, base_of, digest_of, resolve


def tiny_llama(folder: Path, seen: Sequence[str], spread: float) -> Base:
    """Written to the folder. seen: texts whose words become tokens; spread: of the weights

    With the tokenizer's own 49,152 tokens nearly all of the time goes into logits.
    """
    whole = AutoTokenizer.from_pretrained(str(resolve(base_of("smollm2-135m-q4"))))
    tokenizer = whole.train_new_from_iterator(seen, vocab_size=2000)
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=True, initializer_range=spread,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(str(folder))
    return Base("tiny", "causal", str(folder), digest=digest_of(folder), max_length=256)
