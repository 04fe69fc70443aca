"""What FIGURES of models trained by hand says, whatever their task is: the version's part and each candidate's."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.models.bundle import Published

if TYPE_CHECKING:
    from trainer.curate.dataset import DataSet
    from trainer.tune.candidates import Tuned


def candidate(one: Tuned, measured: Mapping[str, Any]) -> dict[str, Any]:
    """A candidate and what was measured of it. seconds: of tuning"""
    return {
        "name": one.name,
        "method": one.spec.method,
        "base": one.spec.base,
        "baseline": one.baseline,
        "parameters": one.parameters,
        "trained_parameters": one.trained,
        "seconds": round(one.seconds, 2),
        "failure": one.failure,
        "curve": dict(one.curve),
        **measured,
    }


def version(
    name: str,
    published: Published,
    dataset: DataSet,
    seed: int,
    chosen: str,
    reason: str,
    candidates: Sequence[Mapping[str, Any]],
    compared: Sequence[Mapping[str, Any]],
    started: float,
) -> dict[str, Any]:
    """The name, the rows behind it, and why it was chosen.

    compared: the chosen candidate with each baseline; started: time.monotonic()
    """
    return {
        "version": name,
        "artifact": str(published.path),
        "digest": published.digest,
        "dataset": dataset.digest,
        "seed": seed,
        "rows": dataset.curated.funnel,
        "left_out": dataset.curated.exclusions,
        "chosen": chosen,
        "reason": reason,
        "candidates": list(candidates),
        "compared": list(compared),
        "seconds": round(time.monotonic() - started, 1),
    }
