"""`headrace train` on questions and right answers: what is tuned, compared, judged and published."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from openai_double import fake_model
from test_given_rows import jsonl
from test_judgement import row
from tiny_llama import tiny_llama
from trainer_history import questions

from headrace.contract.job_file import ByHand, JobError
from headrace.models.bases import Base
from headrace.models.families import family_of, load
from headrace.models.families.causal import TunableWriter, writer
from headrace.models.family import PARITY_TOLERANCE, Unsupported, parity
from headrace.plan import parse
from trainer.evaluate.texts import Foreseen, less_loss
from trainer.process.by_hand import train
from trainer.progress import Progress
from trainer.report.by_hand import _beside_texts

ROWS = [{"question": text, "answer": f"In the place for {label}."} for text, label in questions(90)]
PLAN = """
version = 2
[budget]
threads = 2
minutes = 60
[tasks.desk]
kind = "generate"
incumbent = {{url = "http://127.0.0.1:9/v1", model = "none", version = "desk@0"}}
{judge}
[tasks.desk.writing]
instructions = "Answer."
max_tokens = 8
[tasks.desk.candidates.small]
base = "tiny"
method = "lora"
rank = 4
epochs = 4
learning_rate = 1e-2
[tasks.desk.candidates.shown]
base = "tiny"
method = "few_shot"
examples = 2
[bases.tiny]
family = "causal"
source = "{base}"
max_length = 256
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A small one with random weights."""
    return tiny_llama(tmp_path_factory.mktemp("tiny"), [text for row in ROWS for text in row.values()], 0.1)


def trained(base: Base, folder: Path, judge: str = "", rows: list[dict[str, str]] = ROWS) -> dict[str, Any]:
    """The figures of a run, which are in its folder too."""
    plan = parse(PLAN.format(base=base.source, judge=judge))
    out = folder / "out"
    train(ByHand(data=jsonl(folder, rows), plan=plan, task="desk", out=out, seed=1), Progress(io.StringIO()))
    figures: dict[str, Any] = json.loads((out / "figures.json").read_text("utf-8"))
    return figures


def test_answers_are_learned_compared_by_a_judge_and_published(base: Base, tmp_path: Path) -> None:
    """The tuned model foresees held-out answers better than its base, and the judge's scores are counted by texts."""

    def answer(asked: dict[str, Any]) -> str:
        shown = json.loads(asked["messages"][1]["content"])
        assert shown["reference"].startswith("In the") and shown["question"]
        if "answer" in shown:
            return json.dumps({"grade": 4})
        return json.dumps({"better": "first" if shown["first"].startswith("In") else "second"})

    with fake_model(answer) as url:
        figures = trained(base, tmp_path, f'judge = {{url = "{url}", model = "judge", timeout_s = 5}}')
    by_name = {one["name"]: one for one in figures["candidates"]}
    assert set(by_name) == {"small", "shown", "untuned-baseline"} and figures["chosen"] == "small"
    small, untuned = by_name["small"], by_name["untuned-baseline"]
    assert small["test"]["n"] == figures["rows"]["test"] >= 10 and len(small["curve"]) == 4
    assert small["test"]["perplexity"] < 0.2 * untuned["test"]["perplexity"] and "test" not in by_name["shown"]
    (beside,) = figures["compared"]
    assert beside["low"] > 0 and beside["judged"]["graded"] == small["test"]["n"] and beside["judged"]["grade"] == 0.75
    assert 0 < beside["judged"]["pairs"]["n"] <= small["test"]["n"]
    model = load(figures["artifact"], figures["digest"])
    assert parity(model) < PARITY_TOLERANCE["float32"] and not model.labels
    told = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "| small | lora | tiny |" in told and figures["digest"] in told and "Compared by judge" in told
    assert not [row for row in ROWS if row["question"] in told or row["answer"] in told]
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["desk", "figures.json", "report.html", "report.md"]
    # Without its adapter it answers otherwise, and that is noticed.
    model.base.module = family_of("causal").load_base(base, 2).module
    assert parity(model) > PARITY_TOLERANCE["float32"]


def test_too_few_rows_are_said(base: Base, tmp_path: Path) -> None:
    """In one sentence, before anything is tuned."""
    with pytest.raises(JobError, match="too few rows: 2 of 10 are validation rows"):
        trained(base, tmp_path, rows=ROWS[:10])


def test_what_a_loaded_model_foresees_is_what_was_trained(base: Base, tmp_path: Path) -> None:
    """Loss by loss, with examples and without; a model of labels foresees no text."""
    answers = ["In the hall.", "In the office, on the second floor."]
    tunable = writer(base, "Answer.", answers, 2)
    assert isinstance(tunable, TunableWriter)
    with torch.inference_mode():
        expected = tunable.losses(tunable.prepare(["Where?", "Where is it?"]), [0, 1]).numpy()
    tunable.save(tmp_path, "prompt")
    from test_causal import manifest

    said = manifest(base="tiny", base_source=base.source, labels=(), method="untuned", kind="prompt", max_length=256)
    model = family_of("causal").open(tmp_path, said, 2)
    totals, tokens = model.answer_losses(["Where?", "Where is it?"], answers)
    assert np.abs(totals / tokens - expected).max() < 1e-4 and tokens[1] > tokens[0]
    with pytest.raises(Unsupported):
        model.log_probabilities(["Where?"])
    tunable.set_examples(["Where is the printer?"], [0], 1)
    (tmp_path / "shown").mkdir()
    tunable.save(tmp_path / "shown", "prompt")
    shown = family_of("causal").open(tmp_path / "shown", said, 2)
    assert shown.tokens(["Where?"])[0] > model.tokens(["Where?"])[0]


def test_a_difference_is_one_of_clusters() -> None:
    """Ten copies of a row are one; an interval needs several."""
    rows = [row(number, "test", f"question {number}", "hr") for number in range(4)]
    better = Foreseen(np.array([1.0, 1.0, 1.0, 1.0]), 4, 40, 1.0)
    worse = Foreseen(np.array([2.0, 2.5, 1.5, 2.0]), 4, 40, 2.0)
    alone = less_loss(rows, better, worse)
    copied = less_loss([*rows, *rows[:1] * 10], *(
        Foreseen(np.concatenate([one.of_row, one.of_row[:1].repeat(10)]), 14, 140, 1.0) for one in (better, worse)
    ))  # fmt: skip
    assert alone == copied and alone["n"] == 4 and alone["difference"] == 1.0
    assert alone["low"] is not None and alone["high"] is not None and alone["low"] < 1.0 < alone["high"]


def test_one_session_alone_has_no_interval() -> None:
    """It is null in figures.json, where an infinite number would be no JSON, and is not in the report."""
    rows = [replace(row(number, "test", f"text {number}", "a"), cluster="session") for number in range(3)]
    better, worse = (Foreseen(np.full(3, loss), 3, 30, loss) for loss in (1.0, 2.0))
    found = less_loss(rows, better, worse)
    assert found == {"n": 1, "difference": 1.0, "low": None, "high": None}
    assert _beside_texts(found | {"baseline": "untuned"}).endswith("1.000 less (1 test texts or sessions).")
