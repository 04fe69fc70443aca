"""From the plan's candidates to folders that headrace.models.scoring can load, cheapest to try first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from headrace.contract.job_file import JobFile
from headrace.models.scoring import WIDTH, Encoder, Floats
from headrace.plan import CandidateSpec
from trainer.curate.dataset import DataSet
from trainer.process.progress import Progress
from trainer.tune import checkpoint
from trainer.tune.methods import heads
from trainer.tune.methods.finetune import OutOfBudget, Run, finetune

EFFORT = {"untuned": 0, "probe": 1, "lora": 2, "full": 3}


@dataclass(frozen=True, slots=True)
class Tuned:
    """A candidate on disk.

    folder: laid out as headrace.models.bundle says, without manifest and parity.json; None where `failure` says why not
    parameters: of the whole model; trained: those that tuning changed; seconds: of tuning
    """

    name: str
    spec: CandidateSpec
    folder: Path | None
    parameters: int = 0
    trained: int = 0
    seconds: float = 0.0
    failure: str = ""


def by_effort(candidates: Mapping[str, CandidateSpec]) -> list[tuple[str, CandidateSpec]]:
    """Cheapest to try first, otherwise as the plan has them."""
    return sorted(candidates.items(), key=lambda item: EFFORT[item[1].method])


class Tuner:
    """Tunes one candidate after another on one data set; embeds its rows once.

    deadline: time.monotonic() when the budget's minutes are over
    """

    def __init__(self, job: JobFile, dataset: DataSet, progress: Progress, deadline: float) -> None:
        self._job = job
        self._dataset = dataset
        self._progress = progress
        self._deadline = deadline
        self._train = dataset.split("train")
        self._frozen = Encoder(threads=job.plan.budget.threads)
        self._embedded: Floats | None = None

    def tune(self, name: str, spec: CandidateSpec) -> Tuned:
        """Tune one candidate. One that runs out of the budget's minutes comes back with its failure."""
        started = time.monotonic()
        folder = self._job.work / "candidates" / name
        folder.mkdir(parents=True, exist_ok=True)
        labels = self._job.of_task.labels
        trained = len(labels) * (WIDTH + 1)
        parameters = self._frozen.parameters + trained
        self._progress.say(spec.method, f"tuning {name} on {len(self._train)} rows", 0, 1)
        try:
            if spec.method == "untuned":
                self._save(heads.untuned(self._frozen, labels, self._job.of_task.describe), folder)
                trained = 0
            elif spec.method == "probe":
                self._save(self._probe(), folder)
            else:
                trained = self._finetune(name, spec, folder)
        except OutOfBudget:
            failure = f"ran out of the plan's {self._job.plan.budget.minutes:g} minutes while tuning"
            return Tuned(name, spec, None, failure=failure, seconds=time.monotonic() - started)
        seconds = time.monotonic() - started
        self._progress.say(spec.method, f"tuned {name} in {seconds:.1f} s", 1, 1, {"seconds": seconds})
        return Tuned(name, spec, folder, parameters, trained, seconds)

    def _probe(self) -> heads.Head:
        return heads.probe(self._embeddings(), [row.label for row in self._train], self._job.of_task.labels)

    def _embeddings(self) -> Floats:
        if self._embedded is None:
            texts = [row.text for row in self._train]
            self._embedded = self._frozen.embed(texts, self._stepper("embed"))
        return self._embedded

    def _finetune(self, name: str, spec: CandidateSpec, folder: Path) -> int:
        job, labels = self._job, self._job.of_task.labels
        key = checkpoint.key_of(
            dataset=self._dataset.digest, spec=spec.model_dump(), seed=job.seed, labels=labels, torch=torch.__version__
        )
        own = job.work / "checkpoints" / f"{name}.safetensors"
        if job.resume_from is not None and checkpoint.take_over(
            own, job.resume_from / "checkpoints" / f"{name}.safetensors", key
        ):
            self._progress.say(spec.method, f"goes on from the checkpoint of {job.resume_from.name}")
        run = Run(spec, job.seed, key, own, self._deadline, self._stepper(spec.method))
        encoder = Encoder(spec.base, threads=job.plan.budget.threads)
        truth = [labels.index(row.label) for row in self._train]
        return finetune(encoder, self._probe(), [row.text for row in self._train], truth, run, folder)

    def _stepper(self, stage: str) -> Callable[[int, int], None]:
        return lambda done, total: self._progress.step(stage, done, total)

    def _save(self, head: heads.Head, folder: Path) -> None:
        tensors = {"weight": torch.from_numpy(head.weight), "bias": torch.from_numpy(head.bias)}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "head.safetensors")
