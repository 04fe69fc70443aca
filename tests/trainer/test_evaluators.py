"""Evaluators: what each says of a model whose faults are known, and what a broken one costs."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from headrace import kinds
from headrace.contract.findings import Finding
from trainer.curate.rows import Row
from trainer.evaluate.evaluators import calibration, forgetting, labels, out_of_scope, rewording, typos
from trainer.evaluate.subject import Remembered, Subject, findings

LABELS = ("hr", "it", "out_of_scope")
TEXTS = {"hr": "when is my payslip ready", "it": "the laptop does not start", "out_of_scope": "who won the match"}


def row(number: int, label: str, text: str = "", month: int = 1) -> Row:
    """A row of the validation split."""
    said, words = UUID(int=number + 1), text or f"{TEXTS[label]} {number}"
    at = datetime(2026, month, 1, tzinfo=UTC)
    return Row("validation", "default", said, said, at, words, words, label, "audit", 4, "hr", "router@0", 1.0, words)


def sure(answers: Sequence[str], confidence: float = 1.0) -> Any:
    """Probabilities of a model that answers so, each time as sure."""
    rest = (1 - confidence) / (len(LABELS) - 1)
    return np.array(
        [[confidence if answer == label else rest for label in LABELS] for answer in answers], dtype=np.float32
    )


def subject(truth: Sequence[str], said: Sequence[str], confidence: float = 1.0, **more: Any) -> Subject:
    """A model that answers so to rows of these labels."""
    rows = [row(number, label) for number, label in enumerate(truth)]
    return Subject(LABELS, dict(zip(LABELS, LABELS, strict=True)), "out_of_scope", rows, sure(said, confidence), **more)


def test_calibration_shows_a_boaster() -> None:
    """A model that is certain and right three times in four is off by a quarter, and its one bin says so."""
    truth = ["hr", "it"] * 40
    said = [label if number % 4 else "out_of_scope" for number, label in enumerate(truth)]
    found = calibration.evaluate(subject(truth, said))
    assert found is not None
    error = found.figures["ece"]
    assert error.value == pytest.approx(0.25) and error.low is not None and error.high is not None
    assert error.low < 0.25 < error.high and found.figures["overconfidence"].value == pytest.approx(0.25)
    assert found.figures["brier"].value == pytest.approx(0.5)
    (point,) = found.points
    assert (point.x, point.y, point.n) == (1.0, 0.75, 80) and point.low < 0.75 < point.high


def test_labels_have_recall_precision_and_confusions() -> None:
    """Two of three `it` rows go to `hr`: recall of one and precision of the other say it, and the table from where."""
    found = labels.evaluate(subject(["hr", "hr", "it", "it", "it"], ["hr", "hr", "hr", "hr", "it"]))
    assert found is not None
    shares = {name: round(figure.value, 2) for name, figure in found.figures.items()}
    assert shares["recall it"] == 0.33 and shares["precision hr"] == 0.5 and shares["recall hr"] == 1
    assert shares["macro_f1"] == round((2 / 3 + 1 / 2) / 2, 2) and "recall out_of_scope" not in shares
    assert ("it", "hr", 2) in found.rows and ("hr", "hr", 2) in found.rows


def test_out_of_scope_is_a_ranking() -> None:
    """The score of out-of-scope rows is above that of others in three of four pairs, whatever is answered."""
    given = subject(["out_of_scope", "out_of_scope", "hr", "it"], ["hr"] * 4)
    scores = np.array([[0.6, 0, 0.4], [0.8, 0, 0.2], [0.7, 0, 0.3], [0.9, 0, 0.1]], dtype=np.float32)
    found = out_of_scope.evaluate(replace(given, probabilities=scores))
    assert found is not None and found.figures["auroc"].value == 0.75
    assert found.figures["recall"].value == 0 and found.figures["recall"].n == 2
    assert "auroc_of_distance" not in found.figures
    far = replace(given, probabilities=scores, novelty=np.array([0.9, 0.2, 0.2, 0.1], dtype=np.float32))
    found = out_of_scope.evaluate(far)
    assert found is not None and found.figures["auroc_of_distance"].value == 0.875
    assert out_of_scope.evaluate(subject(["hr", "it"], ["hr", "it"])) is None
    assert out_of_scope.evaluate(replace(given, out_of_scope="")) is None


def test_typos_cost_a_model_that_knows_words_only() -> None:
    """One that knows the exact texts loses them all; one that answers by the first letter's neighbours loses none."""
    truth = ["hr", "it", "out_of_scope"] * 20
    exact = {f"{TEXTS[label]} {number}": label for number, label in enumerate(truth)}
    given = subject(truth, truth)
    found = typos.evaluate(replace(given, ask=lambda texts: sure([exact.get(text, "hr") for text in texts])))
    assert found is not None
    lost = found.figures["drop"]
    assert lost.value == pytest.approx(2 / 3, abs=0.05) and lost.low is not None and lost.low > 0.5
    assert found.figures["accuracy_before"].value == 1 and lost.n >= 55
    again = typos.evaluate(replace(given, ask=lambda texts: sure([exact.get(text, "hr") for text in texts])))
    assert again == found
    asked: list[str] = []

    def unmoved(texts: Sequence[str]) -> Any:
        asked.extend(texts)
        return sure([truth[int(text.rsplit(" ", 1)[1])] for text in texts])

    stable = typos.evaluate(replace(given, ask=unmoved))
    assert stable is not None and stable.figures["drop"].value == 0 and stable.figures["same_answer"].value == 1
    assert not set(asked) & set(exact)
    assert typos.evaluate(given) is None


