"""Which texts nearly repeat another one, found without comparing each with each.

Texts are compared where their sketches begin alike. The hashes of a sketch fall into 16 bins; of each bin the smallest
hash counts (one permutation hashing: Li, Owen & Zhang, NIPS 2012). For each of 16 choices of three bins the texts are
put in order of what they have there; those that agree are compared with the first of them and with their neighbours,
so that a template of a hundred thousand texts costs no more than as many different ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.curate.likeness import EMPTY, Sketches, jaccard

NEAR = 0.8
BINS = 16
CHOSEN = (0, 3, 7)
NEIGHBOURS = 3
ROUNDS = 4
PIECE = 200_000
"""Pairs that are compared at a time."""

Indices = NDArray[np.int64]
_MIX = np.uint64(0xD6E8FEB86659FD93)


def repeated(sketches: Sketches, groups: Sequence[int] | Indices) -> NDArray[np.bool_]:
    """Whether each text nearly repeats an earlier one of its group that stays.

    sketches: best first; groups: numbers, since alike texts of two labels are what a model must tell apart
    """
    dropped = np.zeros(len(sketches), dtype=np.bool_)
    stays, group = np.arange(len(sketches)), np.asarray(groups, dtype=np.uint64)
    minima = _minima(sketches)
    for _ in range(ROUNDS):
        pairs = _alike(sketches, _neighbours(minima[stays], group[stays]), stays)
        fell = False
        for earlier, later in sorted(pairs, key=lambda pair: pair[1]):
            if not dropped[earlier] and not dropped[later]:
                dropped[later] = fell = True
        if not fell:
            break
        stays = stays[~dropped[stays]]
    return dropped


def leaked(sketches: Sketches, held_out: Sketches) -> NDArray[np.bool_]:
    """Whether each text nearly repeats one that is held out."""
    found = np.zeros(len(sketches), dtype=np.bool_)
    if not len(sketches) or not len(held_out):
        return found
    both = np.concatenate((held_out, sketches))
    minima = _minima(both)
    is_held = np.arange(len(both)) < len(held_out)
    for keys, order in _orders(minima, np.zeros(len(both), dtype=np.uint64)):
        held = is_held[order]
        places = np.arange(len(order))
        before = np.maximum.accumulate(np.where(held, places, -1))
        after = np.minimum.accumulate(np.where(held, places, len(order))[::-1])[::-1]
        for nearest in (before, after):
            inside = ~held & (nearest >= 0) & (nearest < len(order))
            mine, other = places[inside], nearest[inside]
            alike = keys[order[mine]] == keys[order[other]]
            pairs = np.column_stack((order[other[alike]], order[mine[alike]]))
            pairs = pairs[~found[pairs[:, 1] - len(held_out)]]
            for _, row in _alike(both, pairs, np.arange(len(both))):
                found[row - len(held_out)] = True
    return found


def _minima(sketches: Sketches) -> Sketches:
    """The smallest hash of each bin, shape (texts, BINS)."""
    found = np.full((len(sketches), BINS), EMPTY, dtype=np.uint32)
    for start in range(0, len(sketches), PIECE):
        piece = sketches[start : start + PIECE]
        bins = (piece * np.uint32(0x85EBCA6B)) >> np.uint32(28)
        for number in range(BINS):
            found[start : start + PIECE, number] = np.where(bins == number, piece, EMPTY).min(axis=1, initial=EMPTY)
    return found


def _orders(minima: Sketches, group: NDArray[np.uint64]) -> list[tuple[NDArray[np.uint64], Indices]]:
    """For each choice of bins: each text's key, and the texts in an order in which those of one key are together."""
    return [_order(minima, group, number) for number in range(BINS)]


def _order(minima: Sketches, group: NDArray[np.uint64], number: int) -> tuple[NDArray[np.uint64], Indices]:
    keys = group + np.uint64(1)
    for step in CHOSEN:
        keys = (keys ^ minima[:, (number + step) % BINS]) * _MIX
        keys ^= keys >> np.uint64(29)
    # Within a key, texts that agree in more are neighbours.
    return keys, np.lexsort((minima[:, (number + 5) % BINS], minima[:, (number + 1) % BINS], keys))


def _neighbours(minima: Sketches, group: NDArray[np.uint64]) -> Indices:
    """Pairs (earlier, later) that are worth comparing, each once."""
    found: list[NDArray[np.int64]] = []
    for number in range(BINS):
        keys, order = _order(minima, group, number)
        if not len(order):
            continue
        ordered = keys[order]
        first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        best = np.repeat(np.minimum.reduceat(order, first), np.diff(np.append(first, len(order))))
        others = [np.column_stack((best, order))]
        for step in range(1, NEIGHBOURS + 1):
            same = ordered[step:] == ordered[:-step]
            others.append(np.column_stack((order[:-step][same], order[step:][same])))
        pairs = np.concatenate(others)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        found.append(np.column_stack((pairs.min(axis=1), pairs.max(axis=1))))
    return np.unique(np.concatenate(found), axis=0) if found else np.empty((0, 2), dtype=np.int64)


def _alike(sketches: Sketches, pairs: Indices, names: Indices) -> list[tuple[int, int]]:
    """Those of the pairs that are near duplicates, by their names."""
    found: list[tuple[int, int]] = []
    for start in range(0, len(pairs), PIECE):
        piece = names[pairs[start : start + PIECE]]
        alike = jaccard(sketches[piece[:, 0]], sketches[piece[:, 1]]) >= NEAR
        found += [(int(a), int(b)) for a, b in piece[alike]]
    return found
