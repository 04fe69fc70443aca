"""Decision endpoints as incumbents: another gateway that chooses among labels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsers import served
from stage import LABELS, Upstream, gateway, plan_text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headrace.contract.control import Served
from headrace.contract.texts import MAX_TEXT
from headrace.errors import PlanError
from headrace.judging.endpoint import Unanswered
from headrace.plan import parse
from trainer.evaluate.upstream import asked

Model = Callable[[int, str], Served]
DECIDES = 'api = "decisions"\n'


def deciding(url: str, **fields: Any) -> str:
    """The plan of a gateway whose incumbent is the decision endpoint of another."""
    return plan_text(url, **fields).replace('model = "big"\n', f'model = "router"\n{DECIDES}')


async def test_another_gateways_version_is_the_incumbent(model: Model, tmp_path: Path) -> None:
    """Its label and its calibrated probabilities are the answer's; the event names this gateway's version."""
    async with gateway(plan_text(), tmp_path / "far") as far, served(far.service.app) as port:
        await far.promote(1, model(1, "hr"))
        async with gateway(deciding(f"http://127.0.0.1:{port}/v1"), tmp_path / "near") as near:
            answer = (await near.client.post("/v1/route", json={"text": "pay day?"})).json()
            assert (answer["label"], answer["version"]) == ("hr", "router@0")
            assert answer["scores"] == far.recorded.inferences[0].scores and set(answer["scores"]) == set(LABELS)
            (event,) = near.recorded.inferences
            assert (event.label, event.scores) == ("hr", answer["scores"])


async def test_a_choice_without_probabilities_and_none_of_these(upstream: Upstream, tmp_path: Path) -> None:
    """A label alone is one; none of them is an answer without a label."""
    async with (
        gateway(plan_text(upstream.url), tmp_path / "far") as far,
        served(far.service.app) as port,
        gateway(deciding(f"http://127.0.0.1:{port}/v1"), tmp_path / "near") as near,
    ):
        for said, label in (("it", "it"), ("Well, that depends.", "")):
            upstream.label = said
            answer = (await near.client.post("/v1/route", json={"text": "VPN"})).json()
            assert (answer.get("label"), answer.get("scores")) == (label, {}), answer


def endpoint(content: bytes, statuses: list[int]) -> tuple[Starlette, list[dict[str, Any]]]:
    """An endpoint that says this, behind these statuses; and what it was asked."""
    heard: list[dict[str, Any]] = []

    async def decide(request: Request) -> Response:
        heard.append(await request.json())
        return Response(content, statuses.pop(0) if statuses else 200, media_type="application/json")

    return Starlette(routes=[Route("/v1/decisions", decide, methods=["POST"])]), heard


@pytest.mark.parametrize(
    "content",
    [
        b"no JSON",
        b'{"choices": []}',
        b'{"decision": "legal", "probabilities": {}}',
        b'{"decision": "it", "probabilities": {"it": 1.5}}',
        b'{"decision": "it", "probabilities": {"it": NaN}}',
        b'{"decision": "it", "probabilities": [1]}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_decision_is_an_upstream_that_failed(content: bytes, tmp_path: Path) -> None:
    """502 with a sentence, and no event."""
    app, _ = endpoint(content, [])
    async with served(app) as port, gateway(deciding(f"http://127.0.0.1:{port}/v1"), tmp_path) as near:
        answer = await near.client.post("/v1/route", json={"text": "VPN"})
        assert answer.status_code == 502 and "no decision" in answer.json()["error"]["message"]
        assert not near.recorded.inferences


async def test_what_passes_is_tried_once_more(tmp_path: Path) -> None:
    """A 503 and then an answer; two of them are a failure; it is asked with the plan's options."""
    said = json.dumps({"decision": "it", "probabilities": {"it": 0.9}}).encode()
    app, heard = endpoint(said, [503])
    async with served(app) as port, gateway(deciding(f"http://127.0.0.1:{port}/v1"), tmp_path) as near:
        answer = (await near.client.post("/v1/route", json={"text": "VPN"})).json()
        assert answer["label"] == "it" and answer["scores"] == {label: 0.9 * (label == "it") for label in LABELS}
        assert heard == [{"task": "router", "text": "VPN", "options": list(LABELS)}] * 2
    app, _ = endpoint(said, [503, 503])
    async with served(app) as port, gateway(deciding(f"http://127.0.0.1:{port}/v1"), tmp_path / "b") as near:
        assert (await near.client.post("/v1/route", json={"text": "VPN"})).status_code == 502


async def test_a_long_question_is_one_that_it_takes(tmp_path: Path) -> None:
    """Its texts are as long as an event's; a longer one was refused there, and a failure here."""
    app, heard = endpoint(json.dumps({"decision": "it"}).encode(), [])
    async with served(app) as port, gateway(deciding(f"http://127.0.0.1:{port}/v1"), tmp_path) as near:
        asked = [{"role": "user", "content": "My VPN is down. " * 10_000}]
        answer = await near.client.post("/v1/chat/completions", json={"model": "router", "messages": asked})
        assert answer.json()["choices"][0]["message"]["content"] == "it"
    (question,) = heard
    assert question["text"] == near.recorded.inferences[0].input and len(question["text"]) <= MAX_TEXT


async def test_it_is_asked_about_rows_that_it_never_answered(tmp_path: Path) -> None:
    """The gate compares with what the incumbent says of the test rows, whichever API it has."""
    said = json.dumps({"decision": None, "probabilities": {"it": 0.1}}).encode()
    app, heard = endpoint(said, [503])
    async with served(app) as port:
        task = parse(deciding(f"http://127.0.0.1:{port}/v1")).tasks["router"]
        assert await asyncio.to_thread(asked, task.incumbent, task, ["VPN"]) == [""]
        assert heard[-1] == {"task": "router", "text": "VPN", "options": list(LABELS)}
    app, _ = endpoint(b"{}", [])
    async with served(app) as port:
        task = parse(deciding(f"http://127.0.0.1:{port}/v1")).tasks["router"]
        with pytest.raises(Unanswered, match="no decision"):
            await asyncio.to_thread(asked, task.incumbent, task, ["VPN"])


def test_a_task_of_texts_has_no_deciding_incumbent() -> None:
    """The plan says so."""
    text = '[tasks.w]\nkind = "generate"\nmode = "observe"\n[tasks.w.incumbent]\nurl = "http://x/v1"\nmodel = "m"\n'
    with pytest.raises(PlanError, match="labels and no texts"):
        parse(f"version = 2\n{text}{DECIDES}")
