"""One attempt at one job, from the warehouse to a published artifact: curate, tune, evaluate, gate, publish.

A stage gets the small values that it needs; what of the job those are stands here and nowhere else. torch is imported
only once there are enough labels, so that "not enough labels" takes a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from headrace.access import keys
from headrace.contract.control import Served
from headrace.contract.job_file import JobFile, Result, settings_of
from headrace.contract.verdict import Verdict, specs
from headrace.models.bases import gpus
from headrace.models.bundle import verify
from headrace.models.families import Model, load, open_bundle
from headrace.models.family import LabelSet
from headrace.plan import Task
from headrace.plan.engines import price
from headrace.plan.labels import read_by_models
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.bounds import by_known_keys
from trainer.curate.dataset import DataSet
from trainer.curate.funnel import shortfall
from trainer.curate.rows import Rules
from trainer.curate.stage import data_set, may_be_pooled
from trainer.evaluate.entries import Entry, LiveBaseline, chosen, enter
from trainer.evaluate.measure import Latency, Price
from trainer.gate import decision
from trainer.gate.judgement import Judged, judge
from trainer.process.report import Report
from trainer.progress import Progress
from trainer.publish.artifact import Origin, metrics, publish_winner, served
from trainer.tune.candidates import Tuned, Tuner, by_effort

CURATED_WITHIN_S = 1800
"""A million questions take a minute of two cores to compare; a server that does other things too takes longer."""


@dataclass(slots=True)
class Clock:
    """Seconds by part of the run."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        """What passed since the last lap belongs to `name`."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._since, 3)
        self._since = now


def run(job: JobFile, progress: Progress) -> Result:
    """Raises UserError where the job cannot be done as it is, WarehouseError where ClickHouse fails."""
    clock = Clock()
    seconds, bound = job.plan.budget.bound(gpus)
    deadline = time.monotonic() + seconds
    if job.live.artifact:
        # Before any work: without the version to beat nothing can be judged.
        verify(Path(job.live.artifact), job.live.digest)
    task, attempt, settings = job.of_task, job.of_attempt, settings_of(job)
    warehouse = Warehouse.connect(settings, CURATED_WITHIN_S)
    try:
        labels = sources.labels(warehouse, job.task, task.tenant, job.trigger.test_from)
        dataset = curated(job, warehouse, settings, progress)
        clock.lap("curate")
        needs, missing = shortfall(dataset.curated, task.curation)
        if needs:
            reason = f"not enough labels: {missing}; about {needs} more blind audit labels are needed"
            return _result("not_enough_labels", reason, dataset, clock, needs=needs)
        tuned = tune_all(job, dataset, deadline, bound, progress)
        clock.lap("training")
        origin = Origin(attempt, task.labels, dataset.digest, job.seed)
        judged = judged_on(job, dataset, tuned, origin, warehouse, progress)
        clock.lap("evaluation")
        if isinstance(judged, str):
            return _result("no_winner", judged, dataset, clock)
        if judged.verdict.gate != "passed":
            verdict = verdict_of(judged.verdict, labels, task)
            return _result("no_winner", judged.verdict.reason, dataset, clock, verdict=verdict)
        winner = judged.entry.tuned
        manifest = origin.manifest(winner, job.plan.base(winner.spec.base), metrics(judged))
        published = publish_winner(judged.entry.scorer, settings.artifacts, manifest)
        progress.say("publish", f"published {job.version} ({winner.name}) at {published.path}", 1, 1)
        return _result(
            "won",
            judged.verdict.reason,
            dataset,
            clock,
            served=served(published, judged, winner.spec.engine or task.engine),
        )
    finally:
        warehouse.close()


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
    )


def curated(job: JobFile, warehouse: Warehouse, settings: Settings, progress: Progress) -> DataSet:
    """The attempt's data set, in its folder and in the warehouse."""
    progress.say("curate", "reading answers and labels", 0, 3)
    known = frozenset(key.id for key in keys.read(settings.keys))
    answers = by_known_keys(sources.answers(warehouse, job.task, texts=False), known)
    may_be_pooled(answers, job.task, job.plan.pools_tenants)
    progress.step("curate", 1, 3)
    earlier = DataSet.read(job.resume_from / "dataset") if job.resume_from is not None else None
    dataset = data_set(answers, sources.Texts(warehouse, job.task), rules_of(job), earlier, progress)
    dataset.write(job.work / "dataset")
    dataset.store(warehouse, job.of_attempt)
    return dataset


