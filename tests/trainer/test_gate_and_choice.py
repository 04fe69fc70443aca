"""Which candidate meets the test rows, and whether it may serve."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.plan import Gate
from trainer.evaluate.choice import Contender, choose
from trainer.evaluate.measure import Price
from trainer.gate.decision import Answers, Evidence, Verdict, decide

CHEAP, DEAR = Price(0.001, 12.0), Price(2.0, 900.0)


def answers(both: int, gained: int, lost: int, neither: int = 0, label: str = "hr") -> Answers:
    """Rows of one label on which the candidate and the live version are right or wrong as counted."""
    truth = [label] * (both + gained + lost + neither)
    candidate = [label] * (both + gained) + ["wrong"] * (lost + neither)
    live = [label] * both + ["wrong"] * gained + [label] * lost + ["wrong"] * neither
    return Answers(truth, candidate, live)


def joined(*parts: Answers) -> Answers:
    """Rows of several labels."""
    return Answers(
        [row for part in parts for row in part.truth],
        [row for part in parts for row in part.candidate],
        [row for part in parts for row in part.live],
    )


def verdict(test: Answers, gate: dict[str, Any] | None = None, **fields: Any) -> Verdict:
    """The gate on some test rows; a calibrated, cheaper candidate that forgot nothing unless told otherwise."""
    right = sum(truth == mine for truth, mine in zip(test.truth, test.candidate, strict=True)) / max(len(test.truth), 1)
    defaults = {
        "confidence": [right] * len(test.truth),
        "forget": answers(0, 0, 0),
        "candidate": CHEAP,
        "live": DEAR,
        "names": {"hr": "hr", "finance": "finance"},
        "out_of_scope": "out_of_scope",
    }
    return decide(Evidence(test=test, **{**defaults, **fields}), Gate(**{"margin": 0.05, **(gate or {})}))


@pytest.mark.parametrize(
    ("test", "fields", "gate", "expected", "says"),
    [
        (answers(800, 150, 20, 30), {"candidate": DEAR}, {}, "passed", "better than the live version: 150 gained"),
        (answers(940, 20, 22, 18), {}, {}, "passed", "non-inferior and cheaper"),
        (answers(940, 20, 22, 18), {"candidate": DEAR}, {}, "failed", "neither better"),
        (answers(940, 20, 22, 18), {"candidate": Price(1.7, 760.0)}, {}, "failed", "15.0% lower"),
        (answers(940, 20, 22, 18), {"candidate": Price(3.0, 600.0)}, {}, "passed", "p95 33.3% lower"),
        (answers(940, 20, 22, 18), {"live": Price(0, 0)}, {}, "failed", "cost is not known"),
        (answers(880, 10, 90, 20), {}, {}, "failed", "not proven non-inferior: 10 gained and 90 lost on 1000 rows"),
        (answers(253, 8, 9, 4), {}, {"margin": 0.03}, "failed", "to decide a margin of 3 points takes about"),
        (answers(940, 20, 22, 18), {}, {"reference_accuracy": 0.99}, "passed", ""),
        (answers(920, 20, 22, 38), {}, {"reference_accuracy": 0.995}, "failed", "not proven as good as the plan's"),
        (answers(800, 150, 20, 30), {}, {"reference_accuracy": 0.999}, "passed", "better than the live version"),
        (answers(800, 150, 20, 30), {"confidence": [0.6] * 1000}, {}, "vetoed", "confidence is off by 0.350"),
        (answers(800, 150, 20, 30), {"forget": answers(300, 2, 60)}, {}, "vetoed", "it forgot"),
        (answers(800, 150, 20, 30), {"forget": answers(300, 2, 10)}, {}, "passed", ""),
        (answers(0, 0, 0), {}, {}, "failed", "not proven"),
    ],
)  # fmt: skip
def test_gate(test: Answers, fields: dict[str, Any], gate: dict[str, Any], expected: str, says: str) -> None:
    """Better passes; as good passes where it is cheaper; and each refusal says with which numbers."""
    found = verdict(test, gate, **fields)
    assert (found.gate, says in found.reason) == (expected, True), found.reason
    assert found.figures["n"] == len(test.truth)


def test_one_label_that_breaks_is_a_veto() -> None:
    """A candidate that is better over all may not lose one expert's questions."""
    test = joined(answers(500, 200, 10, 10), answers(30, 0, 20, 2, "finance"))
    found = verdict(test)
    assert found.gate == "vetoed" and "recall of finance falls by 38.5 points" in found.reason
    assert "although better" in found.reason
    assert verdict(test, {"per_label_drop": 0.5}).gate == "passed"


