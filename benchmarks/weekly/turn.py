"""From the alarm to a successor: one trial through the monitor's policy, the job's waits and the gate, as they are.

Simulated are the labels and the candidates (world.py), an hour for each attempt, and the arithmetic of the data set: a
label tests, trains or validates by the plan's shares.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

import numpy as np

from benchmarks.gating.cases import SAME, judged
from benchmarks.weekly.world import Candidate, History, World, test_outcomes, tuned
from headrace import plan
from headrace.contract.control import Step, TriggerKind
from headrace.contract.verdict import Verdict
from streams import policy
from streams.detectors.detector import LABELS, Reading
from trainer.gate.evidence import Verdict as Found
from trainer.process.held import worth_its_share
from trainer.process.pace import Labels, unlearned, verdict_of

START = datetime(2026, 3, 1, tzinfo=UTC)
ATTEMPT_DAYS = 1 / 24
TASK = plan.parse(
    """
version = 2
[tasks.router]
mode = "auto"
labels = ["hr", "it", "finance", "product", "out_of_scope"]
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.router.candidates.probe]
method = "probe"
"""
).task("router")


@dataclass(frozen=True, slots=True)
class Turn:
    """days: from the change to the verdict that let a successor serve; None for none within the horizon

    candidates, looks: until then
    """

    days: float | None
    candidates: int
    looks: int


@dataclass(slots=True)
class _Trial:
    world: World
    found: History
    random: np.random.Generator
    since: float
    first_rows: int
    candidates: int = 0
    looks: int = 0

    def labels(self, now: float) -> int:
        """Labels since the estimated change."""
        return int(((self.found.at >= self.since) & (self.found.at <= now)).sum())

    def when(self, labels: int) -> float | None:
        """When there will be so many; None where not within the horizon."""
        there = self.found.at[self.found.at >= self.since]
        return float(there[labels - 1]) if labels <= len(there) else None

    def learned(self, now: float) -> tuple[int, int]:
        """Rows since the estimated change that train, and how many of them are of changed questions."""
        found, curation = self.found, TASK.curation
        corrections = int((found.learned_at <= now).sum())
        pool = (found.at >= self.since) & (found.at <= now) & (found.split >= curation.test_share)
        train = pool & (found.pool >= curation.validation_share)
        return int(train.sum()) + corrections, int((train & found.changed).sum()) + corrections

    def tune(self, now: float) -> Candidate:
        """A new candidate, from what there is to learn."""
        self.candidates += 1
        return tuned(self.candidates, *self.learned(now), self.found, self.random)

    def test_rows(self, now: float) -> np.ndarray:
        """The places of the labels that test."""
        found = self.found
        among = (found.at >= self.since) & (found.at <= now) & (found.split < TASK.curation.test_share)
        return np.flatnonzero(among)

    def look(self, candidate: Candidate, now: float) -> Found:
        """The gate's verdict on the test rows of now."""
        self.looks += 1
        test = test_outcomes(self.world, self.found, candidate, self.test_rows(now))
        return judged(test, SAME, candidate.number)

    def missing(self, now: float) -> int:
        """How many more labels the trainer asks for before it tunes a first candidate."""
        tests = ceil(max(0, self.first_rows - len(self.test_rows(now))) / TASK.curation.test_share)
        return max(tests, unlearned(self.learned(now)[0], TASK.curation)[0])

    def job(self, now: float) -> tuple[float | None, Verdict | None]:
        """When the job's candidate passed, or it ended and with which verdict; None, None beyond the horizon."""
        while (needs := self.missing(now)) > 0:
            started = self.when(self.labels(now) + needs)
            if started is None:
                return None, None
            now = started
        candidate = self.tune(now)
        while True:
            verdict = self.look(candidate, now)
            if verdict.gate != "passed" and worth_its_share(self.learned(now)[0], candidate.learned):
                candidate = self.tune(now)
                verdict = self.look(candidate, now)
            if verdict.gate == "passed":
                return now + ATTEMPT_DAYS, None
            labels = Labels(self.labels(now), self.world.per_day)
            waits = verdict_of(verdict, labels, TASK)
            if verdict.gate != "undecided":
                return now + ATTEMPT_DAYS, waits
            again = self.when(labels.there + labels.until_next_look(waits.needs_labels - labels.there))
            if again is None:
                return None, None
            now = max(now + ATTEMPT_DAYS, again)


def turn(
    world: World, found: History, fired: float, since: float, first_rows: int, random: np.random.Generator
) -> Turn:
    """One trial. fired, since: days of the alarm and of the change as it was estimated; first_rows: `min_test_rows`"""
    trial = _Trial(world, found, random, since, first_rows)
    now: float | None = fired
    number = 0
    while now is not None:
        number += 1
        decided = now
        ended, verdict = trial.job(now)
        if verdict is None or ended is None:
            return Turn(ended, trial.candidates, trial.looks)
        attempt = policy.Attempt(number, TriggerKind.DRIFT, verdict, _time(since), _time(decided))
        now = _next_trigger(trial, attempt, ended, decided)
    return Turn(None, trial.candidates, trial.looks)


def _next_trigger(trial: _Trial, attempt: policy.Attempt, ended: float, decided: float) -> float | None:
    """When the monitor's policy lets the alarm, which goes on, start another job; once it lets it, it does later."""
    later = trial.found.at[trial.found.at > ended]
    place = bisect_left(later, True, key=lambda at: _asks(trial, attempt, decided, float(at)))
    return float(later[place]) if place < len(later) else None


def _asks(trial: _Trial, attempt: policy.Attempt, decided: float, now: float) -> bool:
    reading = Reading(
        "shiryaev_roberts", 0, 1.0, 0.0, True, "errors rose", START, START, hard=True, family=LABELS,
        test_from=_time(trial.since),
    )  # fmt: skip
    there = trial.labels(now)
    situation = policy.Situation(
        watermark=_time(now),
        generation=1,
        step=Step.STEADY,
        since=_time(-1000),
        upstream=False,
        labels=there,
        readings=(reading,),
        last_trigger_at=_time(decided),
        busy="",
        new_labels=int(((trial.found.at > decided) & (trial.found.at <= now)).sum()),
        attempt=attempt,
        attempt_labels=there,
    )
    return policy.decide(TASK.triggers, situation).kind is TriggerKind.DRIFT


def _time(days: float) -> datetime:
    return START + timedelta(days=float(days))
