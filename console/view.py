"""Rows to what the page says about one task: pure, and equal where nothing changed, so that only changes are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console import figures as f
from console import frontier, tables
from console.feed import Row, Rows
from console.tables import SILENT_S, TablePanel, Tone
from headrace.costs import serving_of
from headrace.plan import Plan


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure of the headline: what it is, the figure, and the line below it."""

    name: str
    figure: str
    detail: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a training job; share is 0 to 1, None where the stage does not say how much there is."""

    name: str
    share: float | None
    message: str
    done: bool


@dataclass(frozen=True, slots=True)
class Job:
    """The newest retraining job. state is '' where there was none, and `detail` says what would start one."""

    title: str
    state: str
    detail: str
    stages: tuple[Stage, ...] = ()
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the list beside the chart."""

    at: str
    what: str
    title: str
    reason: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class View:
    """Everything the page says about one task, but for the chart (see `timeline`)."""

    tiles: tuple[Tile, ...]
    happenings: tuple[Happening, ...]
    job: Job
    candidates: TablePanel
    versions: TablePanel
    frontier: tuple[frontier.Choice, ...]
    detectors: TablePanel
    events: TablePanel
    dead_letters: TablePanel
    replicas: TablePanel
    review: TablePanel
    actions: TablePanel


def tasks(plan: Plan, rows: Mapping[str, Rows]) -> list[str]:
    """The plan's tasks, then those that only the warehouse knows."""
    seen = {str(row["task"]) for panel in ("live", "versions") for row in rows.get(panel, ())}
    return [*plan.tasks, *sorted(seen - set(plan.tasks))]


def build(task: str, plan: Plan, rows: Mapping[str, Rows]) -> View:
    """What the page says about `task`."""
    own = {panel: [row for row in found if row.get("task", task) == task] for panel, found in rows.items()}

    def panel(name: str) -> list[Row]:
        return own.get(name, [])

    priced = _priced(task, plan, panel("versions"))
    return View(
        tiles=_tiles(task, plan, panel, priced),
        happenings=tuple(_happening(row) for row in panel("timeline")),
        job=_job(task, plan, panel("job"), panel("progress")),
        candidates=tables.candidates(panel("candidates")),
        versions=tables.versions(priced),
        frontier=frontier.choices(priced, panel("candidates")),
        detectors=tables.detectors(panel("detectors")),
        events=tables.events(panel("events")),
        dead_letters=tables.dead_letters(panel("dead_letters")),
        replicas=tables.replicas(panel("replicas")),
        review=tables.review(panel("review")),
        actions=tables.actions([row for row in rows.get("actions", ()) if row["task"] in ("", task)]),
    )


def _priced(task: str, plan: Plan, rows: list[Row]) -> list[Row]:
    """Versions with usd_per_1k: what a thousand answers cost at their traffic, with the machine that is always on."""
    priced: list[Row] = []
    for row in rows:
        paid = serving_of(plan, task, row["version"], row["candidate"], row["recorded_per_1k"])
        priced.append({**row, "usd_per_1k": paid.per_1k(row["requests_per_day"])})
    return priced


def _tiles(task: str, plan: Plan, panel: Any, priced: list[Row]) -> tuple[Tile, ...]:
    live: Row | None = next(iter(panel("live")), None)
    planned = plan.tasks[task].incumbent.version if task in plan.tasks else f.NONE
    version = str(live["live_version"]) if live else planned
    versions: dict[str, Row] = {str(row["version"]): row for row in priced}
    first: Row | None = next(iter(versions.values()), None)
    return (
        Tile("Serving", version, _step(live)),
        _accuracy_tile(panel("accuracy")),
        _traffic_tile(panel("replicas")),
        _cost_tile(versions.get(version), first, "usd_per_1k", "Cost per 1,000", f.dollars),
        _cost_tile(versions.get(version), first, "latency_p95_ms", "p95 latency", f.milliseconds),
        _trigger_tile(panel("timeline")),
    )


def _step(live: Row | None) -> str:
    if live is None:
        return "the plan's incumbent; no promotion yet"
    if live["step"] == "canary":
        return f"canary: {live['canary_version']} takes {100 * live['canary_share']:.0f} %"
    if live["step"] == "shadow":
        return f"shadow: {live['shadow_version']} answers beside it"
    return f"steady, generation {live['generation']}"


def _accuracy_tile(readings: list[Row]) -> Tile:
    if not readings:
        return Tile("Rolling accuracy", f.NONE, "no audit label yet")
    last = readings[-1]
    detail = f"{f.interval(last['low'], last['high'])} on {f.whole(last['n'])} audits"
    return Tile("Rolling accuracy", f.percent(last["value"]), detail)


