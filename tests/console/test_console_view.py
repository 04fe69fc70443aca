"""What the page says, from rows alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console import figures, frontier, timeline, view
from headrace import plan

PLAN = plan.load(Path(__file__).parents[2] / "flywheel.toml")
START = datetime(2026, 3, 2, tzinfo=UTC)


def reading(hours: float, value: float) -> dict[str, Any]:
    return {
        "task": "router",
        "watermark": START + timedelta(hours=hours),
        "n": 100,
        "value": value,
        "low": value - 0.02,
        "high": value + 0.02,
    }


def happened(what: str, kind: str, hours: float, number: int = 2, version: str = "router@1") -> dict[str, Any]:
    at = START + timedelta(hours=hours)
    return {
        "task": "router",
        "what": what,
        "kind": kind,
        "version": version,
        "number": number,
        "share": 0.25,
        "reason": "because",
        "recorded_at": at,
        "at": at,
    }


def tile(seen: view.View, name: str) -> view.Tile:
    return next(found for found in seen.tiles if found.name == name)


def test_empty_warehouse_teaches() -> None:
    """With no rows at all, the page names the plan's incumbent and says what will stand in each place."""
    seen = view.build("router", PLAN, {})
    assert tile(seen, "Serving").figure == PLAN.tasks["router"].incumbent.version
    assert "no promotion yet" in tile(seen, "Serving").detail
    assert "1,500 audit labels" in seen.job.detail
    for table in (seen.candidates, seen.versions, seen.detectors, seen.events, seen.replicas, seen.review):
        assert not table.rows
        assert len(table.empty) > 20
    assert seen.frontier == ()


def test_equal_rows_are_equal_views() -> None:
    """The same rows twice give equal views, so that nothing is drawn again."""
    rows = {"accuracy": [reading(1, 0.9)], "timeline": [happened("trigger", "drift", 1)]}
    assert view.build("router", PLAN, rows) == view.build("router", PLAN, rows)


def test_another_tasks_rows_stay_out() -> None:
    """A task's page shows its own rows only, and a task that only the warehouse knows is listed after the plan's."""
    other = reading(1, 0.5) | {"task": "expert.hr"}
    live = {"task": "expert.hr", "live_version": "expert.hr@1"}
    rows = {"accuracy": [reading(1, 0.9), other], "live": [live]}
    assert tile(view.build("router", PLAN, rows), "Rolling accuracy").figure == "90.0 %"
    assert view.tasks(PLAN, rows) == ["router", "expert.hr"]


def test_saving_is_against_the_first_version() -> None:
    """Cost and latency are compared with the first version's; a machine is always on."""
    version = {"task": "router", "requests": 10, "n": 9, "latency_p95_ms": 26_000.0, "low": 0, "high": 0, "value": 0.9,
               "first_token_p95_ms": 9.0, "candidate": "", "requests_per_day": 66_667.0}  # fmt: skip
    rows = {
        "live": [{"task": "router", "live_version": "router@1", "step": "steady", "generation": 5}],
        "versions": [
            version | {"version": "router@0", "recorded_per_1k": 0.9},
            version | {"version": "router@1", "recorded_per_1k": 0.0001, "latency_p95_ms": 13.0},
        ],
    }
    seen = view.build("router", PLAN, rows)
    assert tile(seen, "Cost per 1,000") == view.Tile("Cost per 1,000", "$0.0180", "98.0 % less than router@0", "good")
    assert tile(seen, "p95 latency").detail == "100.0 % less than router@0"
    assert [(one.name, one.best) for one in seen.frontier] == [("router@1", True), ("router@0", False)]
    rows["versions"] = [row | {"requests_per_day": 1_000.0} for row in rows["versions"]]
    seen = view.build("router", PLAN, rows)
    assert tile(seen, "Cost per 1,000") == view.Tile("Cost per 1,000", "$1.20", "33.3 % more than router@0", "warn")
    assert [(one.name, one.best) for one in seen.frontier] == [("router@0", True), ("router@1", False)]


def test_the_frontier_is_what_is_best_for_its_money() -> None:
    """A candidate that answers stands there once; what equals a cheaper one is not best; a free one has a place."""
    answered = {"version": "router@1", "candidate": "full", "n": 9, "value": 0.95, "low": 0.9, "high": 0.97}
    priced = answered | {"usd_per_1k": 0.01}
    tried = {"n": 200, "low": 0.8, "high": 0.99, "version": ""}
    found = frontier.choices(
        [priced, priced | {"version": "router@2", "n": 0}],
        [
            tried | {"name": "full", "accuracy": 0.9, "cost_per_1k": 0.02, "version": "router@1"},
            tried | {"name": "full", "accuracy": 0.96, "cost_per_1k": 0.2, "version": "router@3"},
            tried | {"name": "router@1", "accuracy": 0.9, "cost_per_1k": 0.02},
            tried | {"name": "probe", "accuracy": 0.95, "cost_per_1k": 0.02},
            tried | {"name": "tfidf", "accuracy": 0.85, "cost_per_1k": 0.0},
            tried | {"name": "large", "accuracy": 0.97, "cost_per_1k": 0.5},
        ],
    )
    assert [(one.name, one.best, one.answered) for one in found] == [
        ("tfidf", True, False), ("router@1", True, True), ("probe", False, False),
        ("full", True, False), ("large", True, False),
    ]  # fmt: skip
    points = frontier.option(found)["series"]
    assert [x for x, _ in points[0]["data"]] == [frontier.LEAST_USD, 0.01, 0.2, 0.5]
    assert [place["value"][1] for place in points[1]["data"]] == [0.85, 0.95, 0.95, 0.96, 0.97]


