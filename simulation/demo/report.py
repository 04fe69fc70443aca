"""The demo's report: every figure is read from ClickHouse by a query that the report quotes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from math import isinf
from typing import Any
from uuid import UUID

from headrace.costs import TRAFFICS, Serving, serving_of
from headrace.plan import Plan
from headrace.statistics.intervals import wilson
from headrace.warehouse import Warehouse, query_text

TASK = "router"
FINAL = ("won", "no_winner", "failed")

# NVIDIA's internal support agent, 2025: "Maximize AI Agent Performance with Data Flywheels", the figures as published.
# It says "cheaper" of inference alone, and at no traffic.
CASE_STUDY: dict[str, Any] = {
    "feedback": 1224,
    "satisfied": 729,
    "unsatisfied": 495,
    "judge_routing": 140,
    "expert_confirmed": 32,
    "ground_truth": 685,
    "train": 411,
    "test": 274,
    "accuracy": {"70B": 0.96, "tuned 8B": 0.96, "tuned 1B": 0.94},
    "cheaper": 0.98,
}


@dataclass(slots=True)
class Reader:
    """Runs the report's queries and remembers what it ran, so that the report can quote it."""

    warehouse: Warehouse
    quoted: dict[str, dict[str, Any]] = field(default_factory=dict)

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of `queries/<name>.sql` beside this file."""
        return self._run(name, demo_query(name), parameters)

    def shared(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of one of the warehouse's own queries."""
        return self._run(name, query_text(name), parameters)

    def _run(self, name: str, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        entry = self.quoted.setdefault(name, {"sql": sql, "parameters": []})
        if parameters:
            entry["parameters"].append({key: str(value) for key, value in parameters.items()})
        return self.warehouse.rows(sql, **parameters)


def demo_query(name: str) -> str:
    """The text of `queries/<name>.sql` beside this file."""
    return (resources.files("simulation.demo") / "queries" / f"{name}.sql").read_text("utf-8")


def build(
    warehouse: Warehouse, plan: Plan, conditions: dict[str, Any], world_changed_at: datetime | None
) -> dict[str, Any]:
    """The report as it is written to report.json.

    world_changed_at: when the simulated world changed, None where the run ended before
    """
    reader = Reader(warehouse)
    winners = reader.rows("winners", task=TASK)
    jobs = reader.rows("job", task=TASK)
    acts = [
        _act(reader, name, job, winners, world_changed_at)
        for name, job in zip(("the case study", "the world changes"), _acts_jobs(jobs, world_changed_at), strict=True)
        if job is not None
    ]
    for act in acts:
        act["turns"] = [
            {"job": str(job["job_id"]), "state": job["state"], "reason": job["job_reason"]}
            for job in jobs
            if (changed := world_changed_at) is None
            or (job["decided_at"] >= changed) == (act["name"] == "the world changes")
        ]
    first = next((act for act in acts if act["name"] == "the case study"), None)
    report = {
        "conditions": conditions | {"note": "employees, experts, judge and the 70B model are simulated"},
        "funnel": first["funnel"] if first else {},
        "acts": acts,
        "accuracy": _accuracy(reader, winners, plan.tasks[TASK].incumbent.version),
        "requests": {name: int(count) for name, count in reader.rows("requests")[0].items()},
        "events": _events(reader),
        "cost": _cost(reader, winners, plan, {act["version"]: act["winner"] for act in acts if act["winner"]}),
        "case_study": CASE_STUDY,
    }
    return report | {"sql": reader.quoted}


def _acts_jobs(
    jobs: list[dict[str, Any]], changed_at: datetime | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The job that each act came to: of those triggered before the world changed and after it, the last one decided."""

    def came_to(found: list[dict[str, Any]]) -> dict[str, Any] | None:
        decided = [job for job in found if job["state"] in FINAL]
        return decided[-1] if decided else found[-1] if found else None

    before = [job for job in jobs if changed_at is None or job["decided_at"] < changed_at]
    after = [job for job in jobs if changed_at is not None and job["decided_at"] >= changed_at]
    return came_to(before), came_to(after)


def _act(
    reader: Reader,
    name: str,
    job: dict[str, Any],
    winners: list[dict[str, Any]],
    changed_at: datetime | None,
) -> dict[str, Any]:
    job_id = UUID(str(job["job_id"]))
    result = json.loads(job["result"] or "{}")
    seconds = result.get("seconds", {})
    promoted = next((winner for winner in winners if winner["job_id"] == str(job_id)), None)
    version = promoted["version"] if promoted else None
    dataset = (reader.rows("dataset", job=job_id) or [{}])[0]
    since_change: int | None = None
    if changed_at is not None and job["decided_at"] >= changed_at:
        since_change = int(
            reader.rows(
                "labels_since_change",
                task=TASK,
                version=job["version"],
                changed_at=changed_at,
                decided_at=job["decided_at"],
            )[0]["labels"]
        )
    candidates = [_candidate(row) for row in _best_split(reader.rows("candidates", job=job_id))]
    winner = next((c["name"] for c in candidates if c["gate"] == "passed"), None)
    return {
        "name": name,
        "trigger": {
            "id": str(job["trigger_id"]),
            "kind": job["kind"],
            "reason": job["reason"],
            "detector": job["detector"],
            "labels": int(job["labels"]),
            "labels_since_change": since_change,
            "estimated_labels_since_change": int(job["estimated_since_change"]),
            "at": _iso(job["decided_at"]),
        },
        "job": {"id": str(job_id), "state": job["state"], "attempts": int(job["attempt"]), "reason": job["job_reason"]},
        "candidates": candidates,
        "winner": winner if promoted else None,
        "version": version,
        "generation": int(promoted["generation"]) if promoted else None,
        "dataset": dataset.get("dataset", ""),
        "funnel": _funnel(dataset),
        "exclusions": {key: int(value) for key, value in dataset.get("exclusions", {}).items()},
        "seconds": {
            "trigger_to_claim": round((job["claimed_at"] - job["decided_at"]).total_seconds(), 2),
            "training": seconds.get("training"),
            "evaluation": seconds.get("evaluation"),
            "promotion_to_serving": _to_serving(reader, version) if version else None,
        },
    }


def _best_split(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a candidate: its test figures where it reached the test split, else its validation figures."""
    by_name: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = by_name.get(row["name"])
        if known is None or row["split"] == "test":
            by_name[row["name"]] = row
    return sorted(by_name.values(), key=lambda row: row["name"])


def _candidate(row: dict[str, Any]) -> dict[str, Any]:
    text = ("name", "base", "method", "split", "gate", "reason")
    whole = ("parameters", "n")
    real = ("accuracy", "low", "high", "p50_ms", "p95_ms", "cost_per_1k", "seconds")
    return (
        {key: row[key] for key in text} | {key: int(row[key]) for key in whole} | {key: float(row[key]) for key in real}
    )


def _funnel(dataset: dict[str, Any]) -> dict[str, int]:
    funnel = {key: int(value) for key, value in dataset.get("funnel", {}).items()}
    for split in ("train", "validation", "test", "forget"):
        if split in dataset:
            funnel[split] = int(dataset[split])
    return funnel


def _to_serving(reader: Reader, version: str) -> float | None:
    row = reader.rows("serving", task=TASK, version=version)[0]
    if row["first_live_at"] is None or row["first_live_at"] < row["requested_at"]:
        return None
    return round(float((row["first_live_at"] - row["requested_at"]).total_seconds()), 2)


def _accuracy(reader: Reader, winners: list[dict[str, Any]], incumbent: str) -> dict[str, Any]:
    by_key = {(row["version"], row["era"]): row for row in reader.rows("accuracy")}
    first = winners[0]["version"] if winners else None
    second = winners[1]["version"] if len(winners) > 1 else None
    wanted = {
        "incumbent": (incumbent, 1),
        "after_act_one": (first, 1),
        "trough": (first, 2),
        "recovered": (second, 2),
    }
    return {name: _share(by_key.get(key)) for name, key in wanted.items()}


def _share(row: dict[str, Any] | None) -> dict[str, Any] | None:
    if row is None or not row["n"]:
        return None
    low, high = wilson(row["correct"], row["n"])
    return {
        "value": round(row["correct"] / row["n"], 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "n": int(row["n"]),
        "version": row["version"],
    }


def _events(reader: Reader) -> dict[str, int]:
    rows = reader.shared("cli/reconcile")
    names = ("emitted", "stored", "parked", "dead_lettered", "expired", "erased", "repeated", "missing", "duplicated")
    return {name: sum(int(row[name]) for row in rows) for name in names}


def _cost(reader: Reader, winners: list[dict[str, Any]], plan: Plan, candidates: Mapping[str, str]) -> dict[str, Any]:
    """What each version costs at three traffics, and from which on the first winner is cheaper than the incumbent.

    candidates: what each version was in the plan
    """
    incumbent = plan.tasks[TASK].incumbent.version
    timed = ("first_token_p50_ms", "first_token_p95_ms", "p50_ms", "p95_ms")
    out: dict[str, Any] = {}
    paid: dict[str, Serving] = {}
    for row in reader.rows("cost", task=TASK):
        version, recorded = row["version"], float(row["recorded_per_1k"])
        paid[version] = serving_of(plan, TASK, version, candidates.get(version, ""), recorded)
        at = {str(traffic): paid[version].per_1k(traffic) for traffic in TRAFFICS}
        out[version] = {"recorded_per_1k": recorded, "per_1k": at} | {key: float(row[key]) for key in timed}
    first = winners[0]["version"] if winners else ""
    if first in out and incumbent in out:
        small, big = out[first]["per_1k"], out[incumbent]["per_1k"]
        out["saved"] = {at: 1 - small[at] / big[at] for at in small}
        even = paid[first].break_even(paid[incumbent].usd_per_1k)
        out["break_even_per_day"] = None if isinf(even) else even
    return out


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
