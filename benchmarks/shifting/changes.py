"""What may change in questions: their topics, their words, their spelling, whether the model knows their domain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.shifting.answers import WORD

SYLLABLES = ("zor", "vex", "qui", "blen", "tra", "mip", "dax", "lor", "fen", "gul")
SHORTEST_WORD = 4


def with_new_word(text: str, draw: np.random.Generator) -> str:
    """Its longest word is now one of a hundred names of products that nobody had heard of."""
    name = SYLLABLES[draw.integers(10)] + SYLLABLES[draw.integers(10)] + "ix"
    words = WORD.findall(text)
    return text.replace(max(words, key=len), name, 1) if words else name


def with_typo(text: str, draw: np.random.Generator) -> str:
    """Two letters of one of its longer words have changed places."""
    words = [found for found in WORD.finditer(text) if len(found[0]) >= SHORTEST_WORD] or list(WORD.finditer(text))
    if not words:
        return text
    word = words[draw.integers(len(words))]
    place = word.start() + int(draw.integers(max(1, len(word[0]) - 1)))
    return text[:place] + text[place : place + 2][::-1] + text[place + 2 :]


def typed(texts: Sequence[str], draw: np.random.Generator) -> list[str]:
    """Each with a typo."""
    return [with_typo(text, draw) for text in texts]


def named(texts: Sequence[str], draw: np.random.Generator) -> list[str]:
    """Each with a new word."""
    return [with_new_word(text, draw) for text in texts]
