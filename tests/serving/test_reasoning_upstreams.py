"""Incumbents and judges that reason: the parameters they refuse, the thoughts they write, the answers cut in them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bundles import LABELS
from openai_stub import Stub
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from headrace.contract.choice import Choice
from headrace.contract.completions import THINKING_TOKENS, answer_in
from headrace.contract.control import Served
from headrace.judging.endpoint import Endpoint
from headrace.plan import Upstream, parse
from serving.engines.classify import classify
from serving.engines.engine import EngineFailed
from serving.engines.opening import Opener

CHOICE = Choice({label: label for label in LABELS}, {})
UNSUPPORTED = "Unsupported {0}: '{1}' is not supported with this model."


class Reasoner(Stub):
    """Answers as such models do. kind: which of them; asked: the bodies' fields"""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    async def _answered(self, request: Request) -> Response:
        body = json.loads(await request.body())
        if self.answer is not None:
            answer, self.answer = self.answer, None
            return answer
        self.bodies.append(json.dumps(body).encode())
        match self.kind:
            case "strict" | "strict_in_words":
                for name, wrong in (
                    ("max_tokens", "max_tokens" in body),
                    ("temperature", body.get("temperature", 1) != 1),
                ):
                    if wrong:
                        error = {"message": UNSUPPORTED.format("parameter", name), "code": "unsupported_parameter"}
                        error |= {"param": name} if self.kind == "strict" else {}
                        return JSONResponse({"error": error}, 400)
                return said("it")
            case "thinks":
                return said("<think>\nThe user cannot connect, so this is for it and not for hr.\n</think>\n\nIT.")
            case "in_parts":
                thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Not hr."}]}
                return said([thought, {"type": "text", "text": "it"}])
            case "elsewhere" | "in_a_list" | "by_place":
                if "seed" in body or "temperature" in body:
                    name = "seed" if "seed" in body else "temperature"
                    flat = {"object": "error", "message": f"`{name}` is not supported", "param": None}
                    placed = {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs"}]}
                    listed = [{"error": {"code": 400, "message": f"Unknown field '{name}'"}}]
                    found: Any = {"elsewhere": flat, "in_a_list": listed, "by_place": placed}[self.kind]
                    return JSONResponse(found, 422 if self.kind == "by_place" else 400)
                return said("it")
            case "closes":
                return said("They cannot connect: not hr.\n</think>\n\nit")
            case "beside":
                return said("it", reasoning_content="Not hr, then.")
            case "needs_room":
                room = body["max_tokens"] > 100
                return said("<think>Not hr</think>it") if room else said("<think>\nOkay, the", "length")
            case "hidden_needs_room":
                return said("it") if body["max_tokens"] > 100 else said(None, "length", reasoning_content="Okay, th")
            case "cut":
                return said("<think>\nOkay, the user", "length")
            case "cut_in_a_name":
                return said("it", "length")
        raise AssertionError(self.kind)


def said(content: Any, finish_reason: str = "stop", **more: str) -> JSONResponse:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **more}, "finish_reason": finish_reason}
    return JSONResponse({"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 32}})


@pytest.fixture
async def reasoner(request: pytest.FixtureRequest) -> AsyncIterator[Reasoner]:
    async with Reasoner(request.param).running() as running:
        assert isinstance(running, Reasoner)
        yield running


@pytest.mark.parametrize(
    ("reasoner", "first", "later"),
    [("strict", 3, 1), ("strict_in_words", 3, 1), ("thinks", 1, 1), ("closes", 1, 1), ("beside", 1, 1),
     ("needs_room", 2, 1), ("hidden_needs_room", 2, 1), ("in_parts", 1, 1), ("elsewhere", 2, 1), ("in_a_list", 2, 1),
     ("by_place", 2, 1)],
    indirect=["reasoner"],
)  # fmt: skip
async def test_an_incumbent_that_reasons_names_its_label(reasoner: Reasoner, first: int, later: int) -> None:
    """It is asked as it takes questions, which is found out once; what it thinks is no answer."""
    engine = await opened(reasoner)
    for requests in (first, later):
        reasoner.bodies.clear()
        answer = await classify(engine, "My VPN is down", CHOICE)
        assert (answer.label, answer.recognised, len(reasoner.bodies)) == ("it", True, requests)
    await engine.close()
    if reasoner.kind.startswith("strict"):
        (body,) = reasoner.asked
        assert body["max_completion_tokens"] == CHOICE.max_tokens + THINKING_TOKENS and "temperature" not in body


@pytest.mark.parametrize("reasoner", ["cut", "cut_in_a_name"], indirect=True)
async def test_an_answer_that_is_cut_off_is_a_failure(reasoner: Reasoner) -> None:
    """It says nothing, and neither of a label nor of what is out of scope."""
    engine = await opened(reasoner)
    with pytest.raises(EngineFailed, match="cut off at its length"):
        await classify(engine, "My VPN is down", CHOICE)
    await engine.close()


@pytest.mark.parametrize(
    ("reasoner", "verdict"),
    [("strict", "it"), ("thinks", "IT."), ("beside", "it"), ("cut", ""), ("cut_in_a_name", ""), ("in_parts", "it")],
    indirect=["reasoner"],
)
async def test_a_judge_that_reasons_is_heard(reasoner: Reasoner, verdict: str) -> None:
    """The same of what a judge is asked: its verdict stands behind its thoughts, and a cut one is none."""
    endpoint = Endpoint(Upstream(url=reasoner.url, model="judge"), 1)
    body = {"model": "judge", "messages": [], "temperature": 0, "max_tokens": 32}
    for _ in range(2):
        assert await endpoint.ask(body) == verdict
    await endpoint.close()


@pytest.mark.parametrize(
    "failed",
    [
        {"error": {"message": "overloaded", "code": 529}},
        {"choices": [{"message": {"content": ""}, "finish_reason": "error", "error": {"code": 502}}]},
        {"choices": [{"message": {"content": None}, "finish_reason": "error"}]},
    ],
)
async def test_a_judge_that_failed_under_status_200_is_asked_again(
    failed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has given no verdict, and not an empty one."""
    monkeypatch.setattr("headrace.judging.endpoint.FIRST_RETRY_S", 0.01)
    async with Reasoner("closes").running() as judge:
        judge.answer = JSONResponse(failed)
        endpoint = Endpoint(Upstream(url=judge.url, model="judge"), 1)
        assert await endpoint.ask({"model": "judge", "messages": []}) == "it"
        await endpoint.close()


def test_what_follows_the_thoughts_is_the_answer() -> None:
    """Whichever mark ends them, and however often one is named in them."""
    for text in ("<think>a</think>b", "a</think> b", "<thinking>a </think> c</thinking>\nb", "[THINK]a[/THINK]b", "b"):
        assert answer_in(text) == "b"
    for text in ("◁think▷a◁/think▷b", "<seed:think>a</seed:think>b", "[THINK]a[/THINK]b"):
        assert answer_in(text) == "b"
    said = "<|channel|>analysis<|message|>a<|end|><|start|>assistant"
    assert answer_in(said) is None and answer_in(f"{said}<|channel|>final<|message|>b") == "b"
    for text in ("b<|im_end|>", "b</s>", "a</think>b<|eot_id|>\n", f"{said}<|channel|>final<|message|>b<|return|>"):
        assert answer_in(text) == "b"
    assert answer_in("b" + "<|im_end|>\n" * 100_000) == "b" and answer_in("<|im_end|>" * 100_000 + "b") == "b"
    assert answer_in(" <think>b") is None and answer_in("what <think> means") == "what <think> means"


async def opened(reasoner: Reasoner) -> Any:
    plan = parse(
        f'version = 2\n[tasks.router]\nlabels = ["hr", "it"]\n[tasks.router.incumbent]\nversion = "router@0"\n'
        f'url = "{reasoner.url}"\nmodel = "reasoner"\ntimeout_s = 5\n[tasks.router.candidates.p]\nmethod = "probe"\n'
    )
    return await Opener(plan, {}).open("router", Served(version="router@0"))
