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
PIECE = 50_000
"""Texts, or pairs of them, in hand at a time."""

Indices = NDArray[np.int64]
_MIX = np.uint64(0xD6E8FEB86659FD93)


def repeated(sketches: Sketches, rows: Indices, groups: Sequence[int]) -> NDArray[np.bool_]:
    """Whether each of the texts nearly repeats an earlier one of its group that stays.

    rows: of `sketches`, best first; groups: numbers, since alike texts of two labels are what a model must tell apart
    """
    dropped = np.zeros(len(rows), dtype=np.bool_)
    stays, group = np.arange(len(rows)), np.asarray(groups, dtype=np.uint64)
    minima = _minima(sketches, rows)
    for _ in range(ROUNDS):
        pairs = stays[_neighbours(minima[stays], group[stays])]
        pairs = pairs[_alike(sketches, rows[pairs])]
        fell = False
        for earlier, later in pairs[np.argsort(pairs[:, 1], kind="stable")].tolist():
            if not dropped[earlier] and not dropped[later]:
                dropped[later] = fell = True
        if not fell:
            break
        stays = stays[~dropped[stays]]
    return dropped


def grouped(sketches: Sketches, rows: Indices) -> Indices:
    """A number for each of the texts; those that nearly repeat one another have the same, also over a third one."""
    number = np.arange(len(rows))
    pairs = _neighbours(_minima(sketches, rows), np.zeros(len(rows), dtype=np.uint64))

    def first(place: int) -> int:
        while number[place] != place:
            number[place] = number[number[place]]
            place = int(number[place])
        return place

    for one, other in pairs[_alike(sketches, rows[pairs])].tolist():
        one, other = sorted((first(one), first(other)))
        number[other] = one
    return np.array([first(place) for place in range(len(rows))], dtype=np.int64)


def leaked(sketches: Sketches, rows: Indices, held_out: Indices) -> NDArray[np.bool_]:
    """Whether each of the texts `rows` nearly repeats one of the texts `held_out`."""
    found = np.zeros(len(rows), dtype=np.bool_)
    if not len(rows) or not len(held_out):
        return found
    both, first = np.concatenate((held_out, rows)), len(held_out)
    minima, group = _minima(sketches, both), np.zeros(len(both), dtype=np.uint64)
    places = np.arange(len(both))
    for number in range(BINS):
        keys, order = _order(minima, group, number)
        held = order < first
        before = np.maximum.accumulate(np.where(held, places, -1))
        after = np.minimum.accumulate(np.where(held, places, len(both))[::-1])[::-1]
        for nearest in (before, after):
            inside = ~held & (nearest >= 0) & (nearest < len(both))
            pairs = np.column_stack((order[nearest[inside]], order[inside]))
            pairs = pairs[(keys[pairs[:, 0]] == keys[pairs[:, 1]]) & ~found[pairs[:, 1] - first]]
            found[pairs[_alike(sketches, both[pairs]), 1] - first] = True
    return found


def _minima(sketches: Sketches, rows: Indices) -> Sketches:
    """The smallest hash of each bin, shape (rows, BINS)."""
    found = np.full((len(rows), BINS), EMPTY, dtype=np.uint32)
    for start in range(0, len(rows), PIECE):
        piece = sketches[rows[start : start + PIECE]]
        bins = (piece * np.uint32(0x85EBCA6B)) >> np.uint32(28)
        for number in range(BINS):
            found[start : start + PIECE, number] = np.where(bins == number, piece, EMPTY).min(axis=1, initial=EMPTY)
    return found


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


def _alike(sketches: Sketches, pairs: Indices) -> NDArray[np.bool_]:
    """Whether the texts of each pair of rows are near duplicates."""
    found = np.zeros(len(pairs), dtype=np.bool_)
    for start in range(0, len(pairs), PIECE):
        piece = pairs[start : start + PIECE]
        found[start : start + PIECE] = jaccard(sketches[piece[:, 0]], sketches[piece[:, 1]]) >= NEAR
    return found
