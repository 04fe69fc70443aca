"""Models of a file of questions and right answers: a task of kind generate, trained by hand.

Candidates learn the answers in their base's own chat template, beside the base as it is. The one that foresees the
validation rows' answers best is chosen, and it and the baselines alone meet the test rows. Where the plan names a
judge, that compares their texts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.contract import job_file as jobs
from headrace.models.bases import gpus
from headrace.plan import Plan, Task
from headrace.statistics.paired import mcnemar
from trainer.curate.rows import Row
from trainer.process import by_hand_figures
from trainer.progress import Progress

if TYPE_CHECKING:
    from trainer.evaluate.text_judge import Compared

LEAST_JUDGING_S = 60.0
"""That the judge has, whatever is left of the budget."""


def trained(
    asked: jobs.ByHand,
    plan: Plan,
    task: Task,
    dataset: Any,
    work: Path,
    attempt: jobs.Attempt,
    started: float,
    progress: Progress,
) -> dict[str, Any]:
    """Tune, choose, evaluate and publish; the figures. started: time.monotonic(). Raises JobError."""
    from trainer.evaluate.texts import foreseen, judged, less_loss
    from trainer.process.incumbent import incumbent_of
    from trainer.process.run import opened
    from trainer.process.tuning import Places, failures, tune_all
    from trainer.publish.artifact import Origin, publish_winner

    origin = Origin(attempt, task.labels, dataset.digest, asked.seed)
    load = partial(opened, plan, origin, incumbent_of(task, ()))
    tuned = tune_all(plan, task, dataset, Places(work), asked.seed, started, 0, load, progress)
    loaded = {one.name: load(one) for one in tuned if one.folder is not None}
    planned = [one for one in tuned if one.folder is not None and not one.baseline]
    if not planned:
        raise jobs.JobError(f"no candidate was tuned: {failures(tuned)}")
    rows = dataset.split("validation")
    validation = {}
    for name, model in loaded.items():
        validation[name] = found = foreseen(model, rows)
        said = f"{name}: perplexity {found.perplexity:.2f} of {found.tokens} tokens of {found.n} validation rows"
        progress.say("evaluate", said, len(validation), len(loaded), {"loss": found.loss})
    best = min(planned, key=lambda one: validation[one.name].loss)
    rows = dataset.split("test")
    baselines = [one.name for one in tuned if one.baseline and one.name in loaded]
    test = {name: foreseen(loaded[name], rows) for name in (best.name, *baselines)}
    beside: list[dict[str, Any]] = []
    for name in baselines:
        both: dict[str, Any] = {"baseline": name, **less_loss(rows, test[best.name], test[name])}
        if task.judge is not None:
            progress.say("judge", f"{task.judge.model} compares {best.name} and {name} on {len(rows)} test rows", 0, 1)
            left = max(LEAST_JUDGING_S, started + plan.budget.bound(gpus)[0] - time.monotonic())
            compared, grades = judged(task.judge, task.writing, rows, loaded[best.name], loaded[name], left)
            both["judged"] = {"finding": compared.finding(task.judge).model_dump(), **_verdict(rows, compared, grades)}
        beside.append(both)
    manifest = origin.manifest(best, plan.base(best.spec.base), test[best.name].figures)
    published = publish_winner(loaded[best.name], asked.out, manifest)
    progress.say("publish", f"published {attempt.version} ({best.name}) at {published.path}", 1, 1)
    shown = validation[best.name]
    measured: dict[str, dict[str, Any]] = {one.name: {} for one in tuned}
    for part, figures in (("validation", validation), ("test", test)):
        for name, of_name in figures.items():
            measured[name][part] = of_name.figures
    candidates = [by_hand_figures.candidate(one, measured[one.name]) for one in tuned]
    reason = f"{best.name} foresees answers best: perplexity {shown.perplexity:.2f} on {shown.n} validation rows"
    return by_hand_figures.version(
        attempt.version, published, dataset, asked.seed, best.name, reason, candidates, beside, started
    )


def _verdict(rows: Sequence[Row], compared: Compared, grades: Sequence[float | None]) -> dict[str, Any]:
    """Texts on which the judge prefers the candidate or the other; rows without a verdict are left out.

    p_value: that the candidate is no better, by a sign test over texts
    """
    from trainer.gate.outcomes import outcomes

    found = [(row, score) for row, score in zip(rows, compared.scores, strict=True) if score is not None]
    scores = [score for _, score in found]
    both = outcomes([row for row, _ in found], (), scores, [1 - score for score in scores]).pairs()
    graded = [one for one in grades if one is not None]
    return {
        "pairs": asdict(both),
        "p_value": mcnemar(both),
        "grade": sum(graded) / len(graded) if graded else None,
        "graded": len(graded),
    }
