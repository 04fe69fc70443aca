"""Grafana's dashboards: every panel's query runs on the real ClickHouse as the analyst, macros expanded."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from analyst_story import AnalystStory

from headrace.access.logins import analyst_login
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "provisioning" / "dashboards"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]]
# Panels that show faults: the story has none of these.
MAY_BE_EMPTY = {"Offsets without a row", "Stopped partitions"}
DAYS, INTERVAL_S = 30, 3600


@pytest.fixture(scope="module")
def story(warehouse: Warehouse) -> AnalystStory:
    told = AnalystStory(warehouse)
    told.tell()
    return told


@pytest.fixture(scope="module")
def analyst(database: Settings, story: AnalystStory) -> httpx.Client:
    params = {"database": database.database, "default_format": "JSONCompact"}
    user, password = analyst_login(database)
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    return httpx.Client(base_url=database.clickhouse, params=params, headers=headers, trust_env=False, timeout=60)


def expanded(sql: str, to: datetime) -> str:
    """What the plugin sends: pkg/macros/macros.go of grafana-clickhouse-datasource 4, and Grafana's variables."""
    since, until = (f"toDateTime({int(moment.timestamp())})" for moment in (to - timedelta(days=DAYS), to))
    bucket = rf"toStartOfInterval(toDateTime(\1), INTERVAL {INTERVAL_S} second)"
    sql = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 >= {since} AND \1 <= {until}", sql)
    sql = re.sub(r"\$__timeInterval\(([^)]*)\)", bucket, sql)
    sql = sql.replace("$__fromTime", since).replace("$__toTime", until).replace("$__interval_s", str(INTERVAL_S))
    sql = sql.replace("${task:singlequote}", "'router'")
    assert "$" not in sql, f"a macro that nobody expands: {sql[sql.index('$') :][:40]}"
    return sql


@pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"]
)
def test_panel_s_query_runs(name: str, panel: dict[str, Any], analyst: httpx.Client, story: AnalystStory) -> None:
    """Each query gives rows of the shape that its panel draws: a time series begins with its times, in order."""
    (target,) = panel["targets"]
    answer = analyst.post("/", content=expanded(target["rawSql"], story.end + timedelta(hours=1)))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["data"] or panel["title"] in MAY_BE_EMPTY
    kinds = [column["type"] for column in found["meta"]]
    if panel["type"] == "timeseries":
        assert target["queryType"] == "timeseries" and target["format"] == 0
        assert found["meta"][0]["name"] == "time" and kinds[0].startswith("DateTime")
        times = [row[0] for row in found["data"]]
        assert times == sorted(times)
        assert any("Int" in kind or "Float" in kind for kind in kinds[1:])
    else:
        assert target["queryType"] == "table" and target["format"] == 1


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboard_is_readable(name: str) -> None:
    """Each panel has a title, says what it shows, has a unit where it draws numbers, and covers no other one."""
    dashboard = DASHBOARDS[name]
    assert dashboard["uid"] == f"headrace-{name}" and dashboard["description"] and dashboard["timezone"] == "utc"
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == panel["targets"][0]["datasource"]["uid"] == "headrace"
        place = panel["gridPos"]
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not covered & cells and place["x"] + place["w"] <= 24, panel["title"]
        cells |= covered
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_variables_are_asked_of_the_warehouse(analyst: httpx.Client) -> None:
    """The tasks to choose from are those that there are."""
    asked = {variable["query"] for dashboard in DASHBOARDS.values() for variable in dashboard["templating"]["list"]}
    assert [analyst.post("/", content=query).json()["data"] for query in asked] == [[["router"]]]


def test_five_dashboards_are_provided() -> None:
    """The loop, drift, cost and latency, ingest, and the judge."""
    assert set(DASHBOARDS) == {"loop", "drift", "cost-latency", "ingest", "judge"}
