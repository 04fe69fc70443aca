"""Text token by token, of tokenizers and modules made for the test."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from headrace.models.generation import Generation, Sampling, never

WORDS = ["<eos>", "<mark>", "Hello", " ", ".", " world", "It", " '", "s", " n't"]
BYTES = [f"<0x{value:02X}>" for value in range(256)]


def tokenizer(clean_up: bool = False) -> PreTrainedTokenizerFast:
    """Words and single bytes; `<mark>` is a control token."""
    vocabulary = {text: number for number, text in enumerate([*WORDS, *BYTES])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<eos>"))
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token="<eos>",
        additional_special_tokens=["<mark>"],
        clean_up_tokenization_spaces=clean_up,
    )


class Module:
    """Says the tokens that it is given, and then the first for ever. passes: so far"""

    config = SimpleNamespace(max_position_embeddings=10_000)
    generation_config = SimpleNamespace(eos_token_id=0)

    def __init__(self, tokens: Sequence[int]) -> None:
        self.tokens = list(tokens)
        self.passes = 0

    def __call__(self, **_: Any) -> SimpleNamespace:
        logits = torch.full((1, 1, len(WORDS) + len(BYTES)), -9.0)
        logits[0, 0, self.tokens[self.passes % len(self.tokens)]] = 9
        self.passes += 1
        return SimpleNamespace(logits=logits, past_key_values=None)


def tokens(*words: str) -> list[int]:
    """Words as they are in the list, other characters as their bytes."""
    found: list[int] = []
    for word in words:
        found += [WORDS.index(word)] if word in WORDS else [len(WORDS) + byte for byte in word.encode()]
    return found


@pytest.mark.parametrize("clean_up", [False, True])
@pytest.mark.parametrize(
    "words",
    [
        ("Hello", " ", ".", " world", "It", " '", "s", " ", ".", " world"),
        (" ", " ", "Hello", "ü", "語", "<mark>", " ", "😀", "<mark>", "<mark>", " world", "é"),
        (" n't", "<mark>", " n't"),
    ],
)
def test_the_pieces_add_up_to_the_whole_text(words: tuple[str, ...], clean_up: bool) -> None:
    """Also where a tokenizer would tidy blanks away, where a character is several tokens, and around control tokens."""
    said = tokens(*words)
    made = Generation(Module([*said, 0]), tokenizer(clean_up), [1], Sampling(), contextlib.nullcontext(), never)
    pieces = list(made)
    assert "".join(pieces) == "".join(words).replace("<mark>", "").removeprefix(" ")
    assert "\ufffd" not in "".join(pieces) and len(pieces) > 1


def test_a_token_is_decoded_beside_its_neighbours_alone() -> None:
    """The cost of a token does not grow with the text before it."""
    made, longest = tokenizer(), 0
    plain = made.decode

    def decode(ids: Any, **how: Any) -> Any:
        nonlocal longest
        longest = max(longest, len(ids))
        return plain(ids, **how)

    made.decode = decode  # type: ignore[method-assign]
    said = tokens("Hello", " world", "<mark>", "😀") * 20
    text = "".join(Generation(Module([*said, 0]), made, [1], Sampling(), contextlib.nullcontext(), never))
    assert text == "Hello world😀" * 20 and longest < 10


def test_a_stopped_generation_makes_no_further_pass() -> None:
    """Also while it has nothing to give out, as for control tokens."""
    module = Module(tokens("<mark>"))
    sampling = Sampling(max_tokens=1000)
    made = Generation(module, tokenizer(), [1], sampling, contextlib.nullcontext(), lambda: module.passes >= 3)
    assert list(made) == [] and module.passes == 3
