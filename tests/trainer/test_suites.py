"""Institutional suites: read line by line, asked of every candidate, and a veto where the plan says so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_judgement import GAINED, LAPTOPS, SAME, judged

from headrace.contract import suite
from headrace.errors import SuiteError
from headrace.plan import Task
from trainer.evaluate.suites import Suites, forbidden

LABELS = ("Human Resources", "IT")
CASES = (
    b'\xef\xbb\xbf{"id": "1", "input": "Where is my payslip?", "label": "Human Resources"}\n\n'
    b'{"input": "VPN is down", "label": "it"}\n'
    b'{"input": "VPN is down", "label": "legal"}\n'
    b"{nonsense}\n"
    b'{"input": "\xff", "label": "it"}\n'
    b'["VPN is down", "it"]\n'
    b'{"input": "", "label": "it"}\n'
    b'{"input": "mouse", "label": "IT", "weight": 3}\n'
    b'{"input": "pay", "label": "hr"}\n'
)


def write(folder: Path, cases: bytes = CASES, **manifest: Any) -> Path:
    """A suite in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.jsonl").write_bytes(cases)
    said = {"name": "house", "version": "3", "kind": "classify", "licence": "CC-BY-4.0"}
    said |= {"digest": suite.digest_of(folder)} | manifest
    (folder / "suite.json").write_text(json.dumps(said), "utf-8")
    return folder


def task(**suites: dict[str, Any]) -> Task:
    """A task with suites."""
    incumbent = {"url": "http://x", "model": "x"}
    return Task.model_validate(
        {"labels": LABELS, "candidates": {"p": {"method": "probe"}}, "incumbent": incumbent, "suites": suites}
    )


def always_first(texts: Sequence[str]) -> Any:
    """A model that answers the first label."""
    return np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (len(texts), 1))


def test_bad_lines_are_named_and_cost_no_other(tmp_path: Path) -> None:
    """Each line that cannot be used is named with its place and reason, quotes nothing, and the rest is asked."""
    found = Suites.of(task(house={"folder": str(write(tmp_path))})).asked(always_first)["house"]
    assert (found.n, found.correct, found.version, found.licence, found.failure) == (2, 1, "3", "CC-BY-4.0", "")
    assert found.low < 0.5 < found.high and found.left_out == 7
    assert [line.partition(": ")[0] for line in found.bad] == [
        f"cases.jsonl:{line}" for line in (5, 6, 7, 8, 9, 4, 10)
    ]  # fmt: skip
    said = " ".join(found.bad)
    assert "not JSON" in said and "not UTF-8" in said and "weight" in said and "not one of the task's" in said
    assert "VPN" not in said and "legal" not in said


def test_a_changed_suite_is_refused_and_costs_no_other(tmp_path: Path) -> None:
    """A suite that is not what its manifest says is reported as not run; the next one is."""
    write(tmp_path / "changed")
    (tmp_path / "changed" / "cases.jsonl").write_text('{"input": "easy", "label": "it"}\n')
    named = {
        "changed": {"folder": str(tmp_path / "changed")},
        "missing": {"folder": str(tmp_path / "missing")},
        "empty": {"folder": str(write(tmp_path / "empty", b"{}\n"))},
        "odd": {"folder": str(write(tmp_path / "odd", licence=""))},
        "fine": {"folder": str(write(tmp_path / "fine"))},
    }
    found = Suites.of(task(**named)).asked(always_first)
    assert "has digest" in found["changed"].failure and "no suite.json" in found["missing"].failure
    assert found["empty"].failure == "no line of it can be used" and "licence" in found["odd"].failure
    assert not found["fine"].failure and forbidden(found) == ""
    with pytest.raises(SuiteError, match="new version"):
        suite.read(tmp_path / "changed")


def test_a_minimum_is_a_veto(tmp_path: Path) -> None:
    """Below the plan's minimum, or not run at all, a suite forbids the candidate; at the minimum it does not."""
    folder = str(write(tmp_path / "house"))

    def said(**spec: Any) -> str:
        return forbidden(Suites.of(task(house=spec)).asked(always_first))

    assert said(folder=folder, minimum=0.5) == ""
    assert said(folder=folder, minimum=0.6) == "suite house: 1 right of 2 (0.500), less than the minimum of 0.6"
    assert "was not run" in said(folder=str(tmp_path / "none"), minimum=0.1)
    assert said(folder=str(tmp_path / "none")) == ""


def test_the_gate_vetoes_a_proven_candidate_that_fails_a_suite(tmp_path: Path) -> None:
    """Sixty gained rows prove it better, and the suite forbids it all the same."""
    write(tmp_path, b'{"input": "a question that it does not know", "label": "it"}\n')
    rows = [*GAINED, *SAME]
    assert judged(rows, LAPTOPS, suites={"house": {"folder": str(tmp_path), "minimum": 0.0}}).verdict.gate == "passed"
    found = judged(rows, LAPTOPS, suites={"house": {"folder": str(tmp_path), "minimum": 0.9}}).verdict
    assert found.gate == "vetoed" and found.reason.startswith("suite house: 0 right of 1 (0.000)")
