"""What the versions of each task cost, and what the incumbent would have cost for the same requests. Pure.

The incumbent's own answers have the tokens that they took. What it would have taken for the requests that others
answered is a straight line through the price of its answers by the length of their questions, times these requests'
lengths (a regression estimator; Cochran, Sampling Techniques, 1977, chapter 7). Its 95 % interval is a jackknife that
leaves out one fortieth of the sessions at a time, plus what single answers scatter around the line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from math import ceil, isinf, sqrt
from typing import Any

from headrace.costs import BUSY, DAY_S, Serving, engine_of, serving_of
from headrace.plan import Plan

Row = Mapping[str, Any]
Z = 1.959964
MIN_PARTS = 10
"""Of the forty that have an answer of the incumbent; with fewer there is no interval."""
EARLY, LATE = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
SUMS = ("fitted", "fitted_characters", "squares", "fitted_usd", "products")


@dataclass(slots=True)
class Used:
    """A version in the time that is looked at.

    requests, characters: of answers that users saw; usd: recorded, by day, of all its answers; shadow_usd: for nobody
    on_until: until when its machine was on for it: now, where it is loaded, else its last answer
    serving: how it is paid for; hours_usd: its part of machine hours, US dollars
    """

    version: str
    candidate: str
    requests: int = 0
    characters: float = 0.0
    usd: dict[date, float] = field(default_factory=lambda: defaultdict(float))
    shadow_usd: float = 0.0
    first_at: datetime = LATE
    last_at: datetime = EARLY
    on_until: datetime = EARLY
    serving: Serving = field(default_factory=Serving)
    hours_usd: float = 0.0

    @property
    def tokens_usd(self) -> float:
        """What its answers cost beside a machine's hours: all that was recorded, where that is not engine seconds."""
        return 0.0 if self.serving.busy_s else sum(self.usd.values())

    def busy_s(self, day: date) -> float:
        """Seconds for which it kept its machine busy on a day."""
        hourly = self.serving.usd_per_hour
        return self.usd.get(day, 0.0) * 3600 / hourly if hourly and self.serving.busy_s else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """US dollars with a 95 % interval; low and high are None where too few sessions tell."""

    usd: float
    low: float | None
    high: float | None


def savings(
    plan: Plan,
    rows: Mapping[str, Sequence[Row]],
    people: Mapping[str, Row],
    since: datetime,
    now: datetime,
    loaded: Mapping[str, Collection[str]],
) -> list[dict[str, Any]]:
    """One row a task that answered anything.

    rows: of cli/savings.sql, by task; people: the row of cli/savings_people.sql, by task
    loaded: versions that a gateway has loaded now, by task: their machine is on, whether they are asked or not
    """
    used = {task: _used(plan, task, found, since) for task, found in rows.items()}
    for task, versions in used.items():
        for one in versions:
            one.on_until = now if one.version in loaded.get(task, ()) else one.last_at
    _share_machines(plan, used)
    return [
        _saved(plan, task, versions, rows[task], people[task], since)
        for task, versions in used.items()
        if any(one.requests for one in versions)
    ]


def _saved(
    plan: Plan, task: str, versions: Sequence[Used], rows: Sequence[Row], people: Row, since: datetime
) -> dict[str, Any]:
    spec = plan.task(task)
    own = [one for one in versions if one.version != spec.incumbent.version]
    requests = sum(one.requests for one in versions)
    # Beside another version it answers for nobody: without headrace nobody had asked it twice.
    kept = sum(one.tokens_usd - one.shadow_usd for one in versions if one.version == spec.incumbent.version)
    would = _estimate(rows, sum(one.requests for one in own), sum(one.characters for one in own))
    judge, experts = _judge_usd(plan, task, people), int(people["reviews"]) * spec.audit.usd_per_review
    fixed, marginal = sum(one.hours_usd for one in versions), sum(one.tokens_usd for one in versions)
    spent = fixed + marginal + judge + experts
    span_s = max((max(o.on_until for o in versions) - min(o.first_at for o in versions)).total_seconds(), 3600.0)
    found: dict[str, Any] = {
        "task": task,
        "since": since,
        "requests": requests,
        "requests_per_day": requests * DAY_S / span_s,
        "fixed_usd": fixed,
        "marginal_usd": marginal,
        "judge_usd": judge,
        "experts_usd": experts,
        "spent_usd": spent,
        "incumbent_usd": None,
        "saved_usd": None,
        "saved_low": None,
        "saved_high": None,
        "verdicts": int(people["verdicts"]),
        "reviews": int(people["reviews"]),
        "break_even_per_day": None,
        "versions": [_version(one) for one in versions],
    }
    if would is None:
        return found
    found |= {"incumbent_usd": kept + would.usd, "saved_usd": kept + would.usd - spent}
    if would.low is not None and would.high is not None:
        found |= {"saved_low": kept + would.low - spent, "saved_high": kept + would.high - spent}
    # The newest version, with the judge and the experts as what each of the requests costs besides.
    if own and requests:
        newest = max(own, key=lambda one: one.last_at).serving
        besides = newest.usd_per_1k + (judge + experts) / requests * 1000
        even = replace(newest, usd_per_1k=besides).break_even((kept + would.usd) / requests * 1000)
        found["break_even_per_day"] = None if isinf(even) else even
    return found


