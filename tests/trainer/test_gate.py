"""Whether the chosen candidate may serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from headrace.plan import Gate
from trainer.evaluate.measure import Price
from trainer.gate.decision import decide
from trainer.gate.evidence import Evidence, Verdict
from trainer.gate.outcomes import Outcomes
from trainer.gate.proof import proof

CHEAP, DEAR = Price(0.001, 12.0), Price(2.0, 900.0)
NAMES = {"hr": "HR", "finance": "Finance"}
KNOWN = dict.fromkeys(NAMES, (5, 5.0))


def answers(both: int, gained: int, lost: int, neither: int = 0, label: str = "hr", rows: int = 1) -> Outcomes:
    """Independent texts of one label on which the candidate and the live version are right or wrong as counted, mixed.

    rows: each of them, with its own text, so often in one session
    """
    n = (both + gained + lost + neither) * rows
    kinds = np.repeat([0, 1, 2, 3], np.array([both, gained, lost, neither]) * rows)
    mixed = np.random.default_rng(5).permutation(n // rows if n else 0)
    kinds = kinds.reshape(-1, rows)[mixed].ravel() if n else kinds
    return Outcomes(
        labels=(label,),
        label=np.zeros(n, dtype=np.intp),
        candidate=(kinds < 2).astype(float),
        live=((kinds == 0) | (kinds == 2)).astype(float),
        reference=None,
        weight=np.ones(n),
        cluster=np.repeat(np.arange(n // rows), rows),
    )


def joined(*parts: Outcomes) -> Outcomes:
    """Texts of several labels."""
    return Outcomes(
        labels=tuple(part.labels[0] for part in parts),
        label=np.concatenate([np.full(part.n, place) for place, part in enumerate(parts)]),
        candidate=np.concatenate([part.candidate for part in parts]),
        live=np.concatenate([part.live for part in parts]),
        reference=None,
        weight=np.ones(sum(part.n for part in parts)),
        cluster=np.arange(sum(part.n for part in parts)),
    )


def with_reference(test: Outcomes, gained: int, lost: int) -> Outcomes:
    """The reference version is wrong in so many texts that the candidate has right, and the other way round."""
    reference = test.candidate.copy()
    reference[np.flatnonzero(reference == 1)[:gained]] = 0.0
    reference[np.flatnonzero(test.candidate == 0)[:lost]] = 1.0
    return Outcomes(test.labels, test.label, test.candidate, test.live, reference, test.weight, test.cluster)


def verdict(test: Outcomes, gate: dict[str, Any] | None = None, **fields: Any) -> Verdict:
    """The gate on some test texts; a calibrated, cheaper candidate that forgot nothing unless told otherwise."""
    defaults = {
        "confidence": np.full(test.n, test.candidate.mean() if test.n else 0.0),
        "forget": answers(0, 0, 0),
        "candidate": CHEAP,
        "live": DEAR,
        "names": NAMES,
        "out_of_scope": "out_of_scope",
        "trained": dict.fromkeys(NAMES, 50),
        "shown": KNOWN,
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
        (answers(800, 150, 20, 30), {"live": Price(0, 0)}, {}, "passed", "the live version's cost is not known"),
        (answers(880, 10, 90, 20), {}, {}, "failed", "nor within the margin of 5 points of the live version"),
        (answers(253, 8, 9, 4), {}, {"margin": 0.03}, "undecided", "more test rows would probably decide"),
        (answers(78, 16, 2, 4), {"candidate": DEAR}, {}, "passed", "better than the live version: 16 gained"),
        (answers(800, 150, 20, 30), {"confidence": np.full(1000, 0.6)}, {}, "vetoed", "confidence is off by 0.350"),
        (answers(800, 150, 20, 30), {"forget": answers(300, 2, 60)}, {}, "vetoed", "it forgot"),
        (answers(800, 150, 20, 30), {"forget": answers(300, 2, 10)}, {}, "passed", ""),
        (answers(0, 0, 0), {}, {}, "undecided", "not proven"),
    ],
)  # fmt: skip
def test_gate(test: Outcomes, fields: dict[str, Any], gate: dict[str, Any], expected: str, says: str) -> None:
    """Better passes; as good passes where it is cheaper; and each refusal says with which numbers."""
    found = verdict(test, gate, **fields)
    assert (found.gate, says in found.reason) == (expected, True), found.reason
    assert found.figures["n"] == test.n


@pytest.mark.parametrize(
    ("price", "ratio", "expected", "says"),
    [
        (Price(4.0, 900.0), {}, "passed", ""),
        (Price(7.0, 900.0), {}, "vetoed", "it costs 3.5 times the live version's, more than 3"),
        (Price(2.0, 9000.0), {}, "vetoed", "its p95 is 10.0 times the live version's, more than 3"),
        (Price(7.0, 9000.0), {"max_cost_ratio": 20}, "passed", ""),
        (Price(1000.0, 600.0), {}, "vetoed", "it costs 500.0 times the live version's"),
    ],
)
def test_better_has_a_price_that_it_may_not_exceed(
    price: Price, ratio: dict[str, Any], expected: str, says: str
) -> None:
    """A better candidate that costs fifty times as much does not serve, nor one that is faster for that money."""
    found = verdict(answers(800, 150, 20, 30), ratio, candidate=price)
    assert found.gate == expected and found.reason.startswith(says)


def test_p95_is_compared_on_the_same_path_alone() -> None:
    """Production's latency has network and queues in it: against it one process saves nothing that could be shown."""
    as_good, idle = answers(940, 20, 22, 18), Price(2.0, 12.0)
    found = verdict(as_good, candidate=idle, live=Price(2.0, 900.0, "gateway"))
    assert found.gate == "failed" and "p95 is not compared" in found.reason and "p95" not in found.figures["saving"]
    assert verdict(as_good, candidate=idle, live=Price(2.0, 900.0)).gate == "passed"
    slow = verdict(answers(800, 150, 20, 30), candidate=Price(2.0, 9000.0), live=Price(2.0, 900.0, "gateway"))
    assert slow.gate == "vetoed" and "its p95 is 10.0 times" in slow.reason


