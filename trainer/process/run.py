"""One attempt at one job, from the warehouse to a published artifact: curate, tune, evaluate, gate, publish.

A stage gets the small values that it needs; what of the job those are stands here and nowhere else. torch is imported
only once there are enough labels, so that "not enough labels" takes a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from headrace.contract.control import Served
from headrace.contract.job_file import HELD, JobFile, Result, settings_of
from headrace.contract.verdict import Verdict
from headrace.costs import Serving, engine_of, shared_s, usd_per_hour
from headrace.models.bases import gpus
from headrace.models.bundle import verify
from headrace.models.families import Model, load, open_as_served, open_bundle
from headrace.plan import Plan
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.dataset import DataSet
from trainer.curate.funnel import shortfall
from trainer.curate.stage import data_set
from trainer.curate.teaching import figures
from trainer.evaluate.entries import Entry, LiveBaseline, chosen, enter, serving_of
from trainer.evaluate.measure import Latency, Price
from trainer.evaluate.suites import Suites
from trainer.gate.judgement import Judged, judge
from trainer.process.held import Held, held, hold, learned
from trainer.process.incumbent import attached, incumbent_of
from trainer.process.pace import Labels, unlearned, verdict_of
from trainer.process.reference import reference_on, replaces
from trainer.process.report import Report
from trainer.process.rows import answered, curated, kept_of, record, rules_of
from trainer.process.telling import tell
from trainer.process.tuning import Places, failures, prices, tune_all
from trainer.progress import Progress
from trainer.publish.artifact import Origin, metrics, publish_winner, served
from trainer.tune.candidates import Tuned
from trainer.tune.method import AtAddress

CURATED_WITHIN_S = 1800
"""A million questions take a minute of two cores to compare; a server that does other things too takes longer."""
LEAST_ASKED_S = 30.0
"""That a reference version which is asked has, whatever is left of the budget; the parent's patience is longer."""


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
    started = time.monotonic()
    ends_at = started + job.plan.budget.bound(gpus)[0]
    if job.live.artifact:
        # Before any work: without the version to beat nothing can be judged.
        verify(Path(job.live.artifact), job.live.digest)
    task, settings = job.of_task, settings_of(job)
    warehouse = Warehouse.connect(settings, CURATED_WITHIN_S)
    try:
        since = job.trigger.test_from
        labels = Labels(
            sources.labels(warehouse, job.task, task.tenant, since),
            sources.labels_per_day(warehouse, job.task, task.tenant),
        )
        answers = answered(job, warehouse, settings, progress)
        waiting = held(job, prices(job.plan, task, task.candidates))
        rules = rules_of(job)
        if waiting is not None and waiting.still_allowed(warehouse, rules):
            fresh = data_set(answers, sources.Texts(warehouse, job.task, rules.characters), rules, None, progress)
            dataset = waiting.with_test_of(fresh, rules.characters)
            record(job, dataset, warehouse)
            clock.lap("curate")
            progress.say("curate", f"{waiting.tuned.name} of an earlier attempt meets the test rows of now", 3, 3)
            judged = judged_on(job, dataset, [waiting.tuned], waiting.tuned_on, ends_at, warehouse, progress)
            clock.lap("evaluation")
            if not worth_another(judged, waiting, fresh, since):
                return ended(job, settings, dataset, judged, waiting.tuned_on, waiting.learned, labels, clock, progress)
            progress.say("curate", f"a new candidate learns from {learned(fresh, since)} rows, not {waiting.learned}")
        # From here on a candidate that waited is replaced.
        (job.work / HELD).unlink(missing_ok=True)
        fresh = curated(job, answers, warehouse, progress)
        clock.lap("curate")
        needs, missing = max(shortfall(fresh.curated, task.curation), unlearned(learned(fresh, since), task.curation))
        if needs:
            reason = f"not enough labels: {missing}; {labels.more(needs)}"
            tell(job, fresh, "", "not_enough_labels", reason, clock.seconds, progress)
            return _result("not_enough_labels", reason, fresh, clock, needs=needs)
        tuned = tuned_of(job, fresh, started, progress, warehouse)
        clock.lap("training")
        judged = judged_on(job, fresh, tuned, fresh.digest, ends_at, warehouse, progress)
        clock.lap("evaluation")
        return ended(job, settings, fresh, judged, fresh.digest, learned(fresh, since), labels, clock, progress)
    finally:
        warehouse.close()


