"""From the plan's candidates to folders that a family can load, cheapest to try first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from headrace import kinds
from headrace.contract.job_file import JobFile
from headrace.models.bases import gpus
from headrace.models.bundle import Kind
from headrace.models.families import family_of
from headrace.models.family import LabelSet
from headrace.models.tensors import Floats
from headrace.plan import CandidateSpec
from headrace.plan.methods import keys_of
from trainer.curate.dataset import DataSet
from trainer.process.progress import Progress
from trainer.tune import checkpoint
from trainer.tune.method import Given, Method, OutOfBudget


@dataclass(frozen=True, slots=True)
class Tuned:
    """A candidate on disk.

    folder: laid out as headrace.models.bundle says, without manifest and parity.json; None where `failure` says why not
    kind: of the bundle
    parameters: of the whole model; trained: those that tuning changed; seconds: of tuning
    """

    name: str
    spec: CandidateSpec
    folder: Path | None
    kind: Kind = "head"
    parameters: int = 0
    trained: int = 0
    seconds: float = 0.0
    failure: str = ""


def by_effort(candidates: Mapping[str, CandidateSpec]) -> list[tuple[str, CandidateSpec]]:
    """Cheapest to try first, otherwise as the plan has them. Raises PlanError where a method is not there."""
    return sorted(candidates.items(), key=lambda item: _method(item[1]).EFFORT)


class Tuner:
    """Tunes one candidate after another on one data set; embeds its rows once for each base.

    deadline: time.monotonic() when the budget is spent
    """

    def __init__(self, job: JobFile, dataset: DataSet, progress: Progress, deadline: float) -> None:
        self._job = job
        self._dataset = dataset
        self._progress = progress
        self._deadline = deadline
        self._train = dataset.split("train")
        self._embedded: dict[str, Floats] = {}
        task = job.of_task
        self._labels = LabelSet(task.labels, {label: label.replace("_", " ") for label in task.labels}, task.describe)

    def tune(self, name: str, spec: CandidateSpec) -> Tuned:
        """Tune one candidate. One that spends the budget comes back with its failure."""
        started = time.monotonic()
        folder = self._job.work / "candidates" / name
        folder.mkdir(parents=True, exist_ok=True)
        self._progress.say(spec.method, f"tuning {name} on {len(self._train)} rows", 0, 1)
        method = _method(spec)
        given = self._given(name, spec)
        # Adapters are of the method and not of the model.
        parameters = given.tunable.parameters
        try:
            made = method.tune(given, keys_of(spec))
        except OutOfBudget:
            failure = f"ran out of the plan's {self._job.plan.budget.bound(gpus)[1]} while tuning"
            return Tuned(name, spec, None, failure=failure, seconds=time.monotonic() - started)
        given.tunable.save(folder, made.kind)
        seconds = time.monotonic() - started
        self._progress.say(spec.method, f"tuned {name} in {seconds:.1f} s", 1, 1, {"seconds": seconds})
        return Tuned(name, spec, folder, made.kind, parameters, made.trained, seconds)

    def _given(self, name: str, spec: CandidateSpec) -> Given:
        job = self._job
        key = checkpoint.key_of(
            dataset=self._dataset.digest,
            spec=spec.model_dump(),
            seed=job.seed,
            labels=self._labels.ids,
            torch=torch.__version__,
        )
        own = job.work / "checkpoints" / f"{name}.safetensors"
        if job.resume_from is not None and checkpoint.take_over(
            own, job.resume_from / "checkpoints" / f"{name}.safetensors", key
        ):
            self._progress.say(spec.method, f"goes on from the checkpoint of {job.resume_from.name}")
        base = job.plan.base(spec.base)
        return Given(
            base=base,
            family=family_of(base.family),
            labels=self._labels,
            texts=[row.text for row in self._train],
            truth=[self._labels.ids.index(row.label) for row in self._train],
            embeddings=lambda: self._embeddings(spec.base),
            seed=job.seed,
            threads=job.plan.budget.threads,
            checkpoint=own,
            key=key,
            deadline=self._deadline,
            step=self._stepper(spec.method),
        )

    def _embeddings(self, base: str) -> Floats:
        if base not in self._embedded:
            named = self._job.plan.base(base)
            texts, threads = [row.text for row in self._train], self._job.plan.budget.threads
            self._embedded[base] = family_of(named.family).embedded(named, texts, threads, self._stepper("embed"))
        return self._embedded[base]

    def _stepper(self, stage: str) -> Callable[[int, int], None]:
        return lambda done, total: self._progress.step(stage, done, total)


def _method(spec: CandidateSpec) -> Method:
    return cast(Method, kinds.load("methods", spec.method))