def test_a_busy_machine_is_no_veto() -> None:
    """A few milliseconds that became some more are not noticed by anyone."""
    fast = {"live": Price(1.0, 30.0), "candidate": Price(1.0, 250.0)}
    assert verdict(answers(800, 150, 20, 30), **fast).gate == "passed"


def test_a_cost_that_is_not_known_is_said() -> None:
    """Also where the time is, and where the candidate's own cost is known: no ceiling holds then."""
    found = verdict(answers(800, 150, 20, 30), live=Price(0.0, 100.0), candidate=Price(5000.0, 100.0))
    assert found.gate == "passed" and found.reason.endswith("the live version's cost is not known")


def test_what_was_known_before_does_not_make_up_for_a_label_that_is_lost_now() -> None:
    """Of four test rows none is right, and ten older ones are."""
    test = joined(answers(500, 200, 10, 10), answers(0, 0, 4, label="finance"))
    found = verdict(test, forget=joined(answers(10, 0, 0, label="finance")))
    assert found.gate == "vetoed" and "Finance is lost: 0 right where the live version has 4 of 4" in found.reason


def test_margins_do_not_add_up_against_the_reference() -> None:
    """What is within the margin of the live version has to be within it of the reference version, too."""
    test = answers(930, 20, 22, 28)
    assert verdict(with_reference(test, 20, 18)).gate == "passed"
    found = verdict(with_reference(test, 0, 50))
    assert found.gate == "failed" and "not proven within the margin of 5 points of the reference" in found.reason
    assert found.figures["reference"]["difference"] == pytest.approx(-0.05)
    assert verdict(with_reference(answers(800, 150, 20, 30), 0, 50)).reason.startswith("better than the live version")


def test_a_session_is_evidence_once() -> None:
    """Three texts a session that always agree prove as little as one of them, and not what three times the texts do."""
    alone, sessions, many = answers(88, 20, 8, 4), answers(88, 20, 8, 4, rows=3), answers(264, 60, 24, 12)
    assert many.n == sessions.n and not sessions.independent
    one, three, other = (proof(test, test.live, 0.0, 10_000).capital for test in (alone, sessions, many))
    assert three < one + 1 and other > 2 * three > 0


def test_a_label_that_vanishes_is_a_veto() -> None:
    """Four of four lost are a label lost, although chance would explain a drop as large one time in sixteen."""
    test = joined(answers(500, 200, 10, 10), answers(0, 0, 4, 0, "finance"))
    found = verdict(test)
    assert found.gate == "vetoed" and "the label Finance is lost: 0 right where the live version has 4" in found.reason
    assert verdict(test, {"approved_labels": ("Finance",)}).gate == "passed"
    assert verdict(test, {"approved_labels": ("finance",)}).gate == "passed"


