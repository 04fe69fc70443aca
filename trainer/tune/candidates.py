"""From the plan's candidates to folders that a family can load, cheapest to try first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import cast

from headrace import kinds
from headrace.models.bases import Base, digest_of, resolve
from headrace.models.bundle import Kind
from headrace.models.families import family_of
from headrace.models.family import LabelSet
from headrace.models.tensors import Floats
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of
from trainer.progress import Progress
from trainer.tune.method import Given, Method, OutOfBudget


@dataclass(frozen=True, slots=True)
class Tuned:
    """A candidate on disk.

    folder: laid out as headrace.models.bundle says, without manifest and parity.json; None where `failure` says why not
    kind: of the bundle
    usd_per_hour: of what will serve it
    parameters: of the whole model; trained: those that tuning changed; seconds: of tuning
    """

    name: str
    spec: CandidateSpec
    usd_per_hour: float
    folder: Path | None
    kind: Kind = "head"
    parameters: int = 0
    trained: int = 0
    seconds: float = 0.0
    failure: str = ""


def by_effort(candidates: Mapping[str, CandidateSpec]) -> list[tuple[str, CandidateSpec]]:
    """Cheapest to try first, otherwise as the plan has them. Raises PlanError where a method is not there."""
    return sorted(candidates.items(), key=lambda item: _method(item[1]).EFFORT)


@dataclass(slots=True)
class Tuner:
    """Tunes one candidate after another on the same rows; embeds them once for each base.

    texts, truth, weights: the rows that train, the numbers of their labels, and how much each counts
    dataset: the digest of the data set
    bases: by the name that a candidate gives; prices: US dollars an hour of what will serve each candidate
    folder: the attempt's own; earlier: that of an earlier attempt, whose checkpoints may be taken over
    threads: of torch, 0 leaves its choice
    deadline: time.monotonic() when the budget is spent; bound: which bound of it that is, in words
    """

    labels: LabelSet
    texts: Sequence[str]
    truth: Sequence[int]
    weights: Sequence[float]
    dataset: str
    bases: Mapping[str, Base]
    prices: Mapping[str, float]
    folder: Path
    earlier: Path | None
    seed: int
    threads: int
    deadline: float
    bound: str
    progress: Progress
    _embedded: dict[str, Floats] = field(default_factory=dict)

    def tune(self, name: str, spec: CandidateSpec) -> Tuned:
        """Tune one candidate. One that spends the budget comes back with its failure."""
        started = time.monotonic()
        folder = self.folder / "candidates" / name
        folder.mkdir(parents=True, exist_ok=True)
        self.progress.say(spec.method, f"tuning {name} on {len(self.texts)} rows", 0, 1)
        given = self._given(name, spec)
        # Adapters are of the method and not of the model.
        parameters = given.tunable.parameters
        method = _method(spec)
        try:
            trained = method.tune(given, keys_of(spec))
        except OutOfBudget as error:
            failure = str(error) or f"ran out of the plan's {self.bound} while tuning"
            return Tuned(name, spec, self.prices[name], None, failure=failure, seconds=time.monotonic() - started)
        kind = method.MAKES or given.tunable.kind
        given.tunable.save(folder, kind)
        seconds = time.monotonic() - started
        self.progress.say(spec.method, f"tuned {name} in {seconds:.1f} s", 1, 1, {"seconds": seconds})
        return Tuned(name, spec, self.prices[name], folder, kind, parameters, trained, seconds)

    def _given(self, name: str, spec: CandidateSpec) -> Given:
        from trainer.tune import checkpoint  # which imports torch
        from trainer.tune.fitting import products

        base = self.bases[spec.base]
        key = checkpoint.key_of(
            dataset=self.dataset,
            base=astuple(base),
            base_weights=digest_of(resolve(base)),
            method=spec.method,
            keys=keys_of(spec).model_dump(),
            labels=(self.labels.ids, self.labels.lines()),
            weights=checkpoint.key_of(rows=list(self.weights)),
            products=products(),
            seed=self.seed,
            threads=self.threads or os.environ.get("OMP_NUM_THREADS") or os.cpu_count(),
            **{package: version(package) for package in ("torch", "transformers", "peft")},
        )
        file = Path("checkpoints") / f"{name}.safetensors"
        if self.earlier is not None and checkpoint.take_over(self.folder / file, self.earlier / file, key):
            self.progress.say(spec.method, f"goes on from the checkpoint of {self.earlier.name}")
        return Given(
            base=base,
            family=family_of(base.family),
            labels=self.labels,
            texts=self.texts,
            truth=self.truth,
            weights=self.weights,
            embeddings=lambda: self._embeddings(base),
            seed=self.seed,
            threads=self.threads,
            checkpoint=self.folder / file,
            key=key,
            deadline=self.deadline,
            step=self._stepper(spec.method),
            say=lambda sentence: self.progress.say(spec.method, f"{name}: {sentence}"),
        )

    def _embeddings(self, base: Base) -> Floats:
        if base.name not in self._embedded:
            step = self._stepper("embed")
            self._embedded[base.name] = family_of(base.family).embedded(base, self.texts, self.threads, step)
        return self._embedded[base.name]

    def _stepper(self, stage: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress.step(stage, done, total)


def _method(spec: CandidateSpec) -> Method:
    return cast(Method, kinds.load("methods", spec.method))
