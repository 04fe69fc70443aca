"""The trainer's methods, with the plan's defaults, measured on the code that serves."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from benchmarks.routing.asked import Clock, Made, doubt
from benchmarks.routing.rows import Rows
from headrace import kinds
from headrace.models.bases import base_of
from headrace.models.bundle import Manifest
from headrace.models.families import family_of, open_bundle
from headrace.models.family import LabelSet
from headrace.models.tensors import Floats
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of
from trainer.tune.fitting import epochs_of
from trainer.tune.method import Given
from trainer.tune.naming import named


def tuned(
    rows: Rows, seed: int, folder: Path, method: str, base_name: str = "minilm-l6", epochs: int = 0
) -> tuple[Made, Clock]:
    """Tuned, written, opened as a gateway does, and calibrated. The clock counts training, embedding included.

    epochs: 0 for as many as the method gives these rows
    """
    base = base_of(base_name)
    family = family_of(base.family)
    clock, embedding = Clock(), 0.0

    def embeddings() -> Floats:
        nonlocal embedding
        began = Clock()
        found = family.embedded(base, rows.texts, 1)
        embedding = began.core_s
        return found

    given = Given(
        base=base,
        family=family,
        labels=LabelSet(rows.labels, {label: label for label in rows.labels}, {}),
        texts=rows.texts,
        truth=rows.truth,
        weights=rows.weights,
        checked=[weight >= 1 for weight in rows.weights],
        embeddings=embeddings,
        seed=seed,
        threads=1,
        checkpoint=folder / "checkpoint",
        key="bench",
        deadline=math.inf,
        step=lambda done, total: None,
    )
    spec = CandidateSpec.model_validate({"method": method, "base": base_name} | ({"epochs": epochs} if epochs else {}))
    loaded, keys = kinds.load("methods", method), keys_of(spec)
    given = named(given, loaded)
    parameters = given.tunable.parameters
    trained = loaded.tune(given, keys)
    clock.stop()
    parameters = min(parameters, given.tunable.parameters)
    given.tunable.save(folder, loaded.MAKES)
    model = open_bundle(folder, _manifest(rows, base.family, base_name, method, loaded.MAKES), 1)
    model.calibrate(*rows.validation)
    epochs = epochs_of(epochs, given.truth, given.checked, loaded.FEWEST_EPOCHS) if method == "full" else 0
    shown = len(given.texts) * epochs
    has_novelty = model.novelty(["a"]) is not None
    novelty = model.novelty if has_novelty else doubt(model.score)
    return Made(model.score, novelty, max(parameters, trained), shown / (clock.core_s - embedding)), clock


def _manifest(rows: Rows, family: str, base: str, method: str, kind: str) -> Manifest:
    return Manifest.model_validate(
        {
            "version": "bench@1",
            "task": "bench",
            "job_id": UUID(int=0),
            "attempt": 1,
            "candidate": method,
            "family": family,
            "base": base,
            "method": method,
            "kind": kind,
            "labels": tuple(label.lower().replace("?", "") for label in rows.labels),
            "created_at": datetime.now(UTC),
            "max_length": base_of(base).max_length,
        }
    )
