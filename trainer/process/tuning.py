"""The candidates of an attempt, tuned within the plan's budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path

from headrace.models.bases import gpus
from headrace.models.families import Model
from headrace.models.family import LabelSet
from headrace.plan import CandidateSpec, Plan, Task
from headrace.plan.engines import price
from headrace.plan.labels import read_by_models
from headrace.process.memory import GIB
from trainer.curate.dataset import DataSet
from trainer.curate.rows import Row
from trainer.curate.teacher import TEACHER
from trainer.evaluate.entries import asked_of_each
from trainer.evaluate.measure import predict
from trainer.evaluate.suites import Suites
from trainer.evaluate.texts import foreseen
from trainer.progress import Progress
from trainer.tune.budget import Judging, Spending, Trial
from trainer.tune.candidates import Tuned, Tuner
from trainer.tune.kept import Kept
from trainer.tune.method import AtAddress, HeldOut
from trainer.tune.race import BASELINES, OF_TEXTS, Race, with_baselines

TRIED_ROWS = 512
"""So many validation rows compare candidates at a rung and show how fast they score; more would take time of tuning."""
QUESTIONS_ALONE = 3
"""Asked one by one, to see how long timing a candidate will take."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where an attempt works and what earlier ones have left: see trainer.tune.kept.Kept."""

    work: Path
    earlier: Sequence[Path] = ()
    store: Path | None = None


def prices(plan: Plan, task: Task, candidates: Mapping[str, CandidateSpec]) -> dict[str, float]:
    """US dollars an hour of what will serve each candidate."""
    return {
        name: price(plan.engines, spec.engine or task.engine, spec.usd_per_hour) for name, spec in candidates.items()
    }


def tune_all(
    plan: Plan,
    task: Task,
    dataset: DataSet,
    places: Places,
    seed: int,
    started: float,
    others: int,
    opened: Callable[[Tuned], Model],
    progress: Progress,
    incumbent: AtAddress | None = None,
) -> list[Tuned]:
    """Every candidate of the plan and the baselines, cheapest first; those that are not finished say why.

    started: time.monotonic() when the attempt began; others: models beside the candidate that the test rows are asked
    opened: a tuned candidate, loaded as a gateway would load it
    incumbent: the plan's, for chains that end with it
    """
    budget, rows = plan.budget, dataset.split("train")
    _bound_gpu(budget.gpu_memory_gib)
    writes = task.kind == "generate"
    candidates, baselines = with_baselines(task.candidates, plan.known_bases, OF_TEXTS if writes else BASELINES)
    seconds, bound = budget.bound(gpus)
    validation = dataset.split("validation")
    held_out = len(dataset.split("test")) + len(dataset.split("forget"))
    asked = asked_of_each(len(validation), Suites.of(task))
    answers = tuple(dict.fromkeys(row.label for row in rows)) if writes else ()
    place = {name: number for number, name in enumerate(answers or task.labels)}
    tuner = Tuner(
        labels=LabelSet(task.labels, read_by_models(task.names), task.describe),
        texts=[row.text for row in rows],
        truth=[place[row.label] for row in rows],
        weights=[row.weight for row in rows],
        checked=[row.source != TEACHER for row in rows],
        dataset=dataset.digest,
        bases=plan.known_bases,
        prices=prices(plan, task, candidates),
        kept=Kept(places.work, places.earlier, places.store, progress),
        seed=seed,
        threads=budget.threads,
        spending=Spending(started + seconds, bound, Judging(asked, held_out, others), budget.memory_gib, gpus() > 0),
        progress=progress,
        instructions=task.writing.instructions,
        answers=answers,
        held_out=None if writes else _held_out(validation, place),
        incumbent=incumbent,
        opened=opened,
    )
    tried = text_trial if writes else trial
    return Race(tuner, candidates, baselines, lambda tuned: tried(tuned, opened, validation), budget.halve).run()


def failures(tuned: Sequence[Tuned]) -> str:
    """Why candidates were not tuned, in words."""
    return "; ".join(f"{one.name} {one.failure}" for one in tuned if one.failure)


def _held_out(rows: Sequence[Row], place: Mapping[str, int]) -> HeldOut:
    texts, truth = [row.text for row in rows], [place[row.label] for row in rows]
    return HeldOut(texts, truth, [row.cluster for row in rows])


def trial(tuned: Tuned, opened: Callable[[Tuned], Model], rows: Sequence[Row]) -> Trial:
    """What a tuned candidate shows on some validation rows, and how fast."""
    started = time.monotonic()
    model = opened(tuned)
    loaded = time.monotonic()
    rows = rows[:TRIED_ROWS]
    # An upstream that is the last tier of a chain is asked again by the evaluation, if it did not answer these before.
    with model.remembering():
        said, _ = predict(model, rows)
    right = sum(mine == row.label for mine, row in zip(said, rows, strict=True))
    scored = time.monotonic()
    alone = rows[:QUESTIONS_ALONE]
    for row in alone:
        model.score([row.text])
    alone_s = (time.monotonic() - scored) / max(1, len(alone))
    return Trial(right / max(1, len(rows)), loaded - started, (scored - loaded) / max(1, len(rows)), alone_s)


def text_trial(tuned: Tuned, opened: Callable[[Tuned], Model], rows: Sequence[Row]) -> Trial:
    """The same of one that writes: for its accuracy, how probable a token of a right answer is."""
    started = time.monotonic()
    model = opened(tuned)
    loaded = time.monotonic()
    rows = rows[:TRIED_ROWS]
    found = foreseen(model, rows)
    return Trial(exp(-found.loss), loaded - started, (time.monotonic() - loaded) / max(1, len(rows)))


def _bound_gpu(memory_gib: float | None) -> None:
    """More of a GPU's memory than the plan allows is then out of memory."""
    if memory_gib is None or not gpus():
        return
    import torch

    for number in range(gpus()):
        whole = torch.cuda.get_device_properties(number).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, memory_gib * GIB / whole), number)
