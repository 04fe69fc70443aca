"""From a tuned candidate to an artifact that a gateway may load."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

from headrace.contract.control import Served
from headrace.contract.job_file import Attempt
from headrace.errors import ArtifactError
from headrace.models.bases import Base, digest_of, resolve
from headrace.models.bundle import GRAPH, PROMPT, Manifest, Published, publish
from headrace.models.families import Model, open_as_served, open_bundle
from headrace.models.families.chain import ChainModel
from headrace.models.family import compared_by
from trainer.gate.judgement import Judged
from trainer.tune.candidates import Tuned

GRAPH_TOLERANCE = 1e-4
"""Greatest difference of log-probabilities between torch and ONNX Runtime."""
PARITY_TEXTS = (
    "how many days off do I have left",
    "my laptop does not start",
    "where do I send an invoice",
    "what does the export button do",
    "who won the match last night",
    "I forgot my password",
    "can you approve my travel expenses",
    "the screen flickers when I connect the dock",
    "is there a limit on the number of users",
    "please book a table for two",
    "hi",
    "I want to change my bank account for the next salary, whom do I ask and how long does that take?",
    "VPN",
    "how do I restore a deleted project from last week",
    "what is our policy on working from abroad",
    "tax form",
)
"""Made up, so that parity.json carries nothing that a person wrote, and an erasure need not reopen it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bundles of an attempt come from, whichever of its candidates they are of."""

    attempt: Attempt
    labels: tuple[str, ...]
    dataset: str
    seed: int

    def manifest(self, tuned: Tuned, base: Base, metrics: Mapping[str, float]) -> Manifest:
        """Of a candidate, without its files."""
        return Manifest(
            version=self.attempt.version,
            task=self.attempt.task,
            job_id=self.attempt.job_id,
            attempt=self.attempt.number,
            candidate=tuned.name,
            family=base.family,
            base=base.name,
            base_source=base.source,
            base_revision=base.revision,
            base_digest=digest_of(resolve(base)),
            dtype=base.dtype,
            method=tuned.spec.method,
            kind=tuned.kind,
            labels=self.labels,
            dataset=self.dataset,
            seed=self.seed,
            code_revision=code_revision(),
            created_at=datetime.now(UTC),
            parameters=tuned.parameters,
            trained_parameters=tuned.trained,
            metrics=dict(metrics),
            max_length=base.max_length,
        )


def metrics(judged: Judged) -> dict[str, float]:
    """What a bundle says of its evaluation."""
    figures, entry = judged.verdict.figures, judged.entry
    return {
        "accuracy": judged.test.accuracy,
        "low": judged.test.low,
        "high": judged.test.high,
        "n": float(judged.test.n),
        "p50_ms": entry.latency.p50_ms,
        "p95_ms": entry.latency.p95_ms,
        "cost_per_1k": entry.price.cost_per_1k,
        "ece": float(figures["ece"]),
        "difference": float(figures["difference"]),
    }


def served(published: Published, judged: Judged, engine: str, reference: Served | None) -> Served:
    """What a rollout promotes.

    engine: of the plan; empty: in the gateway's own process
    reference: the version that it is within the margin of; None where it is better than the live one
    """
    manifest = published.manifest
    return Served(
        version=manifest.version,
        artifact=str(published.path),
        digest=published.digest,
        base=manifest.base,
        base_digest=manifest.base_digest,
        family=manifest.family,
        method=manifest.method,
        engine=engine,
        adapter=manifest.version if manifest.kind == "adapter" else "",
        template=manifest.files.get(PROMPT, ""),
        label_set=manifest.label_set,
        usd_per_1k=judged.entry.price.cost_per_1k,
        job_id=manifest.job_id,
        attempt=manifest.attempt,
        errors=judged.test.n - judged.test.correct,
        labelled=judged.test.n,
        reference=reference,
    )


def publish_winner(scorer: Model, root: Path, manifest: Manifest, report: Iterable[Path] = ()) -> Published:
    """With log-probabilities of PARITY_TEXTS at evaluation: whoever loads the artifact must get the same.

    report: files for people that are published with it
    Raises ArtifactError where it answers otherwise on torch than on ONNX Runtime.
    """
    if isinstance(scorer, ChainModel):
        return _publish_chain(scorer, root.resolve(), manifest, report)
    _record_parity(scorer, manifest)
    for file in report:
        shutil.copyfile(file, scorer.folder / file.name)
    return publish(scorer.folder, root.resolve(), manifest)


def _record_parity(scorer: Model, manifest: Manifest) -> None:
    """Once torch and ONNX Runtime agree. Raises ArtifactError."""
    found = compared_by(scorer, PARITY_TEXTS)
    _check_graph(scorer.folder, manifest)
    recorded = {"texts": PARITY_TEXTS, "log_probabilities": found.astype(float).round(6).tolist()}
    (scorer.folder / "parity.json").write_text(json.dumps(recorded), "utf-8")


def _publish_chain(chain: ChainModel, root: Path, manifest: Manifest, report: Iterable[Path]) -> Published:
    """Its tiers first, which it names by their digests; each is checked by log-probabilities of its own."""
    models = iter(chain.tiers)
    tiers = []
    for tier in chain.chain.tiers:
        if tier.folder:
            model = next(models)
            _record_parity(model, model.manifest)
            found = publish(model.folder, root, model.manifest, tier.name)
            tier = tier.model_copy(update={"folder": found.path.name, "digest": found.digest})
        tiers.append(tier)
    # The candidate's own folder still names its tiers in the attempt's: publishing may have to be repeated.
    with TemporaryDirectory() as work:
        chain.chain.model_copy(update={"tiers": tuple(tiers)}).write(Path(work))
        for file in report:
            shutil.copyfile(file, Path(work) / file.name)
        return publish(Path(work), root, manifest)


def _check_graph(folder: Path, manifest: Manifest) -> None:
    """Raises ArtifactError. A quantised encoder has no other answers than its graph's, which were judged."""
    if manifest.of_kind == "int8" or not (folder / GRAPH).exists():
        return
    ours, theirs = (compared_by(opened(folder, manifest), PARITY_TEXTS) for opened in (open_as_served, open_bundle))
    off = float(abs(ours - theirs).max())
    if not off <= GRAPH_TOLERANCE:
        raise ArtifactError(
            f"{manifest.version} is off by {off:.2g} on ONNX Runtime from what torch answers (at most"
            f" {GRAPH_TOLERANCE:g}), and is not published"
        )


def code_revision() -> str:
    """Names the code that trained: a digest of the sources, which an installed copy has and git's history may not."""
    sha = hashlib.sha256()
    for package in ("trainer", "headrace.models"):
        folder = Path(str(resources.files(package)))
        for file in sorted(folder.rglob("*.py")):
            sha.update(f"{package}/{file.relative_to(folder)}".encode() + b"\0" + file.read_bytes())
    return f"sources-{sha.hexdigest()[:16]}"
