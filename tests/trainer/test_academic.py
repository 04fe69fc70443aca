"""Academic benchmarks by lm-evaluation-harness: run offline where it is installed, and said where they were not run."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from bundles import causal_artifact
from test_evaluators import subject

from headrace.models.families import load
from headrace.plan.suites import BenchmarkSpec
from trainer.evaluate.evaluators import academic
from trainer.evaluate.subject import Subject

TASK = """
task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


class Scores:
    """An encoder."""

    writes_text = False


class Writes(Scores):
    """A causal model; soft: its virtual tokens."""

    writes_text = True

    def __init__(self, soft: Any = None) -> None:
        self.base = type("Base", (), {"soft": soft})


def asked(model: Any, folder: Path = Path("nowhere")) -> Subject:
    """A model on rows, in a plan with a benchmark."""
    known = subject(["hr"], ["hr"], ask=lambda texts: None)
    return replace(known, model=model, benchmarks={"general": BenchmarkSpec(folder=str(folder), tasks=("capitals",))})


def test_what_was_not_run_is_said() -> None:
    """Encoders, virtual tokens, and a machine without the harness each have a reason."""
    assert academic.evaluate(replace(asked(Writes()), benchmarks={})) is None
    assert academic.evaluate(replace(asked(Writes()), ask=None)) is None
    reasons = [academic.evaluate(asked(model)) for model in (Scores(), Writes(soft=[1]))]
    assert [one and one.method.partition(":")[0] for one in reasons] == ["not run", "not run"]
    if find_spec("lm_eval") is None:
        found = academic.evaluate(asked(Writes()))
        assert found is not None and "pip install 'headrace[academic]'" in found.method


@pytest.mark.acceptance
def test_a_causal_model_is_asked_offline(tmp_path: Path) -> None:
    """The real harness asks the real model the questions of a file, and the share of right ones has an interval."""
    pytest.importorskip("lm_eval")
    cities = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "Japan": "Tokyo"}
    names = list(cities.values())
    lines = [
        {"question": f"What is the capital of {land}?", "choices": names, "answer": names.index(city)}
        for land, city in cities.items()
    ]
    data = tmp_path / "capitals.jsonl"
    data.write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "capitals.yaml").write_text(TASK.replace("DATA", str(data)))
    served = causal_artifact(tmp_path / "artifacts", 1)
    found = academic.evaluate(asked(load(served.artifact, served.digest), tmp_path))
    assert found is not None
    accuracy = found.figures["general: capitals acc"]
    assert accuracy.n == 5 and accuracy.value >= 0.8 and accuracy.low is not None
