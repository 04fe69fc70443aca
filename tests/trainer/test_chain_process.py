"""A whole job whose candidate is a chain that ends with the incumbent: fitted, gated, reported and published."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openai_double import fake_model
from trainer_history import START, History, job_file, plan, questions
from trainer_process import Trainer

from headrace.models.bundle import verify
from headrace.models.chain import Chain
from headrace.settings import Settings
from headrace.warehouse import Warehouse

WORDS = {"method": "tfidf", "base": "words"}
CHAIN = {"method": "chain", "base": "chain", "tiers": ["words", "incumbent"], "margin": 0.06}


@pytest.mark.acceptance
def test_a_chain_to_the_incumbent_wins_a_job(empty: Warehouse, settings: Settings) -> None:
    """Cheaper than the incumbent and not worse by the gate's margin; the price counts what still goes to it."""
    chance, history, rows = random.Random(2), History(), questions(1500)
    labels = tuple(sorted({label for _, label in rows}))
    said = {text: label if chance.random() < 0.97 else chance.choice(labels) for text, label in rows}
    for text, label in rows:
        history.audited(text, said[text], label)
    history.store(empty)
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> str:
        asked.append(body["messages"][-1]["content"])
        return said.get(asked[-1], "it")

    with fake_model(answer) as url:
        incumbent = {"url": url, "model": "big", "version": "router@0", "parameters": 70_000_000_000}
        task = plan(
            labels,
            incumbent=incumbent,
            candidates={"words": WORDS, "both": CHAIN},
            gate={"margin": 0.1, "max_ece": 0.9, "per_label_drop": 0.9, "approved_labels": list(labels)},
        )
        now = START + timedelta(days=2)
        trainer = Trainer(job_file(settings, settings.home / "chain", task, START, now))
        code, lines, stderr = trainer.finish()
    result = trainer.result()
    assert code == 0, (stderr, result, [line["message"] for line in lines if line["message"]])
    found = {(row["name"], row["split"]): row for row in empty.rows("SELECT * FROM candidates FINAL")}
    judged, compared = found["both", "test"], found["both", "validation"]
    assert judged["gate"] == "passed" and judged["method"] == "chain"
    finding = json.loads(str(compared["detail"]))["findings"]["chain"]
    escalated = finding["figures"]["answered_by_incumbent"]["value"]
    # The incumbent's answers have cost 2 dollars a thousand, as recorded.
    assert 0 < escalated < 0.9 and judged["cost_per_1k"] == pytest.approx(2.0 * escalated, abs=0.2)
    recorded = {text for text, _ in rows}
    assert asked and len([text for text in asked if text in recorded]) < 200, "recorded answers are not asked again"
    served = result["served"]
    folder = Path(served["artifact"])
    assert verify(folder, served["digest"]).kind == "chain" and Chain.read(folder).incumbent == "router@0"
    assert "Cost and accuracy by threshold" in (folder / "report.html").read_text("utf-8")
