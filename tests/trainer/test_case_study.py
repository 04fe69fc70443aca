"""make case-study: groups of questions are apart, the funnel is the case study's, verdicts are told as they are."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import case_study
from benchmarks.studying import costs, tables
from benchmarks.studying.candidates import measured
from benchmarks.studying.incumbent import Incumbent
from benchmarks.studying.rows import Study, study
from benchmarks.studying.split import World, divided
from benchmarks.studying.verdicts import Asked, Known, gated, published
from simulation.complaints import funnel

LABELS = ("hr", "it", "finance", "travel")
THINGS = {
    "hr": ("holidays", "payslip", "contract", "pension", "parental leave"),
    "it": ("laptop", "password", "printer", "network", "screen"),
    "finance": ("invoice", "expenses", "budget", "purchase", "supplier"),
    "travel": ("flight", "hotel", "train ticket", "visa", "rental car"),
}


def made(count: int) -> list[tuple[str, int]]:
    """Different questions with the numbers of their labels."""
    draw = random.Random(1)
    found = []
    for number in range(count):
        label = draw.randrange(len(LABELS))
        found.append((f"who’s there for the {draw.choice(THINGS[LABELS[label]])} of case {number}", label))
    return found


def answered(world: World, right: float) -> Incumbent:
    """An incumbent that is right in this share."""
    draw = np.random.default_rng(2)
    wrong = draw.random(len(world.texts)) >= right
    return Incumbent(np.where(wrong, (world.truth + 1) % len(LABELS), world.truth), 1.0)


@pytest.fixture(scope="module")
def studied() -> Study:
    """16,000 questions, 6,000 of them traffic, and an incumbent of the case study's accuracy."""
    world = divided(LABELS, made(16_000), 1, train=12_000, validation=1_000, audits=1_000)
    return study(world, answered(world, 0.96), 1)


def test_no_question_is_in_two_groups() -> None:
    """What trains the incumbent is not asked, a repeated question is asked once, nothing that tests trains."""
    inside = made(1_000)
    repeated = [*inside[:600], *inside[:200], *inside[600:]]
    found = divided(LABELS, repeated, 3, train=800, validation=300, audits=40)
    groups = [found.incumbent, found.traffic, found.calibration, found.audits, found.test]
    places = np.concatenate(groups)
    assert len(set(places.tolist())) == len(places)
    traffic = [found.texts[place] for place in found.traffic]
    assert len(set(traffic)) == len(traffic) and not {found.texts[place] for place in found.incumbent} & set(traffic)
    assert (found.calibration >= 800).all() and (found.audits >= 1_100).all() and (found.test >= 1_100).all()
    other = divided(LABELS, repeated, 4, train=800, validation=300, audits=40)
    assert found.incumbent.tolist() != other.incumbent.tolist()


def test_the_funnel_is_the_case_studys(studied: Study) -> None:
    """1,224 answers with feedback, some 729 satisfied, some 140 flagged, some 32 confirmed; 685 rows, 411 and 274."""
    found = studied.counts
    assert {name: found[name] for name in tables.FUNNEL} == tables.FUNNEL
    assert found["answers"] == pytest.approx(5_000, rel=0.1) and found["satisfied"] == pytest.approx(729, rel=0.1)
    assert 100 < found["flagged"] < 180 and 18 < found["confirmed"] < 50
    said = dict(studied.funnel.truth)
    assert len(said) == 685 and set(studied.funnel.confirmed) <= set(said)
    assert set(said) <= {*studied.funnel.confirmed, *studied.funnel.satisfied}
    assert set(studied.funnel.silent).isdisjoint({*studied.funnel.satisfied, *studied.funnel.displeased})
    assert 0 < found["wrong"] < 15
    assert not set(studied.train[0].tolist()) & set(studied.test[0].tolist())


def test_with_few_answers_there_are_fewer_rows() -> None:
    """Nothing is made up to reach the published numbers."""
    texts = [text for text, _ in made(500)]
    found = funnel(texts, ["hr"] * 500, ["hr"] * 500, LABELS, seed=1)
    assert found.given == 500 and 0 < len(found.truth) <= len(found.satisfied) + len(found.confirmed) < 685


WORDS = ("amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron", "ivory", "jetty", "kayak", "lemon")


def asked(n: int, gained: int, lost: int, both_wrong: int) -> Asked:
    """Rows in a drawn order, of which the candidate gains and loses so many against the incumbent."""
    draw = random.Random(5)
    order = np.array(draw.sample(range(n), n))
    truth = np.array([draw.randrange(4) for _ in range(n)])
    wrong, right = (truth + 1) % 4, order >= gained + lost + both_wrong
    says = np.where(right | (order < gained), truth, wrong)
    incumbent = np.where(right | ((order >= gained) & (order < gained + lost)), truth, wrong)
    scores = np.full((n, 4), 0.01, dtype=np.float32)
    scores[np.arange(n), says] = 0.97
    return Asked([" ".join(draw.choices(WORDS, k=8)) for _ in range(n)], truth, scores, incumbent)


KNOWN = Known(Counter(LABELS * 50), dict.fromkeys(LABELS, (50, 48.0)), busy_s=0.01, p95_ms=12.0)


@pytest.mark.parametrize(
    ("rows", "passes", "verdict"),
    [
        (asked(274, 8, 8, 3), True, "undecided"),
        (asked(274, 6, 11, 3), True, "failed"),
        (asked(274, 6, 12, 3), False, "failed"),
        (asked(1_000, 30, 30, 10), True, "passed"),
        (asked(1_000, 10, 130, 10), False, "failed"),
    ],
)
def test_the_published_criterion_and_the_gate_differ(rows: Asked, passes: bool, verdict: str) -> None:
    """274 rows are enough for the one, and prove nothing to the other."""
    assert published(rows) is passes
    found = gated(rows, LABELS, KNOWN)
    assert found["verdict"] == verdict and found["reason"] and json.dumps(found)


