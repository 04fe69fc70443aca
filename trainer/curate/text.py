"""When two questions are the same: exactly after normalisation, or nearly by their shingles."""

from __future__ import annotations

import hashlib
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

SHINGLE = 5
BANDS, ROWS = 16, 6
"""Texts of similarity .9 share a band with probability > .999, of .5 with .22; sharers are then compared."""
NEAR = 0.9

_PRIME = np.uint64((1 << 31) - 1)


def normal(text: str) -> str:
    """Letters and digits only, in compatibility form, caseless, one space between words; may be empty."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(char if char.isalnum() else " " for char in folded).split())


def digest(normalised: str) -> str:
    """The name of a normalised text: 32 hex digits of its sha256."""
    return hashlib.sha256(normalised.encode()).hexdigest()[:32]


def uniform(text_digest: str, salt: str) -> float:
    """A number in [0, 1) of the text and the salt alone: the same text falls on the same side of a split for ever."""
    drawn = hashlib.sha256(f"{salt}\x1f{text_digest}".encode()).digest()
    return int.from_bytes(drawn[:7]) / (1 << 56)


def near_duplicates(texts: Sequence[str], groups: Sequence[str]) -> set[int]:
    """Indices of texts that nearly repeat an earlier one of the same group; the earlier one stays.

    texts: normalised, best first; groups: their labels, since alike texts of two labels are what a model must tell
    apart. MinHash with banding (Broder, SEQUENCES 1997), each candidate pair checked by its Jaccard similarity.
    """
    if len(texts) < 2:
        return set()
    shingles = [_shingles(text) for text in texts]
    random = np.random.default_rng(20_260_101)
    scale = random.integers(1, int(_PRIME), size=BANDS * ROWS, dtype=np.uint64)
    shift = random.integers(0, int(_PRIME), size=BANDS * ROWS, dtype=np.uint64)
    buckets: dict[tuple[str, int, bytes], list[int]] = defaultdict(list)
    dropped: set[int] = set()
    for index, mine in enumerate(shingles):
        hashes = np.fromiter(mine, dtype=np.uint64, count=len(mine)) % _PRIME
        signature = ((hashes[:, None] * scale + shift) % _PRIME).min(axis=0).astype(np.uint32)
        keys = [(groups[index], band, signature[band * ROWS : (band + 1) * ROWS].tobytes()) for band in range(BANDS)]
        earlier = {other for key in keys for other in buckets.get(key, ())}
        if any(_jaccard(mine, shingles[other]) >= NEAR for other in earlier):
            dropped.add(index)
            continue
        for key in keys:
            buckets[key].append(index)
    return dropped


def _shingles(text: str) -> frozenset[int]:
    padded = f" {text} "
    return frozenset(
        zlib.crc32(padded[start : start + SHINGLE].encode()) for start in range(max(1, len(padded) - SHINGLE + 1))
    )


def _jaccard(a: frozenset[int], b: frozenset[int]) -> float:
    common = len(a & b)
    return common / (len(a) + len(b) - common)