@pytest.mark.parametrize(
    ("finance", "shown", "expected", "says"),
    [
        ((0, 0, 1), {}, "vetoed", "is lost: none right of 1"),
        ((0, 0, 1), (5, 4.0), "passed", ""),
        ((0, 0, 1), (5, 2.0), "vetoed", "is lost: 0 right where the live version has 1 of 1"),
        ((0, 0, 2), (2, 2.0), "vetoed", "is lost: 0 right where the live version has 2 of 2"),
        ((1, 0, 2), {}, "vetoed", "is lost: 1 right where the live version has 3 of 3"),
        ((2, 0, 2), {}, "vetoed", "is lost: 2 right where the live version has 4 of 4"),
        ((1, 0, 1), (3, 3.0), "passed", ""),
        ((3, 0, 2), {}, "passed", ""),
        ((1, 1, 0, 18), {}, "vetoed", "the label Finance has no training row, and 2 of 20 are right"),
        ((0, 0, 0), (3, 3.0), "passed", ""),
        ((0, 0, 0), (3, 1.0), "vetoed", "is lost: 1 right of 3 validation rows and examples"),
        ((0, 0, 0), {}, "vetoed", "nothing shows whether it knows the label Finance"),
        ((0, 0, 0, 6), {}, "vetoed", "is lost: none right of 6, 0 training rows"),
    ],
)
def test_each_label_has_to_be_known(finance: tuple[int, ...], shown: Any, expected: str, says: str) -> None:
    """Few rows are joined by validation rows and the plan's examples; without any of them a person has to look."""
    test = joined(answers(500, 200, 10, 10), answers(*finance, label="finance"))
    known = {"hr": (5, 5.0)} | ({"finance": shown} if shown else {})
    found = verdict(test, shown=known, trained={"hr": 50})
    assert found.gate == expected and says in found.reason, found.reason
    older = answers(3, 0, 0, label="finance")
    if not any(finance) and not shown:
        assert "`examples`" in found.reason and "gate.approved_labels" in found.reason
        assert verdict(test, shown=known, forget=older).gate == "passed"


def test_one_label_that_breaks_is_a_veto() -> None:
    """A candidate that is better over all may not lose one expert's questions."""
    test = joined(answers(500, 200, 10, 10), answers(30, 0, 20, 2, "finance"))
    found = verdict(test)
    assert found.gate == "vetoed" and "recall of Finance falls by 38.5 points" in found.reason
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
    found = verdict(test, names={"something_else": "Something else"}, out_of_scope=out_of_scope,
                    shown={"something_else": (5, 5.0)})  # fmt: skip
    assert found.gate == "vetoed" and found.reason.startswith(says)


def test_another_candidate_costs_proof() -> None:
    """The same evidence passes of the first candidate and not of the tenth."""
    test = answers(900, 55, 20, 25)
    assert verdict(test, candidate=DEAR).gate == "passed"
    assert verdict(test, candidate=DEAR, number=10).gate in ("failed", "undecided")


def cut(test: Outcomes, n: int) -> Outcomes:
    """The first n texts."""
    arrays: Sequence[Any] = (test.label, test.candidate, test.live)
    return Outcomes(test.labels, *(one[:n] for one in arrays), None, test.weight[:n], test.cluster[:n])


def test_looking_again_at_one_candidate_takes_nothing_back() -> None:
    """What was proven after some rows is proven after more: looks cost nothing, and end as soon as they can."""
    test = answers(1020, 90, 30, 60)
    levels = [verdict(cut(test, n), candidate=DEAR).figures["p_value"] for n in range(100, 1201, 100)]
    assert levels == sorted(levels, reverse=True) and levels[-1] < levels[0]


def test_an_undecided_one_says_when_to_look_again() -> None:
    """The rows at which the same difference would probably be proven, more than there are and not without bound."""
    found = verdict(answers(180, 12, 4, 4), candidate=DEAR)
    assert found.gate == "undecided" and 200 < found.figures["rows_to_decide"] <= 1000
    assert f"{found.figures['rows_to_decide'] - 200} more test rows" in found.reason
    hopeless = verdict(answers(900, 30, 40, 30), candidate=DEAR)
    assert hopeless.gate == "failed" and hopeless.figures["rows_to_decide"] == 4000
    later = verdict(answers(880, 60, 40, 20), candidate=DEAR, number=2)
    assert later.gate == "undecided" and 1000 < later.figures["rows_to_decide"] <= 4000
