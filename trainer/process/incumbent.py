"""The plan's incumbent as the last tier of a chain: what it answered already, and how it is asked the rest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from headrace.models.families import Model
from headrace.models.families.chain import ChainModel
from headrace.plan import Task
from trainer.curate.rows import Row
from trainer.evaluate.upstream import WITHIN_S, asked
from trainer.tune.method import AtAddress


def incumbent_of(task: Task, rows: Sequence[Row], usd_per_1k: float = 0.0, within_s: float = WITHIN_S) -> AtAddress:
    """rows: whose recorded answers count; usd_per_1k: what a thousand requests have cost so far, 0 where unknown

    within_s: how long it is asked where nothing else is said
    """
    incumbent = task.incumbent
    known = {row.text: row.answered for row in rows if row.version == incumbent.version and row.answered}
    return AtAddress(incumbent.version, partial(asked, incumbent, task, within_s=within_s), known, usd_per_1k)


def attached(model: Model, incumbent: AtAddress) -> Model:
    """The model; a chain that ends with the incumbent can ask it."""
    if isinstance(model, ChainModel) and model.chain.incumbent == incumbent.version:
        model.ask, model.known = incumbent.ask, dict(incumbent.known)
    return model
