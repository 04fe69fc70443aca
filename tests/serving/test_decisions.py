"""A choice among some labels of a task, with how probable each is, or none of these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stage import LABELS, Upstream, gateway, plan_text

from headrace.contract.control import Served
from headrace.contract.events import Inference, new_inference
from serving.http.decisions import decision

Model = Callable[[int, str], Served]


async def test_a_trained_version_says_how_probable_each_option_is(model: Model, tmp_path: Path) -> None:
    """Options and the rest add up to 1; without options it is every label but the one for out of scope."""
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(1, model(1, "hr"))
        whole = (await stage.client.post("/v1/decisions", json={"text": "pay day?"})).json()
        assert (whole["decision"], whole["none_of_these"], whole["version"]) == ("hr", False, "router@1")
        assert list(whole["probabilities"]) == [label for label in LABELS if label != "out_of_scope"]
        assert sum(whole["probabilities"].values()) + whole["none_probability"] == pytest.approx(1)
        few = (await stage.client.post("/v1/decisions", json={"text": "pay day?", "options": ["IT", "finance"]})).json()
        assert few["decision"] is None and few["none_of_these"] and few["none_probability"] > 0.5
        assert few["probabilities"] == {label: whole["probabilities"][label] for label in ("it", "finance")}
        assert [event.label for event in stage.recorded.inferences] == ["hr", "hr"]


async def test_an_incumbent_decides_without_probabilities(upstream: Upstream, tmp_path: Path) -> None:
    """It names an option or none of them; what it names no label in is none of them."""
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        for said, options, expected in (("it", None, "it"), ("it", ["hr"], None), ("Well", None, None)):
            upstream.label = said
            asked = {"text": "VPN", "task": "router"} | ({"options": options} if options else {})
            found = (await stage.client.post("/v1/decisions", json=asked)).json()
            assert (found["decision"], found["none_of_these"]) == (expected, expected is None)
            assert found["probabilities"] == {} and found["none_probability"] is None
        for wrong, says in ((["it", "IT"], "named twice"), (["legal"], "no label of the task"), ([], "at least 1")):
            refused = await stage.client.post("/v1/decisions", json={"text": "VPN", "options": wrong})
            assert refused.status_code == 400 and says in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [({"a": 0.4, "b": 0.35, "c": 0.25}, "a"), ({"a": 0.2, "b": 0.2, "c": 0.6}, None), ({"a": 0.5, "c": 0.5}, "a")],
)
def test_none_of_these_is_chosen_where_it_is_the_likeliest(scores: dict[str, float], expected: str | None) -> None:
    """Options that share the mass are not beaten by a label that is none of them and less likely than the best."""
    answer: Inference = new_inference("t", "t@1", label=max(scores, key=scores.__getitem__), scores=scores)
    assert decision(answer, ("a", "b")).decision == expected
