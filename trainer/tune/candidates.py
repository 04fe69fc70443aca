"""From the plan's candidates to folders that a family can load, cheapest to try first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from headrace.contract.job_file import JobFile
from headrace.models import bases
from headrace.models.families.encoder import Encoder
from headrace.models.tensors import Floats
from headrace.plan import CandidateSpec
from trainer.curate.dataset import DataSet
from trainer.process.progress import Progress
from trainer.tune import checkpoint
from trainer.tune.methods import heads, instructions
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
        self._frozen: dict[str, Encoder] = {}
        self._embedded: dict[str, Floats] = {}

    def tune(self, name: str, spec: CandidateSpec) -> Tuned:
        """Tune one candidate. One that runs out of the budget's minutes comes back with its failure."""
        started = time.monotonic()
        folder = self._job.work / "candidates" / name
        folder.mkdir(parents=True, exist_ok=True)
        self._progress.say(spec.method, f"tuning {name} on {len(self._train)} rows", 0, 1)
        parameters = self._parameters(spec.base)
        try:
            trained = self._tune(name, spec, folder)
        except OutOfBudget:
            failure = f"ran out of the plan's {self._job.plan.budget.minutes:g} minutes while tuning"
            return Tuned(name, spec, None, failure=failure, seconds=time.monotonic() - started)
        seconds = time.monotonic() - started
        self._progress.say(spec.method, f"tuned {name} in {seconds:.1f} s", 1, 1, {"seconds": seconds})
        return Tuned(name, spec, folder, parameters, trained, seconds)

    def _tune(self, name: str, spec: CandidateSpec, folder: Path) -> int:
        """The number of trained parameters. Raises OutOfBudget."""
        task = self._job.of_task
        if self._job.plan.base(spec.base).family == "causal":
            instructions.untuned(task.names, task.describe, folder)
            return 0
        if spec.method == "untuned":
            self._save(heads.untuned(self._encoder(spec.base), task.names, task.describe), folder)
            return 0
        if spec.method == "probe":
            probe = self._probe(spec.base)
            self._save(probe, folder)
            return probe.weight.size + probe.bias.size
        return self._finetune(name, spec, folder)

    def _parameters(self, base: str) -> int:
        """Of the whole model, with its head where it has one."""
        named = self._job.plan.base(base)
        if named.family == "causal":
            return bases.parameters_of(bases.resolve(named))
        encoder = self._encoder(base)
        return encoder.parameters + len(self._job.of_task.labels) * (encoder.width + 1)

    def _probe(self, base: str) -> heads.Head:
        return heads.probe(self._embeddings(base), [row.label for row in self._train], self._job.of_task.labels)

    def _encoder(self, base: str) -> Encoder:
        """As it is, for everything that does not tune it."""
        if base not in self._frozen:
            self._frozen[base] = Encoder(self._job.plan.base(base), threads=self._job.plan.budget.threads)
        return self._frozen[base]

    def _embeddings(self, base: str) -> Floats:
        if base not in self._embedded:
            texts = [row.text for row in self._train]
            self._embedded[base] = self._encoder(base).embed(texts, self._stepper("embed"))
        return self._embedded[base]

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
        encoder = Encoder(job.plan.base(spec.base), threads=job.plan.budget.threads)
        truth = [labels.index(row.label) for row in self._train]
        return finetune(encoder, self._probe(spec.base), [row.text for row in self._train], truth, run, folder)

    def _stepper(self, stage: str) -> Callable[[int, int], None]:
        return lambda done, total: self._progress.step(stage, done, total)

    def _save(self, head: heads.Head, folder: Path) -> None:
        tensors = {"weight": torch.from_numpy(head.weight), "bias": torch.from_numpy(head.bias)}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "head.safetensors")
