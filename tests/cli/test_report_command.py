"""`headrace report` finds the report of a run, `headrace suites` reads a suite and shows its history."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from headrace.contract.findings import Candidate, SuiteResult
from headrace.settings import Settings
from headrace.warehouse import Warehouse


@pytest.fixture
def alone(headrace_with: Any, tmp_path: Path) -> Any:
    """The command line where neither Kafka nor ClickHouse answers."""
    return headrace_with(Settings(home=tmp_path, artifacts=tmp_path / "artifacts", clickhouse="http://127.0.0.1:9"))


def leave(folder: Path, text: str) -> Path:
    """A report in a folder."""
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("<p>")
    (folder / "report.md").write_text(text)
    return folder


def test_a_report_is_found_by_version_task_and_folder(alone: Any, tmp_path: Path) -> None:
    """A version's is beside its artifact, a failed run's in the attempt's folder; a task means its newest run."""
    leave(tmp_path / "jobs" / "router" / "3-a1", "first attempt")
    kept = leave(tmp_path / "artifacts" / "router" / "3-a2", "published")
    leave(tmp_path / "jobs" / "router" / "3-a2", "in the attempt's folder")
    failed = leave(tmp_path / "jobs" / "router" / "10-a1", "failed")
    assert alone("report", "router@3").out.splitlines() == [str(kept / "report.html"), str(kept / "report.md")]
    assert alone("report", "router", "--text").out == "failed\n"
    assert alone("report", str(failed), "--text").out == "failed\n"
    for named, said in (("router@4", "there is no report of router@4"), ("../x", "is no version, task, job or folder")):
        found = alone("report", named)
        assert found.code == 2 and said in found.err


def test_a_suite_is_checked(alone: Any, tmp_path: Path) -> None:
    """Its digest is told before there is a manifest; afterwards its questions are counted and bad lines named."""
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"input": "VPN is down", "label": "it"}\n')
    digest = hashlib.sha256(b"cases.jsonl\0" + hashlib.sha256(cases.read_bytes()).digest()).hexdigest()
    found = alone("suites", "check", str(tmp_path))
    assert found.code == 2 and digest in found.err and "suite.json" in found.err
    manifest = {"name": "house", "version": "1", "licence": "CC0-1.0", "digest": digest}
    (tmp_path / "suite.json").write_text(json.dumps(manifest))
    found = alone("suites", "check", str(tmp_path))
    assert found.code == 0 and found.out.startswith("house 1 (CC0-1.0): 1 questions")
    cases.write_text("nonsense\n")
    found = alone("suites", "check", str(tmp_path))
    assert found.code == 2 and "give the changed suite a new version" in found.err


def test_suites_have_a_history(headrace_with: Any, database: Settings, warehouse: Warehouse) -> None:
    """One row for each model and suite, the newest first, with what was not asked and why."""
    for day, suites in (
        (1, {"house": SuiteResult(version="1", n=10, correct=8, accuracy=0.8, low=0.5, high=0.9)}),
        (2, {"house": SuiteResult(version="2", n=20, correct=18, accuracy=0.9), "new": SuiteResult(failure="away")}),
        (3, {}),
    ):
        detail = {"suites": {name: one.model_dump(mode="json") for name, one in suites.items()}}
        row = Candidate(
            job_id=UUID(int=day), attempt=1, task="router", name="probe", at=datetime(2026, 1, day, tzinfo=UTC),
            detail=detail,
        ).model_dump(mode="json")  # fmt: skip
        warehouse.insert("candidates", [json.dumps(row | {"detail": json.dumps(row["detail"])}).encode()])
    said = headrace_with(database)("suites", "history", "router", "--json")
    assert said.code == 0, said.err
    found = said.json
    assert [(row["suite"], row["suite_version"], row["accuracy"], row["failure"]) for row in found] == [
        ("house", "2", 0.9, ""), ("new", "", 0, "away"), ("house", "1", 0.8, ""),
    ]  # fmt: skip
    missing = headrace_with(database)("report", str(UUID(int=9)))
    assert missing.code == 2 and "there is no job" in missing.err
