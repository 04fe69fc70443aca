"""Rows of a split as outcomes: one a text, with a score in [0, 1] for each of the models that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.statistics.paired import Pairs
from trainer.curate import near
from trainer.curate.likeness import Likeness
from trainer.curate.rows import Row

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Arrays with one element a text, in the order in which the texts' first labels came.

    labels: the names of the labels; label: the place of a text's label in them
    candidate, live, reference: scores in [0, 1]; for a label 1 is right; reference: None where there is no such version
    weight: what a text counts, 1 on average; cluster: numbers from 0, in the order of their first texts
    """

    labels: tuple[str, ...]
    label: Places
    candidate: Floats
    live: Floats
    reference: Floats | None
    weight: Floats
    cluster: Places

    @property
    def n(self) -> int:
        """How many texts."""
        return len(self.candidate)

    @property
    def independent(self) -> bool:
        """Whether each is right or wrong, a cluster of its own, and counts the same: what McNemar and Tango assume."""
        if not self.n:
            return True
        scores = [one for one in (self.candidate, self.live, self.reference) if one is not None]
        alone = self.cluster[-1] == self.n - 1 == self.cluster.max()
        return bool(alone and np.ptp(self.weight) == 0 and all(((one == 0) | (one == 1)).all() for one in scores))

    def pairs(self, label: int | None = None) -> Pairs:
        """Texts that the candidate gained and lost against the live version, of one label or of all."""
        apart = self.candidate - self.live
        if label is not None:
            apart = apart[self.label == label]
        return Pairs(len(apart), int((apart > 0).sum()), int((apart < 0).sum()))

    def by_label(self, scores: Floats) -> Floats:
        """The sum of a model's scores, for each label."""
        return summed(self.label, scores, len(self.labels))

    def counts(self) -> Places:
        """How many texts each label has."""
        return np.bincount(self.label, minlength=len(self.labels))


def summed(places: Places, values: Floats, length: int = 0) -> Floats:
    """The sum of the values of each place."""
    return np.bincount(places, values, length).astype(np.float64, copy=False)


def one_a_text(rows: Sequence[Row]) -> tuple[list[Row], Places]:
    """The first row of each text, by when its label came, and for each row the place of its text among them."""
    order = sorted(range(len(rows)), key=lambda index: rows[index].feedback_id.int)
    place: dict[str, int] = {}
    firsts: list[Row] = []
    for index in order:
        if rows[index].text_digest not in place:
            place[rows[index].text_digest] = len(firsts)
            firsts.append(rows[index])
    return firsts, np.array([place[row.text_digest] for row in rows], dtype=np.intp)


def outcomes(
    rows: Sequence[Row],
    labels: Sequence[str],
    candidate: Sequence[float],
    live: Sequence[float],
    reference: Sequence[float] | None = None,
) -> Outcomes:
    """The rows of one text are one outcome, their mean, and count as one row: repetitions are no evidence.

    labels: the plan's ids; candidate, live, reference: scores, one a row
    A text that was asked in several clusters is a cluster of its own. Texts that nearly repeat one another are of one
    cluster, with what else is of theirs.
    """
    firsts, place = one_a_text(rows)
    names = tuple(dict.fromkeys([*labels, *(row.label for row in firsts)]))
    at = {name: index for index, name in enumerate(names)}
    clusters = [{row.cluster} for row in firsts]
    for row, index in zip(rows, place, strict=True):
        clusters[index].add(row.cluster)
    named = [found.pop() if len(found) == 1 else row.text_digest for found, row in zip(clusters, firsts, strict=True)]
    named = _with_near(firsts, named)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(named))}
    weight = mean_of(place, [row.weight for row in rows])
    return Outcomes(
        labels=names,
        label=np.array([at[row.label] for row in firsts], dtype=np.intp),
        candidate=mean_of(place, candidate),
        live=mean_of(place, live),
        reference=None if reference is None else mean_of(place, reference),
        weight=weight / weight.mean() if len(weight) else weight,
        cluster=np.array([numbers[name] for name in named], dtype=np.intp),
    )


def _with_near(rows: Sequence[Row], named: Sequence[str]) -> list[str]:
    """The clusters' names, alike where a text of one nearly repeats a text of the other."""
    likeness = Likeness.of_texts([row.text for row in rows])
    places = likeness.places([row.text_digest for row in rows])
    known = np.flatnonzero(places >= 0)
    group = near.grouped(likeness.sketches, places[known])
    leader: dict[str, str] = {}

    def led(name: str) -> str:
        while name in leader:
            name = leader[name]
        return name

    for place, first in zip(known.tolist(), known[group].tolist(), strict=True):
        one, other = led(named[place]), led(named[first])
        if one != other:
            leader[one] = other
    return [led(name) for name in named]


def mean_of(place: Places, values: Sequence[float]) -> Floats:
    """The mean of the rows' values, for each text. place: as of one_a_text"""
    given = np.asarray(values, dtype=np.float64)
    return summed(place, given) / np.bincount(place)