def test_a_drop_within_chance_is_no_veto() -> None:
    """Two lost rows of ten are more than ten points and prove nothing."""
    assert verdict(joined(answers(600, 150, 10, 10), answers(8, 0, 2, 0, "finance"))).gate == "passed"


@pytest.mark.parametrize(
    ("label", "out_of_scope", "says"),
    [
        ("something_else", "something_else", "out-of-scope recall falls by 38.5 points"),
        ("something_else", "", "recall of Something else falls by 38.5 points"),
        ("out_of_scope", "something_else", "recall of out_of_scope falls by 38.5 points"),
        ("out_of_scope", "out_of_scope", "out-of-scope recall falls by 38.5 points"),
    ],
)
def test_out_of_scope_is_named_in_its_veto(label: str, out_of_scope: str, says: str) -> None:
    """A candidate that answers what nobody should answer is vetoed in those words, whatever that label is called."""
    test = joined(answers(500, 200, 10, 10), answers(30, 0, 20, 2, label))
    found = verdict(test, names={"something_else": "Something else"}, out_of_scope=out_of_scope)
    assert found.gate == "vetoed" and found.reason.startswith(says)


def test_trying_again_costs_proof() -> None:
    """The same evidence passes at the first look and not at the tenth."""
    test = answers(900, 40, 18, 42)
    assert verdict(test, {"alpha": 0.01}, candidate=DEAR).gate == "passed"
    assert verdict(test, {"alpha": 0.01}, candidate=DEAR, look=10).gate == "failed"


def test_a_failed_one_says_when_to_look_again() -> None:
    """The rows at which the next look would probably pass the same difference; four times the rows where none would."""
    nearly = verdict(answers(880, 54, 30, 36), {"margin": 0.02}, candidate=DEAR)
    assert nearly.gate == "failed" and 1000 < nearly.figures["rows_to_decide"] < 4000
    assert verdict(answers(880, 10, 90, 20)).figures["rows_to_decide"] == 4000
    later = verdict(answers(880, 54, 30, 36), {"margin": 0.02}, candidate=DEAR, look=3)
    assert later.figures["rows_to_decide"] > nearly.figures["rows_to_decide"]


def test_274_rows_do_not_decide_five_points() -> None:
    """The case study's 274 rows with as many errors on both sides fail, and the sentence says how many it takes."""
    found = verdict(answers(246, 13, 14, 1))
    assert found.gate == "failed" and found.figures["n"] == 274
    assert "to decide a margin of 5 points takes about" in found.reason


def contender(name: str, right: int, p50_ms: float = 10.0, cost: float = 0.001, of: int = 200) -> Contender:
    """Right on its first rows."""
    return Contender(name, tuple(n < right for n in range(of)), p50_ms, cost)


def test_the_most_accurate_is_chosen() -> None:
    """With equal costs accuracy decides, and only the winner stands on the front."""
    choice = choose([contender("untuned", 90), contender("probe", 170), contender("lora", 180, 10.9)])
    assert (choice.name, choice.front) == ("lora", ("lora",))


def test_a_tie_goes_to_the_cheaper_one() -> None:
    """Within one standard error of the best, a clearly cheaper candidate is chosen; a clearly worse one never."""
    big = contender("big", 180)
    small = Contender("small", tuple(n >= 21 for n in range(200)), 5.0, 0.0005)
    choice = choose([small, big])
    assert choice.name == "small" and set(choice.front) == {"small", "big"} and "cheaper" in choice.reason
    assert choose([contender("small", 150, 5.0, 0.0005), big]).name == "big"


def test_noise_in_latency_decides_nothing() -> None:
    """Ten per cent faster is the machine's mood; the more accurate one is chosen."""
    assert choose([contender("probe", 179, 9.1, 0.00091), contender("lora", 180)]).name == "lora"


def test_equal_in_all_the_one_tried_first_wins() -> None:
    """Cheapest to tune comes first and stays."""
    assert choose([contender("probe", 180), contender("lora", 180)]).name == "probe"
