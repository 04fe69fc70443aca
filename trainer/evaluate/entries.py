"""The tuned candidates, loaded as a gateway would load them, and what they and the live version show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from headrace.contract.findings import Finding, SuiteResult
from headrace.costs import Serving
from headrace.models.families import Model
from headrace.plan import Task
from trainer.curate.rows import Row
from trainer.evaluate.choice import Choice, Contender, choose
from trainer.evaluate.measure import Figures, Latency, Price, figures, latencies, probabilities
from trainer.evaluate.perturbed import MAX_ROWS
from trainer.evaluate.subject import Subject, findings
from trainer.evaluate.suites import Suites, forbidden
from trainer.progress import Progress
from trainer.tune.candidates import Tuned

NOT_SHARED: Mapping[str, float] = {}
NOT_KNOWN = Serving()


@dataclass(frozen=True, slots=True)
class Entry:
    """A tuned candidate, loaded, and what it showed on the validation rows and on the plan's suites.

    findings: by evaluator; suites: by the plan's name
    serving: how its answers would be paid for; requests_per_day: of the task, 0 where that is not known
    """

    tuned: Tuned
    scorer: Model
    latency: Latency
    validation: Figures
    correct: tuple[bool, ...]
    findings: Mapping[str, Finding] = field(default_factory=dict)
    suites: Mapping[str, SuiteResult] = field(default_factory=dict)
    serving: Serving = NOT_KNOWN
    requests_per_day: float = 0.0

    @property
    def price(self) -> Price:
        """What serving it costs at the task's traffic."""
        return Price(self.serving.per_1k(self.requests_per_day), self.latency.p95_ms)


@dataclass(frozen=True, slots=True)
class LiveBaseline:
    """The version to beat. scorer: None where it is an upstream, which answered the test rows itself.

    serving: how its answers are paid for; requests_per_day: of the task
    """

    version: str
    scorer: Model | None
    price: Price
    p50_ms: float
    parameters: int
    requests_per_day: float = 0.0
    serving: Serving = NOT_KNOWN


def serving_of(model: Model, latency: Latency, usd_per_hour: float, shared_s: float = 0.0) -> Serving:
    """How the answers of a model would be paid for. shared_s: see headrace.costs

    A chain knows what its requests cost, those to the incumbent included; its first tiers need a machine all the same.
    """
    if model.usd_per_1k is not None:
        return Serving(usd_per_hour, usd_per_1k=model.usd_per_1k)
    return Serving(usd_per_hour, latency.mean_s, shared_s=shared_s)


def asked_of_each(rows: int, suites: Suites) -> int:
    """How many texts `enter` asks each candidate, of so many validation rows; benchmarks not counted.

    Each row once, for its temperature, its answer and its distance; some again in other words.
    """
    return rows + 2 * min(rows, MAX_ROWS) + suites.questions


def enter(
    tuned: Mapping[str, tuple[Tuned, Model]],
    live: Mapping[str, Model],
    rows: Sequence[Row],
    task: Task,
    suites: Suites,
    seed: int,
    progress: Progress,
    requests_per_day: float = 0.0,
    shared_s: Mapping[str, float] = NOT_SHARED,
) -> tuple[list[Entry], Latency | None]:
    """The candidates on the validation rows, calibrated on them, and timed together with the live version.

    tuned: by name; live: by version, none or one, as it can be loaded; seed: of what evaluators draw
    requests_per_day: of the task; shared_s: seconds a day for which others keep a candidate's machines busy, by name
    """
    truth = [row.label for row in rows]
    texts = [row.text for row in rows]
    for _, scorer in tuned.values():
        with scorer.remembering():
            scorer.calibrate(texts, [scorer.labels.index(label) for label in truth])
    timings = latencies({name: scorer for name, (_, scorer) in tuned.items()} | dict(live), texts)
    entries: list[Entry] = []
    for number, (name, (one, scorer)) in enumerate(tuned.items()):
        with scorer.remembering():
            ask = partial(probabilities, scorer)
            shown = Subject(
                labels=scorer.labels,
                names=task.names,
                out_of_scope=task.out_of_scope,
                rows=rows,
                probabilities=ask(texts),
                novelty=scorer.novelty(texts) if task.out_of_scope in scorer.labels else None,
                ask=ask,
                seed=seed,
                model=scorer,
                benchmarks=task.benchmarks,
            )
            found = figures(truth, shown.said)
            correct = tuple(bool(right) for right in shown.right)
            serving = serving_of(scorer, timings[name], one.usd_per_hour, shared_s.get(name, 0.0))
            shows = findings(shown), suites.asked(ask)
            entries.append(Entry(one, scorer, timings[name], found, correct, *shows, serving, requests_per_day))
        message = f"{name}: {found.accuracy:.3f} ({found.low:.3f} to {found.high:.3f}) on {found.n} validation rows"
        progress.say("evaluate", message, number + 1, len(tuned) + 1, {"accuracy": found.accuracy})
    return entries, next((timings[version] for version in live), None)


def chosen(entries: Sequence[Entry]) -> tuple[Entry, Choice]:
    """The one that goes to the test rows; one that a suite of the plan forbids only where it forbids them all."""
    entries = [one for one in entries if not forbidden(one.suites)] or entries
    choice = choose(
        [Contender(one.tuned.name, one.correct, one.latency.p50_ms, one.price.cost_per_1k) for one in entries]
    )
    return next(one for one in entries if one.tuned.name == choice.name), choice
