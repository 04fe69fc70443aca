"""The candidates of one attempt: tuned, compared on the validation rows, and one of them judged on the test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headrace.contract.control import Served
from headrace.contract.job_file import JobFile, settings_of
from headrace.models.families import Model, load, open_bundle
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.dataset import DataSet
from trainer.evaluate.choice import Contender, choose
from trainer.evaluate.measure import Figures, Latency, figures, latencies, live_answers, predict
from trainer.evaluate.report import Report
from trainer.gate.decision import Answers, Evidence, Price, Verdict, decide
from trainer.process.progress import Progress
from trainer.publish.artifact import PARITY_TEXTS, draft, publish_winner
from trainer.tune.candidates import Tuned, Tuner, by_effort

LIVE = "live"


@dataclass(frozen=True, slots=True)
class Entry:
    """A tuned candidate, loaded, and what it showed on the validation rows."""

    tuned: Tuned
    scorer: Model
    latency: Latency
    validation: Figures
    correct: tuple[bool, ...]

    @property
    def price(self) -> Price:
        """What serving it costs."""
        return Price(self.latency.cost_per_1k(self.tuned.spec.usd_per_hour), self.latency.p95_ms)


@dataclass(frozen=True, slots=True)
class LiveBaseline:
    """The version to beat. scorer: None where it is an upstream, which answered the test rows itself."""

    scorer: Model | None
    price: Price
    p50_ms: float
    parameters: int


@dataclass(frozen=True, slots=True)
class Judged:
    """The gate's verdict on the chosen candidate, and its figures on the test rows."""

    entry: Entry
    test: Figures
    verdict: Verdict


def tune_all(job: JobFile, dataset: DataSet, progress: Progress, deadline: float) -> list[Tuned]:
    """Every candidate of the plan, cheapest to try first; those that the budget cut short carry their failure."""
    tuner = Tuner(job, dataset, progress, deadline)
    return [tuner.tune(name, spec) for name, spec in by_effort(job.of_task.candidates)]


def judge(
    job: JobFile, dataset: DataSet, tuned: Sequence[Tuned], warehouse: Warehouse, progress: Progress
) -> Judged | Verdict:
    """Choose on validation, judge on test, and record both; a bare Verdict where no candidate was tuned."""
    report = Report(warehouse, job, dataset.digest)
    lost = [
        report.candidate(one, "validation", None, None, "not_selected", one.failure) for one in tuned if one.failure
    ]
    live = load(job.live.artifact, job.live.digest) if job.live.artifact else None
    entries, live_latency = _enter(job, dataset, tuned, live, progress)
    if not entries:
        report.write(lost)
        return Verdict("failed", f"no candidate was tuned: {tuned[0].failure}")
    choice = choose(
        [Contender(one.tuned.name, one.correct, one.latency.p50_ms, one.price.cost_per_1k) for one in entries]
    )
    chosen = next(one for one in entries if one.tuned.name == choice.name)
    baseline = _baseline(job, chosen, live, live_latency, warehouse)
    look = sources.look(warehouse, job, dataset.digest)
    judged, live_figures = _on_test(job, dataset, chosen, baseline, look, progress)
    verdict = judged.verdict
    report.write(
        [
            *lost,
            *(
                report.candidate(
                    one.tuned, "validation", one.validation, one.latency, "not_selected", choice.reason,
                    pareto=one.tuned.name in choice.front, chosen=one is chosen,
                )
                for one in entries
            ),
            report.live(live_figures, baseline.price, baseline.p50_ms, baseline.parameters),
            report.candidate(
                chosen.tuned, "test", judged.test, chosen.latency, verdict.gate, verdict.reason, **verdict.figures
            ),
        ]
    )  # fmt: skip
    progress.say("gate", verdict.reason, 1, 1, {"accuracy": judged.test.accuracy, "live": live_figures.accuracy})
    return judged


