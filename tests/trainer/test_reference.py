"""The reference version: what margins are measured to, so that they do not add up over cheaper promotions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from trainer_history import START

from headrace.contract.control import Served
from headrace.contract.ids import uuid7
from trainer.curate.rows import Row
from trainer.gate.evidence import Verdict
from trainer.process.reference import is_better, reference_on

INCUMBENT = Served(version="router@0")
CHEAPER = Served(version="router@1", artifact="/nowhere/1", digest="d", reference=INCUMBENT)
ROW = Row(
    "test", "t", uuid7(START), uuid7(START), START, "my payslip", "digest", "hr", "audit", 4, "it", "router@0",
    1.0, "cluster",
)  # fmt: skip
BETTER = Verdict("passed", "better", {"p_value": 0.001, "alpha": 0.005})
AS_GOOD = Verdict("passed", "non-inferior and cheaper", {"p_value": 0.4, "alpha": 0.005})


def test_a_version_that_was_promoted_as_better_is_its_own_reference() -> None:
    """So is the plan's incumbent, and a version of before the field; a cheaper one keeps that of the one before it."""
    assert INCUMBENT.own_reference is INCUMBENT
    assert CHEAPER.own_reference == INCUMBENT
    again = Served.model_validate_json(Served(version="router@2", reference=CHEAPER.own_reference).model_dump_json())
    assert again.own_reference == INCUMBENT
    assert is_better(BETTER) and not is_better(AS_GOOD)


def test_the_live_version_is_asked_once() -> None:
    """Where it is the reference itself there is nothing to score, and nothing is vetoed."""
    found = reference_on([ROW], INCUMBENT)
    assert (found.answers, found.unknown) == (None, "") and found.held_to(AS_GOOD) is AS_GOOD


def test_an_incumbent_that_answered_the_rows_is_scored_by_what_it_said() -> None:
    """Its recorded answers are its answers."""
    found = reference_on([ROW], CHEAPER)
    assert (found.version, found.answers, found.unknown) == ("router@0", ["it"], "")


@pytest.mark.parametrize("artifact", ["", "gone"])
def test_a_reference_that_cannot_be_scored_lets_only_a_better_one_serve(artifact: str, tmp_path: Path) -> None:
    """It is said why, and a pass that rests on the margin alone is a veto."""
    reference = INCUMBENT.model_copy(update={"artifact": str(tmp_path / artifact) if artifact else ""})
    live = CHEAPER.model_copy(update={"reference": reference})
    found = reference_on([replace(ROW, version="router@1")], live)
    assert found.answers is None and "router@0" in found.unknown
    assert found.held_to(BETTER) is BETTER
    held = found.held_to(AS_GOOD)
    assert held.gate == "vetoed" and found.unknown in held.reason and "although non-inferior" in held.reason
    failed = Verdict("failed", "worse", AS_GOOD.figures)
    assert found.held_to(failed) is failed
