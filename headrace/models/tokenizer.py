"""A text to the token ids that an encoder reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


CHARS = 64
"""Of a text, for each token that is read of it: so many nearly always have all of these tokens."""


def tokenizer_of(folder: Path, max_length: int) -> Tokenizer:
    """Of a base's folder; it cuts texts at so many tokens and pads none."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    # "[SEP]" in a question is text: whoever asks cannot end the sequence.
    tokenizer.encode_special_tokens = True
    return tokenizer


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of each text, at most max_length, as `tokenizer_of(…, max_length)` cuts them.

    Of a long text the beginning is encoded alone, and all of it only where that may give others: a text takes time by
    its length, one of 64 KiB 50 to 150 ms.
    """
    most = max_length * CHARS
    found = tokenizer.encode_batch([text[:most] for text in texts])
    return [
        (beginning if len(text) <= most or _is_enough(beginning) else tokenizer.encode(text)).ids
        for text, beginning in zip(texts, found, strict=True)
    ]


def _is_enough(beginning: Encoding) -> bool:
    """Whether what is kept of a text's beginning ends before its last word, which may have been cut."""
    kept, last = _last_word(beginning), _last_word((beginning.overflowing or [beginning])[-1])
    return kept is not None and last is not None and kept != last


def _last_word(encoding: Encoding) -> int | None:
    """Its number in the text; None where there is none."""
    return next((word for word in reversed(encoding.word_ids) if word is not None), None)
