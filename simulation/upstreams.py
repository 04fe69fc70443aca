"""A simulated 70B incumbent and a simulated judge behind an OpenAI-compatible address.

    python -m simulation.upstreams --seed 1 --port 9100

`incumbent-70b` names the right expert for 96 % of the questions, the same ones every time, after a delay: the case
study's 26 seconds to the first token, scaled. `judge` blames routing for RECALL of the complaints that were about
routing and for FALSE_ALARM of those that were not, which gives the case study's 140 verdicts of which experts confirm
32 (simulation.company has the arithmetic). It reads one JSON object, the last user message, with "question" and
"answer_label".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from simulation.grammar import LABELS, OUT_OF_SCOPE, World

INCUMBENT, JUDGE = "incumbent-70b", "judge"
ACCURACY = 0.96
FIRST_TOKEN_S = 26.0
SPREAD = 0.35
RECALL = 0.71
FALSE_ALARM = 0.24
JUDGE_S = 0.05
TOKEN_CHARACTERS = 4
"""About as many a token as in English."""
OTHER_BLAME = ("retrieval", "generation", "rephrasing", "no_error")
RATIONALE = {
    "routing": "Simulated verdict: the question reads as one for another expert.",
    "retrieval": "Simulated verdict: the expert is right, but the answer cites nothing that fits.",
    "generation": "Simulated verdict: the expert is right, the answer is not.",
    "rephrasing": "Simulated verdict: the question was distorted on its way to the expert.",
    "no_error": "Simulated verdict: the answer is right; the displeasure has another cause.",
}


def route(world: World, text: str) -> str:
    """The incumbent's answer: the truth, but for 4 % of the texts another label, the same one every time."""
    truth = _truth(world, text)
    rng = random.Random(f"{world.seed}/incumbent/{text}")
    if rng.random() < ACCURACY:
        return truth
    return rng.choice([label for label in LABELS if label != truth])


def judge(world: World, question: str, answered: str) -> dict[str, Any]:
    """The judge's verdict on one complaint; the same complaint gets the same one every time.

    Its confidence is as good as noise: a little higher, on average, where it is right.
    """
    rng = random.Random(f"{world.seed}/judge/{question}/{answered}")
    return verdict(_truth(world, question), answered, LABELS, rng)


def verdict(truth: str, answered: str, labels: Sequence[str], rng: random.Random) -> dict[str, Any]:
    """The same for any labels, drawn from `rng`. truth: the right one."""
    misrouted = answered != truth
    if rng.random() < (RECALL if misrouted else FALSE_ALARM):
        blame = "routing"
        label = truth if misrouted else rng.choice([label for label in labels if label != answered])
    else:
        blame, label = rng.choice(OTHER_BLAME), answered
    right = misrouted == (blame == "routing")
    confidence = round(min(0.99, max(0.3, rng.gauss(0.76 if right else 0.70, 0.12))), 2)
    return {"blame": blame, "label": label, "confidence": confidence, "rationale": RATIONALE[blame]}


def delay_s(world: World, text: str, scale: float) -> float:
    """How long the incumbent takes for a text: lognormal around FIRST_TOKEN_S / scale, seconds."""
    rng = random.Random(f"{world.seed}/delay/{text}")
    return FIRST_TOKEN_S / scale * rng.lognormvariate(-(SPREAD**2) / 2, SPREAD)


def application(seed: int, scale: float) -> Starlette:
    """The HTTP application. scale: how much faster than life."""
    world = World(seed)
    # Known before the first request, so that none waits for the ones before it to be made up.
    world.find("")

    async def complete(request: Request) -> Response:
        try:
            body = await request.json()
            messages = [(message["role"], _text(message)) for message in body["messages"]]
            said = [text for role, text in messages if role == "user"][-1]
            model, streamed = body["model"], bool(body.get("stream"))
            case = json.loads(said) if model == JUDGE else {}
            question, answered = (str(case["question"]), str(case["answer_label"])) if model == JUDGE else (said, "")
        except (ValueError, KeyError, IndexError, TypeError):
            return _refused(400, "a request has a model and messages, the user's last a question or a judge's case")
        if model == INCUMBENT:
            await asyncio.sleep(delay_s(world, question, scale))
            content = route(world, question)
        elif model == JUDGE:
            await asyncio.sleep(JUDGE_S)
            content = json.dumps(judge(world, question, answered))
        else:
            return _refused(404, f"there is no model {model!r} here; there are {INCUMBENT} and {JUDGE}")
        used = sum(len(text) for _, text in messages) // TOKEN_CHARACTERS, max(1, len(content) // TOKEN_CHARACTERS)
        usage = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
        if streamed:
            return StreamingResponse(_chunks(model, content, usage), media_type="text/event-stream")
        choice: dict[str, Any] = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": content},
        }
        return JSONResponse(_completion(model, "chat.completion", [choice]) | {"usage": usage})

    async def models(_: Request) -> JSONResponse:
        names = [{"id": name, "object": "model", "owned_by": "simulation"} for name in (INCUMBENT, JUDGE)]
        return JSONResponse({"object": "list", "data": names})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/models", models),
        ],
    )


async def _chunks(model: str, content: str, usage: Mapping[str, int]) -> AsyncIterator[str]:
    """The content as server-sent events, TOKEN_CHARACTERS at a time, with the usage at the end."""
    pieces = [content[at : at + TOKEN_CHARACTERS] for at in range(0, len(content), TOKEN_CHARACTERS)]
    for piece in pieces:
        choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
        yield _event(_completion(model, "chat.completion.chunk", [choice]))
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield _event(_completion(model, "chat.completion.chunk", [last]))
    yield _event(_completion(model, "chat.completion.chunk", []) | {"usage": usage})
    yield "data: [DONE]\n\n"


def _completion(model: str, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "chatcmpl-simulated", "object": kind, "created": 0, "model": model, "choices": choices}


def _event(fields: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(fields)}\n\n"


def _truth(world: World, text: str) -> str:
    question = world.find(text)
    return question.label if question else OUT_OF_SCOPE


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part.get("type") == "text")
    return str(content)


def _refused(status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": {"message": why, "type": "invalid_request_error"}}, status)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m simulation.upstreams", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="which company's truth to know")
    parser.add_argument("--port", type=int, default=9100, help="on loopback")
    parser.add_argument("--scale", type=float, default=100.0, help="how much faster than the case study's 26 seconds")
    given = parser.parse_args()
    print(f"simulated incumbent and judge of company {given.seed}: no real model answers here", flush=True)
    app = application(given.seed, given.scale)
    uvicorn.run(
        app, host="127.0.0.1", port=given.port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
