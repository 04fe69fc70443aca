"""Labels of any text on their way through the gateway: models and people read the text, events bear the id."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from stage import LABELS, Upstream, gateway, plan_text

from headrace.contract.choice import Choice, label_in
from headrace.plan import parse

TEXTS = ("Human Resources", "IT", "人事", "Something else")


def texts_at(url: str, more: str = "") -> str:
    """The stage's plan with labels of a company."""
    text = plan_text(url).replace(json.dumps(LABELS), json.dumps(TEXTS, ensure_ascii=False) + more)
    return text.replace('hr = "people and pay"', '"human resources" = "people and pay"')


@pytest.mark.parametrize("named", ["Something else", "something_else", ""])
async def test_what_is_no_label_is_none_and_never_out_of_scope(upstream: Upstream, named: str, tmp_path: Path) -> None:
    """An answer that names no label has none, whatever the plan calls out of scope: nobody is sent away for it."""
    text = texts_at(upstream.url, f"\nout_of_scope = {json.dumps(named)}")
    upstream.label = "Legal, I think"
    async with gateway(text, tmp_path) as stage:
        assert (await stage.route())["label"] == ""
        chat = {"model": "router", "messages": [{"role": "user", "content": "a question"}]}
        answer = (await stage.client.post("/v1/chat/completions", json=chat)).json()
        assert answer["choices"][0]["message"]["content"] == "Legal, I think"
        assert {(event.label, event.output) for event in stage.recorded.inferences} == {("", "Legal, I think")}
        metrics = (await stage.client.get("/metrics")).text
        assert 'headrace_unknown_labels_total{task="router",version="router@0"} 2.0' in metrics


@pytest.mark.parametrize(
    "texts",
    [
        ("Human Resources", "human_resources"), ("NET", ".NET"), ("C", "C."), ("R&D", "R D"), ("Straße", "IT"),
        ("Café", unicodedata.normalize("NFD", "Crème")),
    ],
)  # fmt: skip
def test_labels_that_look_alike_are_told_apart(texts: tuple[str, str]) -> None:
    """Each label's own text and id name it, in any case and composition; what may be several labels names none."""
    text = plan_text().replace(json.dumps(LABELS), json.dumps([*texts, "other"]))
    plan = parse(text.replace('hr = "people and pay"', ""))
    choice = Choice(plan.task("router").names, {})
    for label, text in plan.task("router").names.items():
        for said in (text, f" {text.upper()}\n", unicodedata.normalize("NFD", text), label):
            assert choice.named(said) == label, said
    assert choice.named(texts[0].replace(" ", "_") + "!") != choice.labels[1]
    assert choice.named("Other.") == "other" and choice.named("...") is None


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ('{"label": "IT"}', "it"), ('{"team": "hr", "reason": "pay", "others": ["it"]}', "hr"), ('["it"]', "it"),
        ('```json\n{"route": {"to": "HR."}}\n```', "hr"), ("**IT**\n", "it"), ("it" + "\n" * 9000, "it"),
        ('[{"name": "route", "arguments": {"team": "it"}}]', "it"), ("<think>hr?</think>it", "it"),
        ('{"label": "it", "second": "hr"}', ""), ('["it", "hr"]', ""), ('{"label": "none", "n": 1}', ""),
        ('{"label": "it"', ""), ("{" * 9000, ""), ("[" * 4000, ""), ("<think>it", ""), ("it is down", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_label_in_an_answer(said: str, label: str) -> None:
    """Structured outputs and calls of tools hold it; two labels on one level are none."""
    names = {"hr": "HR", "it": "IT"}
    assert label_in(said, tuple(names.values())) == label
    if not said.startswith("<think>"):
        assert (Choice(names, {}).named(said) or "") == label


def test_an_answer_has_room_for_the_longest_label() -> None:
    """Of at most as many tokens as the label's bytes, and never fewer than for a short label with some words."""
    assert Choice({"it": "IT"}, {}).max_tokens == 32
    assert Choice({"it": "IT", "hr": "人" * 50}, {}).max_tokens == 150


async def test_models_and_people_read_the_text(upstream: Upstream, tmp_path: Path) -> None:
    """The system message lists texts; the answer's text or id becomes the id; chat clients get the text."""
    chat = {"model": "router", "messages": [{"role": "user", "content": "When is pay day?"}]}
    async with gateway(texts_at(upstream.url), tmp_path) as stage:
        for said in ("Human resources.", "human_resources"):
            upstream.label = said
            answer = (await stage.client.post("/v1/chat/completions", json=chat)).json()
            assert answer["choices"][0]["message"]["content"] == "Human Resources"
            streamed = await stage.client.post("/v1/chat/completions", json=chat | {"stream": True})
            assert '"content": "Human Resources"' in streamed.text
            assert (await stage.route())["label"] == "human_resources"
        assert {event.label for event in stage.recorded.inferences} == {"human_resources"}
    system = upstream.requests[0]["messages"][0]["content"]
    assert "- Human Resources: people and pay\n- IT\n- 人事\n- Something else\n" in system