def worth_another(judged: Judged | str, waiting: Held, fresh: DataSet, since: datetime) -> bool:
    """Whether a new candidate is tuned after this look at the one that waited; see trainer.process.held."""
    passed = not isinstance(judged, str) and judged.verdict.gate == "passed"
    return not passed and waiting.grown(fresh, since)


def ended(
    job: JobFile,
    settings: Settings,
    dataset: DataSet,
    judged: Judged | str,
    tuned_on: str,
    rows: int,
    labels: Labels,
    clock: Clock,
    progress: Progress,
) -> Result:
    """What the attempt leaves and says. tuned_on, rows: of the candidate, see Held."""
    if isinstance(judged, str):
        tell(job, dataset, tuned_on, "no_winner", judged, clock.seconds, progress)
        return _result("no_winner", judged, dataset, clock)
    verdict, tuned, task = judged.verdict, judged.entry.tuned, job.of_task
    outcome = {"passed": "won", "undecided": "undecided"}.get(verdict.gate, "no_winner")
    report = tell(job, dataset, tuned_on, outcome, verdict.reason, clock.seconds, progress)
    if verdict.gate == "passed":
        origin = Origin(job.of_attempt, task.labels, tuned_on, job.seed)
        manifest = origin.manifest(tuned, job.plan.base(tuned.spec.base), metrics(judged))
        published = publish_winner(judged.entry.scorer, settings.artifacts, manifest, report)
        progress.say("publish", f"published {job.version} ({tuned.name}) at {published.path}", 1, 1)
        reference = None if replaces(verdict) else job.live.own_reference
        promoted = served(published, judged, tuned.spec.engine or task.engine, reference)
        return _result("won", verdict.reason, dataset, clock, served=promoted)
    waits_for = verdict_of(verdict, labels, task)
    if verdict.gate != "undecided":
        return _result("no_winner", verdict.reason, dataset, clock, verdict=waits_for)
    hold(job, tuned, tuned_on, rows)
    needs = waits_for.needs_labels - labels.there
    reason = f"not enough labels: {labels.more(needs)}; {verdict.reason}"
    return _result("undecided", reason, dataset, clock, needs=labels.until_next_look(needs), verdict=waits_for)


def tuned_of(job: JobFile, dataset: DataSet, started: float, progress: Progress, warehouse: Warehouse) -> list[Tuned]:
    """Every candidate of the attempt. started: time.monotonic() when it began"""
    store = kept_of(job)
    places = Places(job.work, (*job.left, store), store)
    origin = Origin(job.of_attempt, job.of_task.labels, dataset.digest, job.seed)
    others = bool(job.live.artifact) + (job.live.own_reference.version != job.live.version)
    task = job.of_task
    price = sources.traffic(warehouse, job.task, task.incumbent.version, job.trigger.test_from).cost_per_1k
    incumbent = incumbent_of(task, dataset.curated.rows, price)
    load = partial(opened, job.plan, origin, incumbent)
    return tune_all(job.plan, task, dataset, places, job.seed, started, others, load, progress, incumbent)


def opened(plan: Plan, origin: Origin, incumbent: AtAddress, tuned: Tuned) -> Model:
    """A tuned candidate, loaded as a gateway would load it."""
    assert tuned.folder is not None, "a candidate that is opened was tuned"
    manifest = origin.manifest(tuned, plan.base(tuned.spec.base), {})
    named = tuned.spec.engine or plan.task(origin.attempt.task).engine
    torch = named and plan.engines[named].kind == "in_process"
    return attached((open_bundle if torch else open_as_served)(tuned.folder, manifest), incumbent)


