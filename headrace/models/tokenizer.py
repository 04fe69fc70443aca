"""A text to the token ids that an encoder reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def tokenizer_of(folder: Path, max_length: int) -> Tokenizer:
    """Of a base's folder; it cuts texts at so many tokens and pads none."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    # "[SEP]" in a question is text: whoever asks cannot end the sequence.
    tokenizer.encode_special_tokens = True
    return tokenizer
