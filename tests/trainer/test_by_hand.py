"""`headrace train`: models of a file of rows, without Kafka and ClickHouse."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_judgement import row
from trainer_history import questions
from trainer_process import REPOSITORY
from warm_processes import HEADRACE, run

from headrace.contract.job_file import JobError
from headrace.models.bundle import GRAPH, GRAPH_WEIGHTS
from headrace.models.families import load
from headrace.models.family import PARITY_TOLERANCE, parity
from trainer.process import by_hand
from trainer.report import html, markdown
from trainer.report.by_hand import blocks_of

PLAN = """
version = 2
[tasks.desk]
labels = [{labels}]
[tasks.desk.incumbent]
url = "http://127.0.0.1:9/v1"
model = "none"
version = "desk@0"
[tasks.desk.candidates.small]
method = "lora"
rank = 4
epochs = 1
[budget]
threads = 1
"""


def headrace(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in an environment that names no server."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    code, out, err = run("trainer", [*HEADRACE, "train", *arguments], timeout=500, cwd=REPOSITORY, env=environ)
    return subprocess.CompletedProcess(arguments, code, out, err)


def test_a_file_of_rows_becomes_a_model_with_its_figures(tmp_path: Path) -> None:
    """The candidate of the plan is published, and compared with a baseline that the plan does not name."""
    rows = [{"question": text, "intent": label} for text, label in questions(150)]
    data, plan, out = tmp_path / "rows.jsonl", tmp_path / "plan.toml", tmp_path / "out"
    data.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    plan.write_text(PLAN.format(labels=", ".join(f'"{label}"' for label in sorted({row["intent"] for row in rows}))))
    done = headrace("--data", str(data), "--plan", str(plan), "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures == json.loads((out / "figures.json").read_text("utf-8"))
    by_name = {one["name"]: one for one in figures["candidates"]}
    assert figures["chosen"] == "small" and by_name["probe-baseline"]["baseline"]
    assert by_name["tfidf-baseline"]["baseline"]
    assert by_name["small"]["test"]["n"] == figures["rows"]["test"] >= 20
    assert len(by_name["small"]["curve"]) == 1
    assert any(one["baseline"] == "probe-baseline" for one in figures["compared"])
    assert figures["version"] == "desk@1" and Path(figures["artifact"]) == out / "desk" / "1-a0"
    model = load(figures["artifact"], figures["digest"])
    assert parity(model) < PARITY_TOLERANCE["float32"]
    report = (out / "report.md").read_text("utf-8")
    assert "| small | lora | minilm-l6 |" in report and figures["digest"] in report
    assert sorted(path.name for path in out.iterdir()) == ["desk", "figures.json", "report.html", "report.md"]
    assert not [row for row in rows if row["question"] in done.stdout + done.stderr + report]


def test_repeated_test_questions_are_no_evidence() -> None:
    """Twelve copies of one question that the chosen candidate gained count as one, as at the gate."""
    rows = [row(number, "test", "where is my laptop", "it") for number in range(12)]
    rows.append(row(12, "test", "how do I ask for parental leave", "hr"))
    said = {"chosen": ["it"] * 12 + ["hr"], "probe-baseline": ["hr"] * 13}
    (beside,) = by_hand._beside(rows, ("hr", "it"), said, "chosen")
    assert beside == {"baseline": "probe-baseline", "n": 2, "gained": 1, "lost": 0, "p_value": 0.5}


def test_a_quantised_candidate_is_judged_and_published_as_such(tmp_path: Path) -> None:
    """Its bundle is of a kind of its own, whose graph holds the weights that were evaluated, and no others."""
    rows = [{"question": text, "intent": label} for text, label in questions(150)]
    data, plan, out = tmp_path / "rows.jsonl", tmp_path / "plan.toml", tmp_path / "out"
    data.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    text = PLAN.format(labels=", ".join(f'"{label}"' for label in sorted({row["intent"] for row in rows})))
    plan.write_text(text.replace('"lora"\nrank = 4\nepochs = 1', '"probe"\nquantize = "int8"'))
    done = headrace("--data", str(data), "--plan", str(plan), "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    model = load(figures["artifact"], figures["digest"])
    assert model.manifest.of_kind == "int8" and parity(model) < 1e-4
    assert {GRAPH, "head.safetensors"} <= set(model.manifest.files)
    assert not {GRAPH_WEIGHTS, "encoder.safetensors"} & set(model.manifest.files)


def test_what_a_file_calls_its_labels_is_text() -> None:
    """A label that is a table's cell, a link or a script in Markdown or HTML is shown as it is written."""
    label = "<script>alert(1)</script> | [pay](http://example.org)"
    accuracy = {"accuracy": 0.9, "low": 0.8, "high": 0.95, "n": 50, "correct": 45}
    one: dict[str, Any] = {
        "name": "small",
        "method": "probe",
        "base": "minilm-l6",
        "baseline": False,
        "failure": "",
        "parameters": 5,
    }
    one |= {"seconds": 1.0, "curve": {}, "p50_ms": 3.0, "validation": accuracy, "test": accuracy}
    figures: dict[str, Any] = {
        "version": "desk@1",
        "reason": "small is the only one",
        "rows": dict.fromkeys(["train", "validation", "test", "conflicting_texts"], 50),
        "left_out": {},
        "dataset": "d" * 64,
        "seed": 0,
        "candidates": [one],
        "chosen": "small",
        "compared": [],
        "labels": [{"label": label, "rows": 50, "right": 45, "answered": 49}],
        "artifact": "out",
        "digest": "e" * 64,
    }
    blocks = blocks_of(figures)
    page, text = html.page("desk@1", blocks), markdown.text_of(blocks)
    assert "<script>" not in page + text and "[pay](" not in text
    assert text.count("\n| &lt;script&gt;") == 1 and "0.900 (0.800 to 0.950)" in page


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second one ends with a sentence before it trains; afterwards the folder is free."""
    refused = pytest.raises(JobError, match="another training is under way")
    with by_hand._alone_in(tmp_path), refused, by_hand._alone_in(tmp_path):
        pass
    with by_hand._alone_in(tmp_path):
        pass


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    """Exit code 2, and no folder."""
    data = tmp_path / "rows.csv"
    data.write_text("text,topic\nWhere is my payslip?,hr\n", "utf-8")
    done = headrace("--data", str(data), "--out", str(tmp_path / "out"))
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    (said,) = done.stderr.splitlines()
    assert "has no column label" in said and "name the right one with --label" in said
