"""How alike texts are beside the boilerplate that many of them share.

A text's shingles are its runs of 5 characters, of 2 in a text that is mostly Chinese, Japanese or Korean. A run of 40
characters (16 there) that many different texts have is boilerplate: a footer, a quoted reply, a template. Shingles
within it do not count, unless next to nothing else is left.

What is compared is a text's sketch: the 64 smallest hashes of its shingles (bottom-k sketches: Cohen & Kaplan, PODC
2007). It gives the Jaccard similarity exactly where two texts have at most 64 shingles together, else with a standard
error of .05. near.py finds the texts that are worth comparing.

ClickHouse computes the same sketches (headrace/warehouse/queries/trainer/curate_sketches.sql).
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.curate.text import digest, normal

Sketches = NDArray[np.uint32]
"""Shape (texts, SKETCH): each row the smallest hashes of a text's shingles in order, filled up with EMPTY."""

SKETCH = 64
EMPTY = np.uint32(0xFFFFFFFF)
SCALE = np.uint64(0x9E3779B97F4A7C15)
"""Multiply-shift hashing (Dietzfelbinger et al., J. Algorithms 1997): CRC-32 alone is linear."""

SHINGLE, WIDE_SHINGLE = 5, 2
WINDOW, WIDE_WINDOW = 40, 16
OWN, WIDE_OWN = 12, 5
"""With fewer shingles beside boilerplate a text is compared whole."""
SHARED = 10
"""Boilerplate is in at least so many texts, however many there are: a footer is one team's."""
CHARACTERS = 4000
"""So much of a text is compared at most."""
TOKEN = 5
"""Characters of a token, and of the space after it; one character is a token in Chinese, Japanese and Korean."""
SAMPLED = 8
"""One in so many windows is looked at, by its hash; a longer shared run has several."""

_WIDE = re.compile("[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Likeness:
    """The sketches of texts, by their digests.

    digests: sorted, 32 hex digits each; rows: each one's row of `sketches`
    """

    digests: NDArray[np.bytes_]
    rows: NDArray[np.int64]
    sketches: Sketches

    @classmethod
    def of_texts(cls, texts: Iterable[str], characters: int = CHARACTERS) -> Likeness:
        """Of texts as they were asked; characters: how much of them is compared (`read_by`)."""
        by_digest = {digest(one): _beginning(one, characters) for one in map(normal, texts) if one}
        names = sorted(by_digest)
        return cls(_packed(names), np.arange(len(names)), sketches([by_digest[name] for name in names]))

    def places(self, digests: Sequence[str]) -> NDArray[np.int64]:
        """The row of each text in `sketches`; -1 where it is not known."""
        if not len(self.digests):
            return np.full(len(digests), -1, dtype=np.int64)
        asked = _packed(digests)
        found = np.minimum(np.searchsorted(self.digests, asked), len(self.digests) - 1)
        return np.where(self.digests[found] == asked, self.rows[found], -1)


def read_by(max_lengths: Iterable[int]) -> int:
    """How many characters the models that read so many tokens read at most: of what none reads no text is different."""
    return min(CHARACTERS, TOKEN * max(max_lengths, default=CHARACTERS))


def _beginning(normalised: str, characters: int) -> str:
    found = normalised[:characters]
    return found[: characters // TOKEN] if wide(found) else found


def _packed(digests: Sequence[str]) -> NDArray[np.bytes_]:
    # As text: numpy's byte strings lose zeros at their end.
    return np.array(digests, dtype="S32")


def sketches(texts: Sequence[str]) -> Sketches:
    """A sketch of each text.

    texts: normalised and distinct; what is boilerplate is counted among them
    """
    found = np.full((len(texts), SKETCH), EMPTY, dtype=np.uint32)
    shared = boilerplate(texts)
    for row, text in enumerate(texts):
        hashes = np.fromiter((zlib.crc32(one.encode()) for one in _own(text, shared)), dtype=np.uint64)
        smallest = np.unique((hashes * SCALE >> np.uint64(32)).astype(np.uint32))[:SKETCH]
        found[row, : len(smallest)] = smallest
    return found


def boilerplate(texts: Sequence[str]) -> frozenset[int]:
    """Hashes of the windows that so many of the texts have."""
    counts = Counter(window for text in texts for window in set(_windows(text)) if window % SAMPLED == 0)
    return frozenset(window for window, count in counts.items() if count >= SHARED)


def wide(text: str) -> bool:
    """Whether at least half of its characters are Chinese, Japanese or Korean, which say more each."""
    return 2 * len(_WIDE.findall(text)) >= len(text)


def _own(text: str, shared: frozenset[int]) -> Iterable[str]:
    """The text's shingles that lie in no shared window; all of them where those are too few."""
    shingle, window, least = (WIDE_SHINGLE, WIDE_WINDOW, WIDE_OWN) if wide(text) else (SHINGLE, WINDOW, OWN)
    padded = f" {text} "
    whole = [padded[start : start + shingle] for start in range(max(1, len(padded) - shingle + 1))]
    starts = [start for start, hashed in enumerate(_windows(text)) if hashed in shared]
    if not starts:
        return whole
    # A window that starts at character s of the text covers the padded text from s + 1 on.
    covered = {place for start in starts for place in range(start + 1, start + 2 + window - shingle)}
    own = [one for place, one in enumerate(whole) if place not in covered]
    return own if len(own) >= least else whole


def _windows(text: str) -> list[int]:
    """A hash of each window, by its first character; none where the text is shorter."""
    size = WIDE_WINDOW if wide(text) else WINDOW
    return [zlib.crc32(text[start : start + size].encode()) for start in range(len(text) - size + 1)]


def jaccard(a: Sketches, b: Sketches) -> NDArray[np.float32]:
    """The similarity of the texts of each pair of rows, 0 to 1; of a and b, both of shape (pairs, SKETCH)."""
    # Up to here both sketches know all of their text's hashes.
    known = np.minimum(a[:, -1], b[:, -1])[:, None]
    both = np.sort(np.concatenate((a, b), axis=1), axis=1)
    counted = (both <= known) & (both != EMPTY)
    twice = (both[:, 1:] == both[:, :-1]) & counted[:, 1:]
    common = twice.sum(axis=1)
    return (common / np.maximum(1, counted.sum(axis=1) - common)).astype(np.float32)
