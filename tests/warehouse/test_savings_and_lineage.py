"""`headrace savings`, and from an answer to what is behind it and back, on the analysts' story."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from analyst_story import A_DAY, AnalystStory

from headrace.cli import app
from headrace.cli.savings import gathered, told
from headrace.plan import Plan
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

TASK: dict[str, Any] = {
    "labels": ["hr", "it", "finance", "out_of_scope"],
    "incumbent": {"url": "http://127.0.0.1:9/v1", "model": "big", "version": "router@0",
                  "usd_per_million_in": 10.0, "usd_per_million_out": 20.0},
    "judge": {"url": "http://127.0.0.1:9/v1", "model": "judge"},
    "audit": {"usd_per_review": 0.5},
    "candidates": {"lora": {"method": "lora", "usd_per_hour": 0.05}},
}  # fmt: skip
PLAN = """
version = 1
[tasks.router]
labels = ["hr", "it"]
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
version = "router@0"
usd_per_million_in = 1.0
[tasks.router.candidates.lora]
method = "lora"
"""
A_REQUEST = (120 * 10 + 4 * 20) / 1e6


@pytest.fixture(scope="module")
def story(warehouse: Warehouse) -> AnalystStory:
    told = AnalystStory(warehouse)
    told.tell()
    return told


def saved(story: AnalystStory, days: float, **keys: Any) -> dict[str, Any]:
    plan = Plan.model_validate({"version": 1, "tasks": {"router": TASK | keys}})
    (found,) = gathered(story.warehouse, plan, "router", story.day(60 - days))
    return found


def test_an_idle_machine_saves_nothing(story: AnalystStory) -> None:
    """72 requests a day on a machine of five cents an hour: ten days of it, and the tokens would have been 92 cents."""
    found = saved(story, 10, audit={})
    assert found["requests"] == 10 * A_DAY and found["requests_per_day"] == pytest.approx(A_DAY, rel=0.02)
    assert found["fixed_usd"] == pytest.approx(10 * 24 * 0.05, rel=0.01) and found["marginal_usd"] == 0
    assert found["incumbent_usd"] == pytest.approx(10 * A_DAY * A_REQUEST)
    assert found["saved_low"] <= found["saved_usd"] <= found["saved_high"] < 0
    # From here on the machine's $1.20 a day is less than the tokens of the day; 1.44 s a request leave room for them.
    assert found["break_even_per_day"] == pytest.approx(1.2 / A_REQUEST, rel=0.01)
    (version,) = found["versions"]
    assert version["version"] == "router@1" and version["engine_seconds_usd"] == pytest.approx(720 * 0.00002)
    text = "\n".join(told(found))
    # 937.5, on one side or the other by the second in which the ten days begin.
    assert "lost $11" in text and re.search("cheaper from 93[78] requests a day", text)


def test_the_incumbents_own_time_costs_what_it_cost(story: AnalystStory) -> None:
    """Before the canary nothing but its tokens was paid; what the present plan's experts said is paid besides."""
    found = saved(story, 60)
    by_version = {row["version"]: row for row in found["versions"]}
    assert by_version["router@0"]["fixed_usd"] == 0
    kept = by_version["router@0"]["marginal_usd"]
    assert found["incumbent_usd"] == pytest.approx(kept + by_version["router@1"]["requests"] * A_REQUEST)
    assert found["marginal_usd"] == kept == pytest.approx(by_version["router@0"]["requests"] * 0.002)
    assert found["experts_usd"] == found["reviews"] * 0.5 > 100 and found["break_even_per_day"] is None
    arms = {(row["version"], row["arm"]) for row in found["latency"]}
    assert {("router@0", "live"), ("router@1", "canary"), ("router@1", "shadow"), ("router@1", "live")} == arms
    assert {row["path"] for row in found["latency"]} == {"emitter"}


def test_from_an_answer_to_the_trigger_and_back(story: AnalystStory) -> None:
    """The version, its candidate, data set, labels, job and trigger; and what an earlier answer taught."""
    newest = story.warehouse.rows(
        "SELECT inference_id FROM inferences WHERE version = 'router@1' AND arm = 'live' LIMIT 1"
    )[0]["inference_id"]
    rows = story.warehouse.query("cli/lineage_answer", answer=str(newest), rows=5)
    by = {what: [row for row in rows if row["what"] == what] for what in {row["what"] for row in rows}}
    assert set(by) == {"answer", "version", "candidate", "data set", "feedback", "row", "job", "trigger"}
    assert by["data set"][0]["subject"] == story.dataset and len(by["row"]) == 5
    assert by["trigger"][0]["subject"] == str(story.trigger_id) and by["job"][0]["subject"] == str(story.job_id)
    counted = sum(int(row["about"].split()[0]) for row in by["feedback"])
    assert counted == len(story.lineage)
    first = story.lineage[0]
    taught = story.warehouse.query("cli/lineage_answer", answer=first["inference_id"], rows=0)
    (row,) = [row for row in taught if row["what"] == "taught"]
    assert row["subject"] == story.dataset and "it became router@1" in row["about"]
    assert story.warehouse.query("cli/lineage_answer", answer=str(story.job_id), rows=0) == []


def taught(story: AnalystStory, person: str, tenant: str = "") -> list[dict[str, Any]]:
    return story.warehouse.query("cli/lineage_taught", person=person, tenant=tenant)


def test_what_a_person_taught(story: AnalystStory) -> None:
    """A user by the questions, an expert by the labels: the data set, its version, and since when that serves."""
    asked = {row["inference_id"] for row in story.lineage}
    users = story.warehouse.rows(
        "SELECT toString(inference_id) AS id, tenant FROM inferences WHERE user_ref = 'u3' AND audited"
    )
    found = taught(story, "u3")
    assert {row["tenant"]: row["rows"] for row in found} == {
        tenant: len({row["id"] for row in users if row["tenant"] == tenant} & asked)
        for tenant in {row["tenant"] for row in users if row["id"] in asked}
    }
    assert len(found) > 1, "three people of one name"
    assert {(row["as"], row["dataset"], row["version"]) for row in found} == {("user", story.dataset, "router@1")}
    assert {row["live_from"].date() for row in found} == {story.day(40).date()}
    assert taught(story, "u3", found[0]["tenant"]) == found[:1]
    experts = [row for number in (0, 1) for row in taught(story, f"expert-{number}")]
    assert sum(row["rows"] for row in experts) == len(story.lineage) and experts[0]["as"] == "rater"
    assert taught(story, "nobody") == []


def test_the_commands_tell_it(
    story: AnalystStory,
    database: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A person gets sentences and tables, a program JSON."""
    for name, value in database.environ().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "flywheel.toml").write_text(PLAN)
    monkeypatch.setenv("HEADRACE_PLAN", str(tmp_path / "flywheel.toml"))

    def said(*command: str) -> str:
        app([*command], standalone_mode=False)
        return capsys.readouterr().out

    text = said("savings", "router", "--days", "10")
    assert (
        "machine hours $1" in text and "lost $1" in text and "first_token_p95_ms" in text and "engine_seconds" in text
    )
    assert json.loads(said("savings", "--days", "10", "--json"))[0]["versions"][0]["version"] == "router@1"
    answer = story.lineage[0]["inference_id"]
    assert "it became router@1" in said("why", answer)
    assert {row["what"] for row in json.loads(said("why", answer, "--json"))} >= {"answer", "taught"}
    assert json.loads(said("taught", "u3", "--json"))[0]["version"] == "router@1"