def test_running_job_shows_its_last_stage_open() -> None:
    """A running job's last stage is a share of its whole, with its pace; those before it are done."""
    stage = {"task": "router", "job_id": 1, "attempt": 1, "message": "", "metrics": {}}
    metrics = {"loss": 0.4126, "learning_rate": 0.001, "rows_per_s": 311.7, "eta_s": 44.0}
    job = {"task": "router", "job_id": 1, "number": 3, "attempt": 2, "state": "running", "version": "router@3"}
    rows = {
        "job": [job | {"reason": "drift", "needs": 0, "heartbeat_age_s": 1}],
        "progress": [
            stage | {"stage": "curate", "done": 0, "total": 0},
            stage | {"stage": "lora", "done": 30, "total": 40, "metrics": metrics},
        ],
    }
    seen = view.build("router", PLAN, rows).job
    assert seen.title == "Job 3 → router@3, attempt 2"
    assert [(found.name, found.share, found.done) for found in seen.stages] == [
        ("curate", 1.0, True),
        ("lora", 0.75, False),
    ]
    assert seen.stages[1].message == "30 of 40: loss 0.413, 312 rows/s, 40 s left"


def test_silent_gateway_is_named() -> None:
    """A gateway that gave no sign of life for half a minute is shown as silent and not counted as traffic."""
    replica = {
        "task": "router",
        "replica": "gateway-0",
        "generation": 3,
        "live": "router@1",
        "ready": ["router@1"],
        "error": "",
        "requests": 5,
        "failed": 0,
        "per_s": 4.0,
    }
    rows = {"replicas": [replica | {"age_s": 95}]}
    seen = view.build("router", PLAN, rows)
    assert tile(seen, "Requests / s").figure == figures.NONE
    assert any(cell.text == "silent for 1 min" for cell in seen.replicas.rows[0])


def test_actions_of_the_task_and_of_none_are_told() -> None:
    """Who did what stands with the person, in words, for the task that is looked at and for what belongs to none."""
    row = {"at": START, "via": "cli", "origin": "ann@desk", "subject": "router@0"}
    rows = {
        "actions": [
            row | {"by": "ann", "kind": "rollback", "task": "router", "detail": '{"reason": "complaints"}'},
            row | {"by": "bob", "kind": "key_added", "task": "", "detail": '{"roles": ["read"]}'},
            row | {"by": "eve", "kind": "trigger", "task": "expert.hr", "detail": "{}"},
        ]
    }
    first, second = view.build("router", PLAN, rows).actions.rows
    assert [cell.text for cell in first] == [
        "2 Mar 00:00:00", "ann", "rollback", "router@0", "ann@desk (cli)", "complaints",
    ]  # fmt: skip
    assert first[2].tone == "bad"
    assert (second[1].text, second[2].text, second[5].text) == ("bob", "key added", "roles read")


def test_chart_marks_triggers_and_promotions_only() -> None:
    """Triggers, new live versions and rollbacks are lines; canary steps and the first generation are not."""
    newest_first = [
        happened("promotion", "rolled_back", 9, 5, "router@0"),
        happened("promotion", "live", 6, 4),
        happened("promotion", "canary", 5, 3),
        happened("trigger", "drift", 4),
        happened("promotion", "live", 0, 1, "router@0"),
    ]
    option = timeline.option([reading(1, 0.9), reading(10, 0.8)], newest_first)
    accuracy = option["series"][2]
    assert [line["name"] for line in accuracy["markLine"]["data"]] == ["▼ drift", "▲ router@1", "↩ router@0"]
    assert [area[0]["name"] for area in accuracy["markArea"]["data"]] == ["router@0", "router@1", "router@0"]
    assert accuracy["markLine"]["data"][0]["xAxis"] == (START + timedelta(hours=4)).timestamp() * 1000


def test_chart_band_is_the_interval() -> None:
    """The two stacked edges add up to the interval's bounds, and the axis starts below the lowest of them."""
    option = timeline.option([reading(1, 0.9), reading(2, 0.8)], [])
    low, band, _ = (series["data"] for series in option["series"])
    assert [pair[1] for pair in low] == pytest.approx([0.88, 0.78])
    assert [below[1] + width[1] for below, width in zip(low, band, strict=True)] == pytest.approx([0.92, 0.82])
    assert option["yAxis"]["min"] == 0.75


def test_naive_times_are_utc() -> None:
    """A time without a zone, as ClickHouse's driver gives it, lands at the same place as the same time in UTC."""
    bare = reading(1, 0.9)
    bare["watermark"] = bare["watermark"].replace(tzinfo=None)
    assert timeline.option([bare], []) == timeline.option([reading(1, 0.9)], [])


@pytest.mark.parametrize(
    ("usd", "text"), [(0, "$0"), (1.2, "$1.20"), (0.9, "$0.900"), (0.0000213, "$0.0000213"), (1234.5, "$1,234.50")]
)
def test_dollars_keep_three_digits(usd: float, text: str) -> None:
    """A price shows three digits that say something, whatever its size."""
    assert figures.dollars(usd) == text