def test_machines_are_counted_whole() -> None:
    """One at least, however few requests come; the incumbent costs by the token."""
    found = costs.usd_a_day(0.008, 0.05)
    assert found["1,000 a day"] == found["100,000 a day"] == pytest.approx(1.2)
    assert found["10,000,000 a day"] == pytest.approx(2 * 1.2)
    paid = costs.incumbent_usd_a_day()
    assert paid["10,000,000 a day"] == pytest.approx(10_000 * paid["1,000 a day"])


def test_models_by_arithmetic_are_marked_so() -> None:
    """Two FLOP a parameter and token; a short request is bound by the reading of the weights."""
    rows = costs.arithmetic()
    assert [row["candidate"] for row in rows] == ["8B (arithmetic)", "1B (arithmetic)"]
    assert costs.H100.seconds(8e9, 300) == pytest.approx(2 * 8e9 * 300 / (0.4 * 989e12))
    assert costs.H100.seconds(8e9, 1) == pytest.approx(16e9 / 3.35e12)


def row(**fields: Any) -> dict[str, Any]:
    """Of a candidate that holds everywhere."""
    values = {"candidate": "words", "seed": 1, "true_accuracy": 0.95, "true_incumbent": 0.96, "published": True}
    values |= {"gate": {"verdict": "undecided"}, "gate_audits": {"verdict": "passed"}, "parameters": 200_000, "mb": 0.8}
    values |= {"p50_ms": 0.5, "p95_ms": 0.9, "busy_s": 0.0005, "true_n": 3_500, "test_n": 274, "test_accuracy": 0.95}
    return values | fields


def incumbent(**fields: Any) -> dict[str, Any]:
    """Of the incumbent."""
    values = {"candidate": "incumbent", "seed": 1, "true_accuracy": 0.96, "true_n": 3_500, "test_n": 274}
    return values | {"test_accuracy": 0.95, "traffic_accuracy": 0.97, "funnel": dict(tables.FUNNEL)} | fields


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([incumbent(), row()], []),
        ([incumbent(funnel=tables.FUNNEL | {"rows": 600}), row()], ["rows 600 and not 685"]),
        ([incumbent(true_accuracy=0.99), row()], ["99.0%, and not within two points of 96 %"]),
        ([incumbent(), row(), row(candidate="big", mb=90.0, true_accuracy=0.92)], ["let big pass, 4.0 points worse"]),
        ([incumbent(), row(published=False)], ["in every seed by the published criterion"]),
        ([incumbent(), row(gate_audits={"verdict": "failed"})], ["in every seed by the gate at 1,000 audits"]),
        ([incumbent(), row(), row(seed=2, published=False)], ["in every seed by the published criterion"]),
        ([incumbent(), row(p50_ms=400.0)], ["65 times faster, and not 70"]),
        ([incumbent(), row(busy_s=1.0)], ["cheaper at 10,000,000 a day, and not 98%"]),
    ],
)
def test_a_missed_goal_is_said(rows: list[dict[str, Any]], says: list[str]) -> None:
    """Each in a sentence; of the gate on 274 rows nothing is asked."""
    found = tables.missed(rows)
    assert len(found) == len(says) and all(part in one for part, one in zip(says, found, strict=True)), found


def test_the_smallest_that_holds_is_named() -> None:
    """By megabytes, and only where it holds in every seed that was measured."""
    big, tiny = row(candidate="big", mb=90.0), row(candidate="tiny", mb=0.1)
    found = tables.smallest([incumbent(), tiny, big, row(published=False), big | {"seed": 2}, row(seed=2)])
    assert found["the published criterion"] == "big" and found["the gate at 1,000 audits"] == "words"
    assert found["the gate"] == ""


def test_the_tables_have_a_row_for_each_candidate() -> None:
    """The incumbent first; by arithmetic last, and only what a model costs."""
    rows = [incumbent(), row(), incumbent(seed=2), row(seed=2, true_accuracy=0.9)]
    first, second = tables.accuracies(rows)
    assert (first["candidate"], second["candidate"], second["seeds"]) == ("incumbent", "words", 2)
    assert (second["published"], second["gate"], second["truly"]) == ("2/2", "2 undecided", "1/2")
    assert [one["candidate"] for one in tables.prices(rows)][1:] == ["words", "8B (arithmetic)", "1B (arithmetic)"]
    assert [one["seed"] for one in tables.funnels(rows)] == [1, 2]


def test_a_model_of_words_goes_all_the_way(studied: Study) -> None:
    """Tuned by the trainer's method, served by the gateway's code, measured, and judged twice."""
    found = measured("words", studied)
    assert found["trained_on"] == 411 and found["true_accuracy"] > 0.9 and found["published"]
    assert 0 < found["mb"] < 20 and 0 < found["p50_ms"] <= found["p95_ms"] and 0 < found["busy_s"] < 1
    assert found["gate_audits"]["n"] == found["audits_n"] == 1_000
    assert json.loads(json.dumps(found)) == found


def test_what_was_run_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tables come from the file, whose rows these data could not have given; a missed goal ends with 1."""
    monkeypatch.chdir(tmp_path)
    for name in ("clinc150.json", "clinc150_domains.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "var" / "bench").mkdir(parents=True)
    kept = tmp_path / "var" / "bench" / "case_study.json"
    for passes, code in ((True, 0), (False, 1)):
        kept.write_text(json.dumps({"conditions": {}, "rows": [incumbent(), row(published=passes)]}))
        assert case_study.main(["--data", str(tmp_path), "--seed", "1", "--candidate", "words"]) == code
    assert "words" in capsys.readouterr().out
