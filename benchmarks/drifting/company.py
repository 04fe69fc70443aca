"""A year of a company's router, hour by hour of event time, through the real policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.drifting.detectors import Mixture
from headrace.contract.control import Step, TriggerKind
from headrace.plan import Triggers
from streams.detectors.detector import Reading
from streams.detectors.shiryaev_roberts import YEAR, threshold_of
from streams.policy import Situation, decide

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Beyond the year nothing drops any more, and what has dropped may still be found.
GRACE = timedelta(days=60)
# A drop that no retraining answered for so long is missed.
MISSED = timedelta(days=60)
EVALUATED = 1000
LABELLED_AFTER = timedelta(days=1)
DROPS_A_YEAR = 2.0
SMALLEST, LARGEST = 0.05, 0.25
# Share of a mean day's answers, and points of error more, Monday to Sunday.
TRAFFIC = np.array([1.25, 1.25, 1.2, 1.2, 1.1, 0.5, 0.5])
SEASON = np.array([0.0, -0.005, -0.005, 0.0, 0.0, 0.01, 0.01])
WANDER, WANDER_DAYS, FARTHEST = 0.005, 30.0, 0.015


@dataclass(slots=True)
class Drop:
    """at, points: when accuracy fell and by how much; found_at: the trigger that answered it, None for none yet."""

    at: datetime
    points: float
    found_at: datetime | None = None
    # Fell while a job was under way whose labels show it: nobody needed to find it.
    swept: bool = False


@dataclass(slots=True)
class Year:
    """What one year showed."""

    labels: int = 0
    false: int = 0
    drops: list[Drop] = field(default_factory=list)


@dataclass(slots=True)
class _Company:
    """The loop around the policy: a job after a trigger, a rollout after a job, a new version after that."""

    draw: np.random.Generator
    labels_a_day: float
    plan: Triggers
    base: float
    year: Year = field(default_factory=Year)
    wander: float = 0.0
    generation: int = 1
    since: datetime = START
    first_at: datetime = START
    last_trigger_at: datetime | None = None
    new_labels: int = 0
    labels: int = 0
    step: Step = Step.STEADY
    job_until: datetime | None = None
    live_at: datetime | None = None
    open: list[Drop] = field(default_factory=list)
    mixture: Mixture = field(init=False)
    statistic: float = 0.0
    waiting: list[tuple[datetime, datetime, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mixture = self._evaluated()

    def rate(self, now: datetime) -> float:
        """The true share of wrong answers."""
        ordinary = self.base + self.wander + SEASON[now.weekday()]
        return float(ordinary + sum(drop.points for drop in self.open))

    def hour(self, now: datetime) -> None:
        """Answers are drawn for audit, labels arrive, the monitor looks, the loop turns."""
        if now.hour == 0:
            pull = self.wander * (1 - 1 / WANDER_DAYS) + self.draw.normal(0, WANDER * (2 / WANDER_DAYS) ** 0.5)
            self.wander = float(np.clip(pull, -FARTHEST, FARTHEST))
        drawn = self.draw.poisson(self.labels_a_day * TRAFFIC[now.weekday()] / 24)
        for wrong in self.draw.random(drawn) < self.rate(now):
            self.waiting.append((now + LABELLED_AFTER, now, bool(wrong)))
        self._labelled(now)
        self._turn(now)
        self._look(now)

    def _labelled(self, now: datetime) -> None:
        arrived = 0
        for due, answered, wrong in self.waiting:
            if due > now:
                break
            arrived += 1
            self.year.labels += 1
            if answered < self.since:
                continue  # Of the version before.
            if not self.labels:
                self.first_at = answered
            self.labels += 1
            self.new_labels += 1
            self.statistic = float(self.mixture.add(np.array([wrong]))[0])
        del self.waiting[:arrived]

    def _turn(self, now: datetime) -> None:
        if self.job_until and now >= self.job_until:
            # What the job's labels could show is learned; what falls during the rollout is not.
            for drop in self.open:
                drop.swept = drop.found_at is None
                drop.found_at = drop.found_at or now
            self.job_until, self.step = None, Step.CANARY
            self.live_at = now + timedelta(days=1)
        if self.live_at and now >= self.live_at:
            self.open = [drop for drop in self.open if drop.found_at is None]
            self.live_at, self.step = None, Step.STEADY
            self.since, self.generation = now, self.generation + 1
            self.labels = self.new_labels = 0
            self.statistic = 0.0
            self.mixture = self._evaluated()

    def _look(self, now: datetime) -> None:
        # The watermark of labels: what was answered a day ago is labelled.
        span = max(now - LABELLED_AFTER - self.first_at, HOUR)
        threshold = threshold_of(self.plan, self.labels / (span / YEAR))
        fired = self.statistic >= threshold and self.labels >= self.plan.min_labels
        reading = Reading(
            "shiryaev_roberts", self.labels, self.statistic, threshold, fired, "", self.since, now, hard=True
        )
        decision = decide(
            self.plan,
            Situation(
                watermark=now,
                generation=self.generation,
                step=self.step,
                since=self.since,
                upstream=False,
                labels=self.labels,
                readings=(reading,),
                last_trigger_at=self.last_trigger_at,
                busy="a job is running" if self.job_until else "",
                new_labels=self.new_labels,
            ),
        )
        if decision.kind is TriggerKind.DRIFT:
            self.last_trigger_at, self.new_labels = now, 0
            # Labels of the new world, training, the gate.
            self.job_until = now + timedelta(days=float(self.draw.uniform(2, 6)))
            self.year.false += not self.open
            for drop in self.open:
                drop.found_at = drop.found_at or now

    def _evaluated(self) -> Mixture:
        """The next version's baseline: its evaluation on as many rows of the world as it is now, drops learned."""
        rate = self.base + self.wander
        return Mixture(self.draw.binomial(EVALUATED, rate, 1), EVALUATED)


def live(labels_a_day: float, plan: Triggers, seed: tuple[int, ...]) -> Year:
    """A year with drops at drawn times, none in one of seven years, and GRACE."""
    draw = np.random.default_rng(seed)
    company = _Company(draw, labels_a_day, plan, base=float(draw.uniform(0.04, 0.15)))
    places = np.sort(draw.uniform(0, 365, draw.poisson(DROPS_A_YEAR)))
    drops = [Drop(START + timedelta(days=float(day)), float(draw.uniform(SMALLEST, LARGEST))) for day in places]
    company.year.drops = drops
    now, end = START, START + YEAR + GRACE
    while now < end:
        company.open += [drop for drop in drops if now - HOUR <= drop.at < now]
        company.hour(now)
        now += HOUR
    return company.year