def _traffic_tile(replicas: list[Row]) -> Tile:
    alive = [row for row in replicas if row["age_s"] < SILENT_S]
    if not alive:
        return Tile("Requests / s", f.NONE, "no gateway gives a sign of life")
    failed = sum(row["failed"] for row in alive)
    gateways = "1 gateway" if len(alive) == 1 else f"{len(alive)} gateways"
    detail = f"{gateways} · {f.whole(failed)} failed of {f.whole(sum(row['requests'] for row in alive))}"
    return Tile("Requests / s", f.rate(sum(row["per_s"] for row in alive)), detail, "bad" if failed else "")


def _cost_tile(live: Row | None, first: Row | None, column: str, name: str, write: Any) -> Tile:
    if live is None:
        return Tile(name, f.NONE, "no closed window of the live version")
    compared = f.saving(live[column], first[column]) if first else ""
    if first is None or not compared or live["version"] == first["version"]:
        return Tile(name, write(live[column]), f"over {f.whole(live['requests'])} requests")
    tone: Tone = "good" if live[column] < first[column] else "warn"
    return Tile(name, write(live[column]), f"{compared} {first['version']}", tone)


def _trigger_tile(timeline: list[Row]) -> Tile:
    last = next((row for row in timeline if row["what"] == "trigger"), None)
    if last is None:
        return Tile("Last trigger", "none", "a trigger starts a retraining by itself")
    detail = f"{f.moment(last['at'])} · on {f.whole(last['number'])} labels"
    return Tile("Last trigger", str(last["kind"]), detail, "warn")


def _happening(row: Row) -> Happening:
    title, tone = _title(row)
    return Happening(f.moment(row["at"]), str(row["what"]), title, str(row["reason"]), tone)


def _title(row: Row) -> tuple[str, Tone]:
    kind, version, number = row["kind"], row["version"], row["number"]
    match row["what"], kind:
        case "trigger", _:
            return f"Trigger: {kind}", "warn"
        case "promotion", "live" if number == 1:
            return f"{version} serves at the start", ""
        case "promotion", "live":
            return f"{version} is live", "good"
        case "promotion", "rolled_back":
            return f"Rolled back to {version}", "bad"
        case "promotion", "canary":
            return f"{version}: canary at {100 * row['share']:.0f} %", ""
        case "promotion", "steady":
            return f"{version} goes on alone", ""
        case "promotion", _:
            return f"{version}: {kind}", ""
        case _, "won":
            return f"Job {number}: a candidate won", "good"
        case _, "failed":
            return f"Job {number} failed", "bad"
        case _, "waiting":
            return f"Job {number} waits for labels", "warn"
    return f"Job {number}: {str(kind).replace('_', ' ')}", ""


def _job(task: str, plan: Plan, jobs: list[Row], progress: list[Row]) -> Job:
    if not jobs:
        return Job("No retraining yet", "", _what_starts_a_job(task, plan))
    job = jobs[0]
    own = [row for row in progress if row["job_id"] == job["job_id"]]
    running = job["state"] in ("claimed", "running")
    stages = tuple(_stage(row, done=not running or row is not own[-1]) for row in own)
    detail = str(job["reason"])
    if job["state"] == "waiting" and job["needs"] > 0:
        detail = f"{f.whole(job['needs'])} more labels until the next attempt. {detail}"
    if running and job["heartbeat_age_s"] > SILENT_S:
        detail = f"its owner was last heard of {f.seconds(job['heartbeat_age_s'])} ago; another takes over. {detail}"
    tones: dict[str, Tone] = {"won": "good", "failed": "bad", "waiting": "warn"}
    attempt = f", attempt {job['attempt']}" if job["attempt"] > 1 else ""
    state = str(job["state"])
    return Job(f"Job {job['number']} → {job['version'] or task}{attempt}", state, detail, stages, tones.get(state, ""))


def _what_starts_a_job(task: str, plan: Plan) -> str:
    if task not in plan.tasks:
        return "This task is not in the plan, so nothing retrains it."
    if plan.tasks[task].kind == "generate":
        return "Its answers are texts: they are counted and watched, and no job trains on them yet."
    triggers = plan.tasks[task].triggers
    cheaper = triggers.cheaper_after_labels
    when = f", or {f.whole(cheaper)} audit labels to prove a cheaper candidate on" if cheaper else ""
    return f"A drift alarm starts one by itself{when}; it then shows its stages here."


def _pace(metrics: Mapping[str, float]) -> str:
    """How training goes, where a stage trains."""
    said = [f"loss {metrics['loss']:.3f}"] if "loss" in metrics else []
    if "rows_per_s" in metrics:
        said.append(f"{f.whole(metrics['rows_per_s'])} rows/s")
    if "eta_s" in metrics:
        said.append(f"{f.seconds(metrics['eta_s'])} left")
    return ", ".join(said)


def _stage(row: Row, done: bool) -> Stage:
    total = row["total"]
    share = min(1.0, row["done"] / total) if total > 0 else None
    message = str(row["message"]) or (f"{f.whole(row['done'])} of {f.whole(total)}" if total > 0 else "")
    if not done and (pace := _pace(row["metrics"])):
        message = f"{message}: {pace}"
    return Stage(str(row["stage"]), 1.0 if done else share, message, done)