def tune_all(job: JobFile, dataset: DataSet, deadline: float, bound: str, progress: Progress) -> list[Tuned]:
    """Every candidate of the plan, cheapest to try first; those that the budget cut short carry their failure."""
    task, rows = job.of_task, dataset.split("train")
    tuner = Tuner(
        labels=LabelSet(task.labels, read_by_models(task.names), task.describe),
        texts=[row.text for row in rows],
        truth=[task.labels.index(row.label) for row in rows],
        dataset=dataset.digest,
        bases=job.plan.known_bases,
        prices={
            name: price(job.plan.engines, spec.engine or task.engine, spec.usd_per_hour)
            for name, spec in task.candidates.items()
        },
        folder=job.work,
        earlier=job.resume_from,
        seed=job.seed,
        threads=job.plan.budget.threads,
        deadline=deadline,
        bound=bound,
        progress=progress,
    )
    return [tuner.tune(name, spec) for name, spec in by_effort(task.candidates)]


def judged_on(
    job: JobFile, dataset: DataSet, tuned: Sequence[Tuned], origin: Origin, warehouse: Warehouse, progress: Progress
) -> Judged | str:
    """Choose on validation, judge on test, and record both; a sentence where no candidate was tuned."""
    live = {job.live.version: load(job.live.artifact, job.live.digest)} if job.live.artifact else {}
    opened = {
        one.name: (one, open_bundle(one.folder, origin.manifest(one, job.plan.base(one.spec.base), {})))
        for one in tuned
        if one.folder is not None
    }
    report = Report(warehouse, job.of_attempt, dataset.digest)
    if not opened:
        report.write([report.failed(one) for one in tuned])
        return f"no candidate was tuned: {tuned[0].failure}"
    entries, latency = enter(opened, live, dataset.split("validation"), progress)
    entry, choice = chosen(entries)
    baseline = _baseline(job, entry, live.get(job.live.version), latency, warehouse)
    look = sources.look(warehouse, job.of_attempt, dataset.digest)
    test, forget = dataset.split("test"), dataset.split("forget")
    judged = judge(entry, baseline, test, forget, job.of_task, look, progress)
    report.write(
        [
            *(report.failed(one) for one in tuned if one.folder is None),
            *(report.compared(one, choice) for one in entries),
            report.live(judged.live, baseline),
            report.judged(judged),
        ]
    )
    return judged


def _baseline(
    job: JobFile, entry: Entry, live: Model | None, latency: Latency | None, warehouse: Warehouse
) -> LiveBaseline:
    """An artifact is timed here, beside the candidates; an upstream's price is what its requests cost and took."""
    version = job.live.version
    if live is not None and latency is not None:
        timed = Price(latency.cost_per_1k(entry.tuned.usd_per_hour), latency.p95_ms)
        return LiveBaseline(version, live, timed, latency.p50_ms, live.manifest.parameters)
    traffic = sources.traffic(warehouse, job.task, version, job.trigger.test_from)
    incumbent = job.of_task.incumbent
    parameters = incumbent.parameters if incumbent.version == version else 0
    return LiveBaseline(version, None, Price(traffic.cost_per_1k, traffic.p95_ms), traffic.p50_ms, parameters)


def verdict_of(found: decision.Verdict, labels: int, task: Task) -> Verdict:
    """What another attempt waits for. Test rows come from labels at the rate at which they came this time.

    labels: since the trigger's test_from
    """
    rows = int(found.figures["n"])
    needs = ceil(labels * found.figures["rows_to_decide"] / rows) if found.gate == "failed" and rows else 0
    return Verdict(
        gate="vetoed" if found.gate == "vetoed" else "failed",
        rows=rows,
        difference=found.figures["difference"],
        p_value=found.figures["p_value"],
        labels=labels,
        needs_labels=needs,
        candidates=specs(task),
    )


def _result(
    outcome: str,
    reason: str,
    dataset: DataSet,
    clock: Clock,
    needs: int = 0,
    served: Served | None = None,
    verdict: Verdict | None = None,
) -> Result:
    return Result.model_validate(
        {
            "outcome": outcome,
            "reason": reason,
            "needs": needs,
            "served": served,
            "verdict": verdict,
            "dataset": dataset.digest,
            "seconds": clock.seconds,
            "funnel": dataset.curated.funnel | {f"excluded_{k}": v for k, v in dataset.curated.exclusions.items()},
        }
    )
