"""Bundles of the causal default that the trainer's own methods made, on a few rows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from bundles import LABELS

from headrace import kinds
from headrace.contract.control import Served
from headrace.models.bases import base_of
from headrace.models.bundle import Manifest
from headrace.models.families import family_of, open_bundle
from headrace.models.family import LabelSet
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of
from simulation.grammar import World
from trainer.publish.artifact import publish_winner
from trainer.tune.method import Given

BASE = "smollm2-135m-q4"


def trained(
    root: Path,
    number: int,
    method: str,
    labels: tuple[str, ...] = LABELS,
    rows: int = 20,
    max_length: int = 512,
    **keys: object,
) -> Served:
    """Publish router@number, tuned by a method on so many of the simulated company's questions.

    keys: of the method, as a plan says them
    """
    work = root / f"work-{uuid4().hex}"
    work.mkdir(parents=True)
    asked = [question for question in World(number).questions(1, 10 * rows) if question.label in labels][:rows]
    given = Given(
        base=base_of(BASE),
        family=family_of("causal"),
        labels=LabelSet(labels, {label: label.replace("_", " ") for label in labels}, {}),
        texts=[question.text for question in asked],
        truth=[labels.index(question.label) for question in asked],
        weights=[1.0] * len(asked),
        embeddings=lambda: (_ for _ in ()).throw(AssertionError("a causal model takes no head")),
        seed=number,
        threads=1,
        checkpoint=root / f"checkpoint-{number}.safetensors",
        key=f"router@{number}",
        deadline=float("inf"),
        step=lambda done, total: None,
    )
    module = kinds.load("methods", method)
    module.tune(given, keys_of(CandidateSpec.model_validate({"base": BASE, "method": method} | keys)))
    kind = module.MAKES or given.tunable.kind
    given.tunable.save(work, kind)
    manifest = Manifest(
        version=f"router@{number}", task="router", job_id=uuid4(), attempt=1, candidate="adapted", family="causal",
        base=BASE, method=method, kind=kind, labels=labels, created_at=datetime.now(UTC), max_length=max_length,
    )  # fmt: skip
    published = publish_winner(open_bundle(work, manifest, threads=1), root, manifest)
    return Served(version=manifest.version, artifact=str(published.path), digest=published.digest)