def _version(one: Used) -> dict[str, Any]:
    return {
        "version": one.version,
        "requests": one.requests,
        "fixed_usd": one.hours_usd,
        "marginal_usd": one.tokens_usd,
        "engine_seconds_usd": sum(one.usd.values()) if one.serving.busy_s else 0.0,
        "first_at": one.first_at,
        "last_at": one.last_at,
    }


def _used(plan: Plan, task: str, rows: Iterable[Row], since: datetime) -> list[Used]:
    found: dict[str, Used] = {}
    answers: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["last_at"] < since:
            continue  # an older answer of the incumbent, which only shows what its tokens cost
        one = found.setdefault(row["version"], Used(row["version"], row["candidate"]))
        one.requests += int(row["requests"])
        one.characters += float(row["characters"])
        one.usd[row["day"]] += float(row["usd"])
        one.shadow_usd += float(row["shadow_usd"])
        one.first_at = min(one.first_at, max(row["first_at"], since))
        one.last_at = max(one.last_at, row["last_at"])
        answers[one.version] += int(row["requests"])
    for one in found.values():
        per_1k = sum(one.usd.values()) / max(1, answers[one.version]) * 1000
        one.serving = serving_of(plan, task, one.version, one.candidate, per_1k)
    return sorted(found.values(), key=lambda one: one.first_at)


def _share_machines(plan: Plan, used: Mapping[str, Sequence[Used]]) -> None:
    """The hours of each engine's machines, from its first answer on, split between versions by busy time."""
    on: dict[str, list[tuple[str, Used]]] = defaultdict(list)
    for task, versions in used.items():
        for one in versions:
            if one.serving.usd_per_hour:
                on[engine_of(plan, task, one.candidate)].append((task, one))
    for tasks in on.values():
        found = [one for _, one in tasks]
        first, last = min(one.first_at for one in found), max(one.on_until for one in found)
        last = max(last, first + timedelta(hours=1))
        usd = max(one.serving.usd_per_hour for one in found) * sum(
            hours * max(1, ceil(sum(one.busy_s(day) for one in found) / (hours * 3600 * BUSY)))
            for day, hours in _days(first, last)
        )
        busy = [sum(map(one.busy_s, one.usd)) for one in found]
        # What does not tell how busy it was, as a chain: each of its requests as one of the others.
        each = sum(busy) / max(1, sum(one.requests for one, s in zip(found, busy, strict=True) if s))
        weights = [s or (each or 1.0) * (one.requests or 1) for one, s in zip(found, busy, strict=True)]
        days = (last - first).total_seconds() / DAY_S
        for (task, one), weight in zip(tasks, weights, strict=True):
            one.hours_usd = usd * weight / sum(weights)
            others = sum(s for (other, _), s in zip(tasks, busy, strict=True) if other != task)
            one.serving = replace(one.serving, shared_s=others / days)


def _days(first: datetime, last: datetime) -> Iterable[tuple[date, float]]:
    """Each day between the two, and how many of its hours."""
    day = first.date()
    while (begins := datetime.combine(day, time(), UTC)) < last:
        ends = begins + timedelta(days=1)
        yield day, (min(last, ends) - max(first, begins)).total_seconds() / 3600
        day += timedelta(days=1)


def _judge_usd(plan: Plan, task: str, people: Row) -> float:
    """Verdicts that do not tell their tokens take as many as those that do."""
    judge, told = plan.task(task).judge, int(people["told"])
    if judge is None or not told:
        return 0.0
    usd = int(people["tokens_in"]) * judge.usd_per_million_in + int(people["tokens_out"]) * judge.usd_per_million_out
    return usd / 1e6 * int(people["verdicts"]) / told


def _estimate(rows: Iterable[Row], requests: int, characters: float) -> Estimate | None:
    """What the incumbent's tokens cost for so many requests of so many characters; None where it never answered."""
    parts: dict[int, list[float]] = defaultdict(lambda: [0.0] * len(SUMS))
    for row in rows:
        sums = parts[int(row["part"])]
        for place, name in enumerate(SUMS):
            sums[place] += float(row[name])
    parts = {part: sums for part, sums in parts.items() if sums[0]}
    total = [sum(column) for column in zip(*parts.values(), strict=True)]
    if not total:
        return None

    def line(sums: Sequence[float]) -> tuple[float, float]:
        n, x, squares, y, products = sums
        spread = squares - x * x / n
        slope = (products - x * y / n) / spread if spread > 1e-9 * squares else 0.0
        return y / n - slope * x / n, slope

    def predicted(sums: Sequence[float]) -> float:
        fixed, slope = line(sums)
        return fixed * requests + slope * characters

    usd = predicted(total)
    if not requests:
        return Estimate(0.0, 0.0, 0.0)
    if len(parts) < MIN_PARTS:
        return Estimate(usd, None, None)
    left_out = [predicted([all_ - own for all_, own in zip(total, sums, strict=True)]) for sums in parts.values()]
    mean = sum(left_out) / len(left_out)
    of_line = (len(parts) - 1) / len(parts) * sum((one - mean) ** 2 for one in left_out)
    fixed, slope = line(total)
    # Sums of a part keep what the answers of a session have in common.
    off = sum((y - fixed * n - slope * x) ** 2 for n, x, _, y, _ in parts.values())
    half = Z * sqrt(of_line + off / total[0] * requests)
    return Estimate(usd, usd - half, usd + half)