def judged_on(
    job: JobFile,
    dataset: DataSet,
    tuned: Sequence[Tuned],
    tuned_on: str,
    ends_at: float,
    warehouse: Warehouse,
    progress: Progress,
) -> Judged | str:
    """Choose on validation, judge on test, and record both; a sentence where no candidate was tuned.

    tuned_on: the digest of the data set that they were tuned on; ends_at: time.monotonic() when the budget is spent
    """
    incumbent = incumbent_of(job.of_task, dataset.curated.rows)
    live: dict[str, Model] = {}
    if job.live.artifact:
        live[job.live.version] = attached(load(job.live.artifact, job.live.digest), incumbent)
    origin = Origin(job.of_attempt, job.of_task.labels, tuned_on, job.seed)
    loaded = {one.name: (one, opened(job.plan, origin, incumbent, one)) for one in tuned if one.folder is not None}
    report = Report(warehouse, job.work, job.of_attempt, dataset.digest, tuned_on, figures(dataset.curated.funnel))
    if all(one.folder is None or one.baseline for one in tuned):
        report.write([report.failed(one) for one in tuned if one.folder is None])
        return f"no candidate was tuned: {failures(tuned)}"
    suites = Suites.of(job.of_task)
    daily = sources.daily(warehouse, job.trigger.decided_at)
    requests = daily.requests_of(job.task)
    shared = {
        one.name: shared_s(job.plan, job.task, engine_of(job.plan, job.task, one.name), daily.usd) for one in tuned
    }
    validation = dataset.split("validation")
    entries, latency = enter(loaded, live, validation, job.of_task, suites, job.seed, progress, requests, shared)
    entry, choice = chosen([one for one in entries if not one.tuned.baseline])
    if beaten := unplanned(entries, entry):
        progress.say("evaluate", beaten, len(entries), len(entries) + 1)
        choice = replace(choice, reason=f"{choice.reason}; {beaten}")
    traffic = sources.traffic(warehouse, job.task, job.live.version, job.trigger.test_from)
    baseline = baseline_of(job, live.get(job.live.version), latency, traffic, daily)
    number = sources.number(warehouse, job.of_attempt, entry.tuned.name, tuned_on)
    reference = reference_on(
        dataset.split("test"), job.live, job.of_task, max(LEAST_ASKED_S, ends_at - time.monotonic())
    )
    judged = judge(entry, baseline, dataset, job.of_task, number, progress, reference.answers)
    judged = replace(judged, verdict=reference.held_to(judged.verdict))
    report.write(
        [
            *(report.failed(one) for one in tuned if one.folder is None),
            *(report.compared(one, choice) for one in entries),
            report.live(judged.live, baseline, suites),
            report.judged(judged),
        ]
    )
    return judged


def unplanned(entries: Sequence[Entry], entry: Entry) -> str:
    """In words, that a baseline which the plan does not name beats the chosen candidate; empty where none does."""
    best = max((one for one in entries if one.tuned.baseline), key=lambda one: one.validation.accuracy, default=entry)
    if best.validation.accuracy <= entry.validation.accuracy:
        return ""
    return (
        f"the baseline {best.tuned.name}, which the plan does not name, has {best.validation.accuracy:.3f} of the same"
        f" rows right: a candidate of method {best.tuned.spec.method} is worth its place in the plan"
    )


def baseline_of(
    job: JobFile, live: Model | None, latency: Latency | None, traffic: sources.Traffic, daily: sources.Daily
) -> LiveBaseline:
    """The version to beat and what serving it costs, on the machine on which it answers.

    An artifact is timed here, beside the candidates; an upstream's price is what its requests cost and took.
    live, latency: None where it is an upstream; traffic: its own; daily: of all tasks
    """
    version, requests = job.live.version, daily.requests_of(job.task)
    if live is not None and latency is not None:
        manifest = live.manifest
        hourly = usd_per_hour(job.plan, job.task, manifest.candidate)
        others = shared_s(job.plan, job.task, engine_of(job.plan, job.task, manifest.candidate), daily.usd)
        serving = serving_of(live, latency, hourly, others)
        timed = Price(serving.per_1k(requests), latency.p95_ms)
        return LiveBaseline(version, live, timed, latency.p50_ms, manifest.parameters, requests, serving)
    incumbent = job.of_task.incumbent
    parameters = incumbent.parameters if incumbent.version == version else 0
    paid = Price(traffic.cost_per_1k, traffic.p95_ms, "gateway")
    serving = Serving(usd_per_1k=traffic.cost_per_1k)
    return LiveBaseline(version, None, paid, traffic.p50_ms, parameters, requests, serving)


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
