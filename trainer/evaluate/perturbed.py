"""The same questions written otherwise: what that costs a model, for evaluators of robustness."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from headrace.contract.findings import Figure
from headrace.statistics.paired import Pairs, pairs, tango_lower
from trainer.curate.rows import Row
from trainer.evaluate.subject import Subject, share

MAX_ROWS = 200
"""Rows that are asked again, a seeded draw of more: at this many a drop of ten points shows."""

Perturbed = Callable[[str, random.Random], str]


def compared(subject: Subject, change: Perturbed) -> tuple[dict[str, Figure], int]:
    """Accuracy of the same rows before and after `change`, the drop, and agreement; and how many texts it changed.

    Rows whose text it leaves as it is are left out. No figures where nothing changed, or where the model may not be
    asked. The drop's interval is Tango's for paired shares (Stat Med 1998).
    """
    if subject.ask is None:
        return {}, 0
    drawn = random.Random(subject.seed)
    places = range(len(subject.rows))
    chosen = sorted(drawn.sample(places, MAX_ROWS)) if len(places) > MAX_ROWS else list(places)
    changed = {place: change(subject.rows[place].text, drawn) for place in chosen}
    asked = [place for place in chosen if changed[place] != subject.rows[place].text]
    if not asked:
        return {}, 0
    said = [subject.labels[best] for best in subject.ask([changed[place] for place in asked]).argmax(axis=1)]
    whole = subject.said
    rows, before = [subject.rows[place] for place in asked], [whole[place] for place in asked]
    was, now = _right(rows, before), _right(rows, said)
    found = pairs(was, now)
    opposite = Pairs(found.n, found.lost, found.gained)
    n = len(asked)
    figures = {
        "accuracy": share(sum(now), n),
        "accuracy_before": share(sum(was), n),
        "drop": Figure(value=found.difference, low=tango_lower(found, 0.025), high=-tango_lower(opposite, 0.025), n=n),
        "same_answer": share(sum(mine == other for mine, other in zip(before, said, strict=True)), n),
    }
    return figures, n


def _right(rows: Sequence[Row], said: Sequence[str]) -> list[bool]:
    return [answer == row.label for answer, row in zip(said, rows, strict=True)]
