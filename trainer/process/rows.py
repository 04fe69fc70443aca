"""The rows of an attempt: curated as the job says, taken over from an earlier attempt, recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headrace.access import keys
from headrace.contract.control import TriggerKind
from headrace.contract.job_file import DATASET, HELD, JobFile, kept_in, settings_of
from headrace.models.families import family_of
from headrace.models.tensors import Floats
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.bounds import by_known_keys
from trainer.curate.dataset import DataSet
from trainer.curate.likeness import read_by
from trainer.curate.rows import AnswerRow, Rules
from trainer.curate.stage import data_set, may_be_pooled
from trainer.curate.teaching import Teaching
from trainer.progress import Progress


def rules_of(job: JobFile) -> Rules:
    """What curation needs of a job."""
    return Rules(
        task=job.task,
        labels=job.of_task.labels,
        curation=job.of_task.curation,
        privacy=job.plan.privacy,
        now=job.trigger.decided_at,
        test_from=job.trigger.test_from,
        live_version=job.live.version,
        live_loadable=bool(job.live.artifact),
        tenant=job.of_task.tenant,
        texts=job.of_task.texts,
        characters=read_by(job.plan.base(spec.base).max_length for spec in job.of_task.candidates.values()),
    )


def curated(job: JobFile, answers: Sequence[AnswerRow], warehouse: Warehouse, progress: Progress) -> DataSet:
    """The data set of a new candidate, recorded; an earlier attempt's where that was interrupted."""
    earlier = interrupted(job, warehouse)
    rules = rules_of(job)
    texts = sources.Texts(warehouse, job.task, rules.characters)
    dataset = data_set(answers, texts, rules, earlier, progress, teaching(job, warehouse, progress))
    record(job, dataset, warehouse)
    try:
        dataset.write(kept_of(job) / DATASET)
    except OSError as error:
        progress.say("curate", f"an attempt on another machine would curate again: the store is away: {error.strerror}")
    return dataset


def chosen_rows(job: JobFile, warehouse: Warehouse, settings: Settings, progress: Progress) -> DataSet:
    """The data set that a job would get as the warehouse is now; nothing is written."""
    answers = answered(job, warehouse, settings, progress)
    rules = rules_of(job)
    texts = sources.Texts(warehouse, job.task, rules.characters)
    return data_set(answers, texts, rules, None, progress, teaching(job, warehouse, progress))


def answered(job: JobFile, warehouse: Warehouse, settings: Settings, progress: Progress) -> list[AnswerRow]:
    """The answers that people said something about. Raises PlanError where the plan does not say whose may train."""
    progress.say("curate", "reading answers and labels", 0, 3)
    known = frozenset(key.id for key in keys.read(settings.keys))
    answers = by_known_keys(sources.answers(warehouse, job.task, texts=False), known)
    may_be_pooled(answers, job.task, job.plan.pools_tenants)
    progress.step("curate", 1, 3)
    return answers


def interrupted(job: JobFile, warehouse: Warehouse) -> DataSet | None:
    """The data set of an earlier attempt that crashed or was stopped, so that its checkpoints still count."""
    if job.resume_from is not None and (job.resume_from / HELD).exists():
        return None
    for folder in (*job.left, kept_of(job)):
        found = DataSet.read(folder / DATASET)
        if found is not None:
            return found if found.still_allowed(warehouse, rules_of(job)) else None
    return None


def kept_of(job: JobFile) -> Path:
    """The job's place in the artifact store."""
    return kept_in(settings_of(job).artifacts, job.task, job.job_id)


def record(job: JobFile, dataset: DataSet, warehouse: Warehouse) -> None:
    """The attempt's data set, in its folder and in the warehouse."""
    dataset.write(job.work / DATASET)
    dataset.store(warehouse, job.of_attempt)


def teaching(job: JobFile, warehouse: Warehouse, progress: Progress) -> Teaching | None:
    """Adds the incumbent's answers to the data set; None where the plan wants none of them."""
    task, trigger = job.of_task, job.trigger
    if task.teacher_labels is None:
        return None
    bases = [job.plan.base(spec.base) for spec in task.candidates.values()]
    # Of a base that takes a head, as the probe that judges them is one.
    base = next((base for base in bases if "head" in family_of(base.family).CAN), job.plan.base("minilm-l6"))

    def embed(texts: Sequence[str]) -> Floats:
        return family_of(base.family).embedded(
            base, texts, job.plan.budget.threads, lambda done, total: progress.step("embed", done, total)
        )

    return Teaching.of(
        task.teacher_labels,
        task.incumbent.version,
        warehouse,
        rules_of(job),
        trigger.test_from if trigger.kind is TriggerKind.DRIFT else None,
        embed,
        job.seed,
        progress,
    )