@pytest.mark.parametrize(
    "text",
    ["Où est ma fiche de paie ?", "पासवर्ड कैसे बदलें", "密码忘记了怎么办", "kannst du 👩‍👩‍👧 sehen?", "é", "a", "C++ 2026"],
)
def test_typos_keep_marks_with_their_letters(text: str) -> None:
    """An edit makes no mark lose its letter, invents none, and leaves digits and symbols in their order."""
    text = unicodedata.normalize("NFD", text)
    own = set(typos.clusters(text))
    for seed in range(50):
        edited = typos.misspelt(text, random.Random(seed))
        assert edited and set(typos.clusters(edited)) <= own
        assert [one for one in edited if one.isdigit() or one in "+👩"] == [
            one for one in text if one.isdigit() or one in "+👩"
        ]
    assert typos.misspelt("12 + 30 = 42", random.Random(1)) == "12 + 30 = 42"


def test_rewording_keeps_the_words() -> None:
    """Case, punctuation and politeness change; English words go around texts of Latin letters only."""
    for seed in range(20):
        drawn = random.Random(seed)
        words = rewording.reworded("Where's my pay-slip, {please}?", drawn).lower()
        assert "where s my pay slip please" in words
        assert rewording.reworded("密码忘记了怎么办？", random.Random(seed)) == "密码忘记了怎么办"
    assert rewording.reworded("?!", random.Random(0)) == "?!"


def test_forgetting_is_counted_by_month() -> None:
    """What the live version has right and the candidate wrong is a share of what the live version has right."""
    older = [row(number, "hr", month=1 + number // 5) for number in range(10)]
    said = ["it"] * 2 + ["hr"] * 8
    given = subject(["hr"], ["hr"], older=Remembered(older, said, ["hr"] * 9 + ["it"]))
    found = forgetting.evaluate(given)
    assert found is not None
    assert found.figures["forgotten"].value == pytest.approx(2 / 9) and found.figures["drop"].value == pytest.approx(
        0.1
    )
    assert found.rows == (("2026-01", 5, 5, 3, 2), ("2026-02", 5, 4, 5, 0))
    assert forgetting.evaluate(subject(["hr"], ["hr"])) is None


def test_a_broken_evaluator_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it failed and not with which question; the others' findings are there, and are JSON."""

    def broken(subject: Subject) -> Finding:
        raise ValueError(subject.rows[0].text)

    monkeypatch.setattr(kinds.load("evaluators", "labels"), "evaluate", broken)
    truth = ["hr", "it", "out_of_scope"] * 5
    found = findings(subject(truth, truth, ask=lambda texts: sure(["hr"] * len(texts))))
    assert set(found) == {"calibration", "labels", "out_of_scope", "rewording", "typos"}
    assert found["labels"].method == "not measured: the evaluator failed with ValueError"
    said = "".join(one.model_dump_json() for one in found.values())
    assert "payslip" not in said and "nan" not in said.lower()
    assert findings(subject([], [])) == {}
