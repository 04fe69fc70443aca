"""A language model compares texts in both orders and grades them: what becomes a win, a tie, a score, or no row."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from openai_double import fake_model
from test_judgement import row

from headrace.judging.endpoint import Endpoint, _parsed, _said
from headrace.plan import Judge, Upstream
from trainer.evaluate.text_judge import Answered, compare, grade
from trainer.gate.outcomes import outcomes

ROWS = [Answered(f"question {n}", f"good {n}", f"bad {n}") for n in range(4)]


def data(asked: dict[str, Any]) -> dict[str, str]:
    """What the judge is shown."""
    assert asked["messages"][0]["role"] == "system" and "never\nfollow" in asked["messages"][0]["content"]
    return json.loads(asked["messages"][1]["content"])


def asked(answer: Callable[[dict[str, str]], str], act: Callable[[Judge], Any]) -> Any:
    """What `act` gets from a judge that answers so."""
    with fake_model(lambda body: answer(data(body))) as url:
        return act(Judge(url=url, model="judge", version="judge@3", concurrency=4, timeout_s=5))


def prefers(choose: Callable[[str, str], str]) -> Callable[[dict[str, str]], str]:
    """A judge that sees the two answers in their order."""
    return lambda shown: json.dumps({"better": choose(shown["first"], shown["second"])})


def compared(choose: Callable[[str, str], str], rows: list[Answered] = ROWS) -> Any:
    """The verdicts of such a judge."""
    return asked(prefers(choose), lambda judge: compare(judge, rows, "Is it right?", 20))


def test_a_win_needs_both_orders() -> None:
    """The same answer preferred in both orders wins or loses; a judge that prefers a place decides nothing."""
    assert compared(lambda first, second: "first" if first.startswith("good") else "second").scores == (1.0,) * 4
    assert compared(lambda first, second: "second" if first.startswith("good") else "first").scores == (0.0,) * 4
    swayed = compared(lambda first, second: "first")
    assert swayed.scores == (0.5,) * 4 and swayed.swayed == 4
    half = compared(lambda first, second: "first" if first.startswith("good") else "tie")
    assert half.scores == (0.5,) * 4 and half.swayed == 0


def test_equal_answers_are_a_tie_that_nobody_is_asked_about() -> None:
    """The same text is as good as itself."""

    def never(first: str, second: str) -> str:
        raise AssertionError

    assert compared(never, [Answered("question", "same", "same")]).scores == (0.5,)
    assert compared(never, []).scores == ()


def test_an_answer_that_is_no_verdict_costs_its_row_alone() -> None:
    """Garbage, an unknown choice and a missing key leave the row out; the finding says how many."""
    garbage = {"question 0": "certainly!", "question 1": '{"better": "both"}', "question 2": "[]"}
    judging = prefers(lambda first, second: "first" if first.startswith("good") else "second")
    found = asked(
        lambda shown: garbage.get(shown["question"]) or judging(shown),
        lambda judge: (compare(judge, ROWS, "", 20), judge),
    )
    assert found[0].scores == (None, None, None, 1.0)
    finding = found[0].finding(found[1])
    assert "judge@3" in finding.method and "3 rows without an answer" in finding.method
    assert finding.figures["wins"].value == 1 and finding.figures["wins"].n == 1


def test_a_judge_that_is_away_costs_time_and_no_run() -> None:
    """Rows without an answer in time are None."""
    judge = Judge(url="http://127.0.0.1:9/v1", model="judge")
    assert compare(judge, ROWS, "", 0.3).scores == (None,) * 4


def test_grades_are_scores_from_0_to_1() -> None:
    """One to five become nothing to all; what is no grade is no row."""
    grades = {"question 0": 1, "question 1": 5, "question 2": 4, "question 3": 6}

    def judging(shown: dict[str, str]) -> str:
        return json.dumps({"grade": grades[shown["question"]]})

    found = asked(judging, lambda judge: grade(judge, ROWS, "Is it right?", 20))
    assert found == [0.0, 1.0, 0.75, None]


def test_scores_are_outcomes_of_the_gate() -> None:
    """What the judge says of texts is compared by the same statistics as labels."""
    rows = [row(number, "test", f"question {number}", "hr") for number in range(4)]
    scores = compared(lambda first, second: "first" if first.startswith("good") else "second").scores
    found = outcomes(rows, ["hr"], scores, [1 - score for score in scores])
    assert not np.any(found.live) and found.pairs().gained == 4


def test_an_answer_that_is_nested_too_deep_costs_its_row_alone() -> None:
    """It is no verdict, and ends neither the judge's other rows nor the run; so is a body of that kind."""
    judging = prefers(lambda first, second: "first" if first.startswith("good") else "second")
    deep = {"question 0": "[" * 60_000}
    found = asked(
        lambda shown: deep.get(shown["question"]) or judging(shown), lambda judge: compare(judge, ROWS, "", 20)
    )
    assert found.scores == (None, 1.0, 1.0, 1.0)
    assert _said(_parsed(httpx.Response(200, content=b'{"choices": ' + b"[" * 60_000))) == ("", "", 0, 0)


async def test_a_body_that_is_nested_too_deep_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks gets an empty answer, and no error of the interpreter."""

    async def posted(*_: object) -> httpx.Response:
        return httpx.Response(200, content=b'{"choices": ' + b"[" * 60_000)

    monkeypatch.setattr(Endpoint, "_posted", posted)
    endpoint = Endpoint(Upstream(url="http://127.0.0.1:9/v1", model="judge"), 1)
    assert await endpoint.ask({"model": "judge", "messages": []}) == ""
    await endpoint.close()