def publish(job: JobFile, dataset: DataSet, judged: Judged, progress: Progress) -> Served:
    """The winner as something to promote."""
    entry = judged.entry
    metrics = {
        "accuracy": judged.test.accuracy,
        "low": judged.test.low,
        "high": judged.test.high,
        "n": float(judged.test.n),
        "p50_ms": entry.latency.p50_ms,
        "p95_ms": entry.latency.p95_ms,
        "cost_per_1k": entry.price.cost_per_1k,
        "ece": float(judged.verdict.figures["ece"]),
        "difference": float(judged.verdict.figures["difference"]),
    }
    parity = entry.scorer.log_probabilities(PARITY_TEXTS)
    manifest = draft(job, entry.tuned, dataset.digest, metrics)
    published = publish_winner(entry.scorer.folder, settings_of(job).artifacts, manifest, parity)
    progress.say("publish", f"published {job.version} ({entry.tuned.name}) at {published.path}", 1, 1)
    return Served(
        version=job.version,
        artifact=str(published.path),
        digest=published.digest,
        job_id=job.job_id,
        attempt=job.attempt,
        errors=judged.test.n - judged.test.correct,
        labelled=judged.test.n,
    )


def _enter(
    job: JobFile, dataset: DataSet, tuned: Sequence[Tuned], live: Model | None, progress: Progress
) -> tuple[list[Entry], Latency | None]:
    """The candidates loaded as a gateway would load them, timed together with the live version."""
    rows = dataset.split("validation")
    truth = [row.label for row in rows]
    scorers = {
        one.name: open_bundle(one.folder, draft(job, one, dataset.digest, {}))
        for one in tuned
        if one.folder is not None
    }
    timed = scorers | ({f"{LIVE} {job.live.version}": live} if live is not None else {})
    timings = latencies(timed, [row.text for row in rows])
    entries: list[Entry] = []
    for number, one in enumerate(one for one in tuned if one.folder is not None):
        said, _ = predict(scorers[one.name], rows)
        found = figures(truth, said)
        correct = tuple(mine == right for mine, right in zip(said, truth, strict=True))
        entries.append(Entry(one, scorers[one.name], timings[one.name], found, correct))
        message = f"{one.name}: {found.accuracy:.3f} ({found.low:.3f} to {found.high:.3f}) on {found.n} validation rows"
        progress.say("evaluate", message, number + 1, len(scorers) + 1, {"accuracy": found.accuracy})
    return entries, timings.get(f"{LIVE} {job.live.version}")


def _baseline(
    job: JobFile, chosen: Entry, live: Model | None, latency: Latency | None, warehouse: Warehouse
) -> LiveBaseline:
    """An artifact is timed here, beside the candidates; an upstream's price is what its requests cost and took."""
    if live is not None and latency is not None:
        price = Price(latency.cost_per_1k(chosen.tuned.spec.usd_per_hour), latency.p95_ms)
        return LiveBaseline(live, price, latency.p50_ms, live.manifest.parameters)
    traffic = sources.live_traffic(warehouse, job)
    incumbent = job.of_task.incumbent
    parameters = incumbent.parameters if incumbent.version == job.live.version else 0
    return LiveBaseline(None, Price(traffic.cost_per_1k, traffic.p95_ms), traffic.p50_ms, parameters)


def _on_test(
    job: JobFile, dataset: DataSet, chosen: Entry, baseline: LiveBaseline, look: int, progress: Progress
) -> tuple[Judged, Figures]:
    """The only place where a candidate meets test and forget rows."""
    test, forget = dataset.split("test"), dataset.split("forget")
    said, confidence = predict(chosen.scorer, test, lambda done, total: progress.step("gate", done, total))
    live = live_answers(test, job.live.version, baseline.scorer)
    remembered, _ = predict(chosen.scorer, forget)
    evidence = Evidence(
        test=Answers([row.label for row in test], said, live),
        confidence=confidence,
        forget=Answers(
            [row.label for row in forget], remembered, live_answers(forget, job.live.version, baseline.scorer)
        ),
        candidate=chosen.price,
        live=baseline.price,
        names=job.of_task.names,
        out_of_scope=job.of_task.out_of_scope,
        look=look,
    )
    verdict = decide(evidence, job.of_task.gate)
    verdict = replace(verdict, figures=verdict.figures | {"forget": _pairs(evidence.forget)})
    truth = [row.label for row in test]
    return Judged(chosen, figures(truth, said), verdict), figures(truth, live)


def _pairs(answers: Answers) -> dict[str, int]:
    found = answers.pairs()
    return {"n": found.n, "gained": found.gained, "lost": found.lost}
