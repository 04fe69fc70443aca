"""What serving costs: machines that are always on, and what each request costs besides. Pure.

A version that answers on a machine costs the machine's hours, whether it is asked or not: a fixed cost, of which the
requests each carry more the fewer they are. Where several versions share machines, each has the part of the hours that
its busy time is of all busy time. A version behind an address costs the tokens of each request: a marginal cost.
The gate, the report of a run, the console, `headrace savings` and the demo all count by this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf

from headrace.plan import CandidateSpec, Plan
from headrace.plan.engines import price

TRAFFICS = (1_000, 100_000, 10_000_000)
"""Requests a day at which costs are shown beside the task's own."""
BUSY = 0.7
"""Share of its time that a machine may be busy; more and requests queue."""
DAY_S = 86_400
OWN_USD_PER_HOUR = float(CandidateSpec.model_fields["usd_per_hour"].default)
"""Of a machine that the plan says nothing about."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How the answers of a version are paid for.

    usd_per_hour: of one machine, always on; 0 where it answers at an address
    busy_s: seconds for which a request keeps the machine busy
    usd_per_1k: US dollars that a thousand requests cost besides: tokens of upstreams
    shared_s: seconds a day for which other versions keep the same machines busy
    """

    usd_per_hour: float = 0.0
    busy_s: float = 0.0
    usd_per_1k: float = 0.0
    shared_s: float = 0.0

    @classmethod
    def recorded(cls, usd_per_1k: float, usd_per_hour: float = 0.0) -> Serving:
        """From what a thousand answers were recorded to cost.

        usd_per_hour: of the machine whose engine seconds these are; 0 where they are tokens
        """
        return cls(usd_per_hour, usd_per_1k * 3.6 / usd_per_hour) if usd_per_hour else cls(usd_per_1k=usd_per_1k)

    @property
    def engine_per_1k(self) -> float:
        """US dollars of the engine seconds that a thousand requests take; the machine's hours include them."""
        return self.busy_s * 1000 * self.usd_per_hour / 3600

    def machines(self, requests: float) -> int:
        """How many serve so many requests a day, spread evenly: one at least; none where it answers at an address."""
        if not self.usd_per_hour:
            return 0
        return max(1, ceil((requests * self.busy_s + self.shared_s) / (DAY_S * BUSY)))

    def fixed_per_day(self, requests: float) -> float:
        """US dollars a day of the machines' hours that are this version's, at so many requests a day."""
        busy = requests * self.busy_s
        part = busy / (busy + self.shared_s) if busy and self.shared_s else 1.0
        return self.machines(requests) * self.usd_per_hour * 24 * part

    def per_1k(self, requests: float) -> float:
        """US dollars for a thousand requests at so many a day; 0, not known, where the traffic is not known."""
        return self.fixed_per_day(requests) / requests * 1000 + self.usd_per_1k if requests > 0 else 0.0

    def break_even(self, other_per_1k: float) -> float:
        """Requests a day from which it costs less than that price for a thousand requests; inf where it never does.

        Where one machine cannot answer so many, more machines cannot either: each is full before it has paid.
        """
        left = other_per_1k - self.usd_per_1k
        if left <= 0:
            return inf
        if not self.usd_per_hour:
            return 0.0
        alone = self.usd_per_hour * 24 / left * 1000
        if alone * self.busy_s > DAY_S * BUSY:
            return inf
        return max(0.0, alone - (self.shared_s / self.busy_s if self.busy_s else 0.0))


def engine_of(plan: Plan, task: str, candidate: str = "") -> str:
    """On which of the plan's engines a version answers; empty: in the gateway's own process.

    candidate: what it was in the plan; empty where that is not known
    """
    spec = plan.task(task)
    found = spec.candidates.get(candidate)
    return (found.engine if found else "") or spec.engine


def usd_per_hour(plan: Plan, task: str, candidate: str = "") -> float:
    """Of the machine on which a version answers. candidate: see engine_of"""
    found = plan.task(task).candidates.get(candidate)
    return price(plan.engines, engine_of(plan, task, candidate), found.usd_per_hour if found else OWN_USD_PER_HOUR)


def serving_of(plan: Plan, task: str, version: str, candidate: str, recorded_per_1k: float) -> Serving:
    """How a version's answers are paid for, from what a thousand of them were recorded to cost.

    candidate: see engine_of. A chain's answers are recorded with the tokens of its last tier, so that they tell nothing
    of how busy its machine is.
    """
    spec = plan.tasks.get(task)
    if spec is None or version == spec.incumbent.version:
        return Serving.recorded(recorded_per_1k)
    found, hourly = spec.candidates.get(candidate), usd_per_hour(plan, task, candidate)
    if found is not None and found.base == "chain":
        return Serving(hourly, usd_per_1k=recorded_per_1k)
    return Serving.recorded(recorded_per_1k, hourly)


def shared_s(plan: Plan, task: str, engine: str, usd_per_day: Mapping[tuple[str, str], float]) -> float:
    """Seconds a day for which the versions of other tasks keep an engine's machines busy.

    usd_per_day: what the answers of a version cost a day, by task and version: engine seconds at the engine's price
    """
    busy = 0.0
    for (other, version), usd in usd_per_day.items():
        spec = plan.tasks.get(other)
        if spec is None or other == task or version == spec.incumbent.version or engine_of(plan, other) != engine:
            continue
        hourly = usd_per_hour(plan, other)
        busy += usd * 3600 / hourly if hourly else 0.0
    return busy
