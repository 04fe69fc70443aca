"""The chosen candidate on the test rows, from rows and models to a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest

from headrace.contract.control import Served
from headrace.plan import CandidateSpec, Plan, Task
from trainer.curate.dataset import DataSet
from trainer.curate.rows import Curated, Row
from trainer.curate.sources import Daily, Traffic
from trainer.evaluate.entries import Entry, LiveBaseline, serving_of
from trainer.evaluate.measure import Latency, Price, figures
from trainer.evaluate.suites import Suites
from trainer.gate.judgement import Judged, judge
from trainer.process.run import baseline_of
from trainer.progress import Progress
from trainer.tune.candidates import Tuned

LABELS = ("hr", "it")


class Said:
    """A model that answers as given, and `hr` to everything else."""

    labels = LABELS
    usd_per_1k = None

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers = answers

    def score(self, texts: Sequence[str]) -> Any:
        """Certain of each answer."""
        return np.array([[float(self.answers.get(text, "hr") == label) for label in LABELS] for text in texts])

    def novelty(self, texts: Sequence[str]) -> None:
        """It has no distance."""

    def remembering(self) -> AbstractContextManager[None]:
        """It computes nothing."""
        return nullcontext()


class Silent:
    """Progress that nobody reads."""

    def say(self, *args: Any) -> None:
        """Nothing."""

    step = say


def row(number: int, split: str, text: str, label: str, answered: str = "hr") -> Row:
    """A row that router@0 answered."""
    said = UUID(int=number)
    return Row(split, "default", said, said, datetime(2026, 1, 1, tzinfo=UTC), text, text, label, "audit", 4, answered,
               "router@0", 1.0, text)  # fmt: skip


def judged(
    rows: Sequence[Row], answers: Mapping[str, str], reference: Sequence[str] | None = None, **keys: Any
) -> Judged:
    """The verdict on a candidate that answers so, of a dear upstream as the live version."""
    task = Task(labels=LABELS, candidates={"probe": {"method": "probe"}}, incumbent={"url": "http://x", "model": "x"},
                **keys)  # fmt: skip
    dataset, scorer = DataSet("digest", Curated(tuple(rows), {}, {})), cast(Any, Said(answers))
    validation = dataset.split("validation")
    correct = tuple(answers.get(one.text, "hr") == one.label for one in validation)
    entry = Entry(Tuned("probe", CandidateSpec(method="probe"), 0.1, None), scorer, Latency(1.0, 1.0, 0.001),
                  figures([], []), correct, suites=Suites.of(task).asked(scorer.score))  # fmt: skip
    live = LiveBaseline("router@0", None, Price(1.0, 900.0), 500.0, 0)
    return judge(entry, live, dataset, task, 1, cast(Progress, Silent()), reference)


GAINED = [row(number, "test", f"laptop {number}", "it") for number in range(60)]
SAME = [row(number, "test", f"leave {number}", "hr") for number in range(100, 160)]
LAPTOPS = {one.text: "it" for one in GAINED}


def test_repetitions_prove_nothing() -> None:
    """A candidate that gained sixty questions is better; one that gained one of them sixty times is not."""
    assert judged([*GAINED, *SAME], LAPTOPS).verdict.reason.startswith("better than the live version: 60 gained")
    copies = [row(number, "test", "laptop 0", "it") for number in range(60)]
    found = judged([*copies, *SAME], LAPTOPS).verdict
    assert found.gate == "undecided" and (found.figures["gained"], found.figures["n"]) == (1, 61)


def test_a_label_without_test_rows_is_asked_by_the_plans_examples() -> None:
    """The candidate answers them as it would answer users, and validation rows count beside them."""
    news = {"examples": {"it": ["vpn is down", "new mouse"]}}
    gained = [row(number, "test", f"pay {number}", "hr", "it") for number in range(60)]
    assert "nothing shows whether it knows the label it" in judged(gained, {}).verdict.reason
    assert "the label it is lost: none right of 2" in judged(gained, {}, **news).verdict.reason
    assert judged(gained, {"vpn is down": "it"}, **news).verdict.gate == "passed"
    validation = row(200, "validation", "wifi", "it")
    assert "none right of 3" in judged([*gained, validation], {}, **news).verdict.reason
    assert judged([*gained, validation], {"wifi": "it"}).verdict.gate == "passed"


def test_the_reference_is_scored_on_the_same_rows() -> None:
    """What is as good as the live version and worse than the reference does not pass as cheaper."""
    rows = [row(number, "test", f"leave {number}", "hr") for number in range(1000)]
    known = {"gate": {"approved_labels": ["it"]}}
    worse = {f"leave {number}": "it" for number in range(0, 1000, 10)}
    live = [row(number, "test", one.text, "hr", worse.get(one.text, "hr")) for number, one in enumerate(rows)]
    assert judged(live, worse, ["it" if one.text in worse else "hr" for one in live], **known).verdict.gate == "passed"
    found = judged(live, worse, ["hr"] * 1000, **known).verdict
    assert found.gate == "failed" and found.figures["reference"]["difference"] == -0.1


def at_traffic(requests: float) -> Judged:
    """An equal candidate of ten milliseconds on a machine of five cents an hour; the live version takes 11 cents."""
    rows = [row(number, "test", f"leave {number}", "hr") for number in range(1000)]
    task = Task(labels=LABELS, candidates={"probe": {"method": "probe"}}, incumbent={"url": "http://x", "model": "x"},
                gate={"approved_labels": ["it"]})  # fmt: skip
    tuned, timed = Tuned("probe", CandidateSpec(method="probe"), 0.05, None), Latency(10.0, 12.0, 0.01)
    said = cast(Any, Said({}))
    entry = Entry(tuned, said, timed, figures([], []), (), serving=serving_of(said, timed, 0.05),
                  requests_per_day=requests)  # fmt: skip
    live = LiveBaseline("router@0", None, Price(0.11, 900.0, "gateway"), 500.0, 0, requests)
    return judge(entry, live, DataSet("digest", Curated(tuple(rows), {}, {})), task, 1, cast(Progress, Silent()))


def test_a_machine_that_idles_is_not_cheaper() -> None:
    """At a thousand requests a day it costs eleven times the incumbent's tokens; at a hundred thousand a ninth."""
    idle, busy = at_traffic(1_000), at_traffic(100_000)
    assert idle.verdict.gate != "passed" and idle.verdict.figures["saving"]["cost"] < -9
    assert busy.verdict.gate == "passed" and "cost 89.1% lower" in busy.verdict.reason
    assert "saving" in busy.verdict.figures and "p95" not in busy.verdict.figures["saving"]


def test_the_live_version_is_priced_at_its_own_machine() -> None:
    """Not at the candidate's: a dear machine that a cheap one replaces is a saving."""
    spec = {"labels": LABELS, "incumbent": {"url": "http://x", "model": "x"},
            "candidates": {"probe": {"method": "probe"}, "dear": {"method": "probe", "usd_per_hour": 0.5}}}  # fmt: skip
    plan = Plan.model_validate({"version": 1, "tasks": {"router": spec}})
    job = SimpleNamespace(task="router", plan=plan, of_task=plan.task("router"), live=Served(version="router@1"))
    live = cast(Any, Said({}))
    live.manifest = SimpleNamespace(candidate="dear", parameters=5)
    daily, traffic = Daily({("router", "router@1"): 1000.0}, {}), Traffic(0, 0.0, 0.0, 0.0)
    found = baseline_of(cast(Any, job), live, Latency(10.0, 12.0, 0.01), traffic, daily)
    assert found.price == Price(pytest.approx(12.0), 12.0) and found.requests_per_day == 1000
    away = baseline_of(cast(Any, job), None, None, Traffic(9, 0.11, 500.0, 900.0), daily)
    assert away.price == Price(0.11, 900.0, "gateway")
