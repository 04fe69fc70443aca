"""The reference version: what margins are measured to, so that they do not add up over cheaper promotions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai_double import fake_model
from trainer_history import START, TASK, plan

from headrace.contract.choice import Choice
from headrace.contract.control import Served
from headrace.contract.ids import uuid7
from headrace.judging.endpoint import Unanswered
from headrace.plan import Task
from trainer.curate.rows import Row
from trainer.evaluate import upstream
from trainer.gate.evidence import Verdict
from trainer.process.reference import is_better, reference_on, replaces

INCUMBENT = Served(version="router@0")
CHEAPER = Served(version="router@1", artifact="/nowhere/1", digest="d", reference=INCUMBENT)
ROW = Row(
    "test", "t", uuid7(START), uuid7(START), START, "my payslip", "digest", "hr", "audit", 4, "it", "router@0",
    1.0, "cluster",
)  # fmt: skip
NOWHERE = "http://127.0.0.1:9/v1"


def task(url: str = NOWHERE, **incumbent: Any) -> Task:
    """The histories' task, with another incumbent."""
    found = plan(("hr", "it", "out_of_scope")).tasks[TASK]
    return found.model_copy(
        update={"incumbent": found.incumbent.model_copy(update={"url": url, "model": "big", **incumbent})}
    )


BETTER = Verdict("passed", "better", {"p_value": 0.001, "alpha": 0.005})
AS_GOOD = Verdict("passed", "non-inferior and cheaper", {"p_value": 0.4, "alpha": 0.005})


def test_a_version_that_was_promoted_as_better_is_its_own_reference() -> None:
    """So is the plan's incumbent, and a version of before the field; a cheaper one keeps that of the one before it."""
    assert INCUMBENT.own_reference is INCUMBENT
    assert CHEAPER.own_reference == INCUMBENT
    again = Served.model_validate_json(Served(version="router@2", reference=CHEAPER.own_reference).model_dump_json())
    assert again.own_reference == INCUMBENT
    assert is_better(BETTER) and not is_better(AS_GOOD)


@pytest.mark.parametrize(("difference", "replaced"), [(None, True), (0.004, True), (0.0, True), (-0.01, False)])
def test_a_better_one_that_is_below_the_reference_does_not_replace_it(difference: float | None, replaced: bool) -> None:
    """Otherwise cheaper and better versions in turn would lose more than the margin."""
    scored = {} if difference is None else {"reference": {"difference": difference}}
    assert replaces(replace(BETTER, figures=BETTER.figures | scored)) is replaced
    assert not replaces(replace(AS_GOOD, figures=AS_GOOD.figures | scored))


def test_the_live_version_is_asked_once() -> None:
    """Where it is the reference itself there is nothing to score, and nothing is vetoed."""
    found = reference_on([ROW], INCUMBENT, task())
    assert (found.answers, found.unknown) == (None, "") and found.held_to(AS_GOOD) is AS_GOOD


def test_an_incumbent_that_answered_the_rows_is_scored_by_what_it_said() -> None:
    """Its recorded answers are its answers."""
    found = reference_on([ROW], CHEAPER, task())
    assert (found.version, found.answers, found.unknown) == ("router@0", ["it"], "")


def test_the_plans_incumbent_is_asked_what_it_did_not_answer() -> None:
    """As the gateway asks it; what it said itself stays, and an answer that names no label is no expert's question."""
    heard: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> str:
        heard.append(body)
        return {"pay day?": "Hr.", "vpn": "IT"}.get(body["messages"][-1]["content"], "Let me think about it")

    asked = [replace(ROW, version="router@1", text=text) for text in ("pay day?", "vpn", "a poem")]
    with fake_model(answer) as url:
        found = reference_on([asked[0], ROW, *asked[1:]], CHEAPER, task(url))
    assert (found.answers, found.unknown) == (["hr", "it", "it", ""], "")
    assert {body["model"] for body in heard} == {"big"} and len(heard) == 3
    choice = Choice(task().names, task().describe)
    assert heard[0]["messages"][0] == {"role": "system", "content": choice.instruction}
    assert heard[0]["temperature"] == 0 and heard[0]["max_tokens"] == choice.max_tokens


def test_an_incumbent_that_does_not_answer_lets_only_a_better_one_serve() -> None:
    """Also one that is away for too long, and one whose name the plan gave to another model."""
    row = replace(ROW, version="router@1")
    with fake_model() as url:
        refused = reference_on([row], CHEAPER, task(url, model="broken"))
        renamed = reference_on([row], CHEAPER, task(url, version="router@00"))
    assert refused.answers is None and "cannot be asked" in refused.unknown and "400" in refused.unknown
    assert "it is not the plan's incumbent, router@00" in renamed.unknown
    assert refused.held_to(AS_GOOD).gate == "vetoed"
    with pytest.raises(Unanswered, match=r"did not answer 1 questions within 0 s"):
        upstream.asked(task().incumbent, task(), ["away"], within_s=0.2)
    away = reference_on([row], CHEAPER, task(), within_s=0.2)
    assert "did not answer 1 questions within 0 s" in away.unknown


def test_a_reference_whose_artifact_is_gone_lets_only_a_better_one_serve(tmp_path: Path) -> None:
    """It is said why, and a pass that rests on the margin alone is a veto."""
    reference = INCUMBENT.model_copy(update={"artifact": str(tmp_path / "gone")})
    live = CHEAPER.model_copy(update={"reference": reference})
    found = reference_on([replace(ROW, version="router@1")], live, task())
    assert found.answers is None and "router@0" in found.unknown
    assert found.held_to(BETTER) is BETTER
    held = found.held_to(AS_GOOD)
    assert held.gate == "vetoed" and found.unknown in held.reason and "although non-inferior" in held.reason
    failed = Verdict("failed", "worse", AS_GOOD.figures)
    assert found.held_to(failed) is failed
