"""The simulated incumbent and judge, as functions and over HTTP in their own process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from headrace.embedded.server import free_port
from simulation.grammar import LABELS, World
from simulation.upstreams import FIRST_TOKEN_S, INCUMBENT, JUDGE, delay_s, judge, route

SEED = 4
BLAMES = {"routing", "retrieval", "generation", "rephrasing", "guardrail", "no_error"}
START_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A served pair of models. said: the first line that the process printed."""

    url: str
    said: str


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """The process."""
    port = free_port()
    command = [sys.executable, "-m", "simulation.upstreams", "--seed", str(SEED), "--port", str(port), "--scale", "400"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = f"http://127.0.0.1:{port}/v1"
    try:
        said = process.stdout.readline()
        deadline = time.monotonic() + START_S
        while True:
            assert process.poll() is None, "the process ended"
            assert time.monotonic() < deadline, "the process never listened"
            try:
                httpx.get(f"{url}/models", trust_env=False).raise_for_status()
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        yield Running(url, said)
    finally:
        process.terminate()
        process.wait(10)


def ask(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "system", "content": "Route."}, {"role": "user", "content": text}]}


@pytest.mark.parametrize("era", [1, 2])
def test_the_incumbent_is_right_96_times_in_100(era: int) -> None:
    """Of 6,000 questions 96 % get their truth, the rest another label, and the same ones every time."""
    world = World(SEED)
    questions = world.questions(era, 6_000)
    answers = [route(world, q.text) for q in questions]
    assert set(answers) == set(LABELS)
    assert sum(a == q.label for a, q in zip(answers, questions, strict=True)) / 6_000 == pytest.approx(0.96, abs=0.01)
    again = World(SEED)
    assert [route(again, q.text) for q in questions[:200]] == answers[:200]


def test_the_incumbent_takes_its_time() -> None:
    """The mean delay is the case study's 26 seconds, scaled."""
    world = World(SEED)
    delays = [delay_s(world, q.text, 100.0) for q in world.questions(1, 2_000)]
    assert sum(delays) / 2_000 == pytest.approx(FIRST_TOKEN_S / 100, rel=0.05)
    assert max(delays) > 2 * min(delays)


def test_the_judge_finds_most_misroutings_and_blames_a_quarter_of_the_rest() -> None:
    """Recall .71 and false alarms .24, and a verdict that blames routing always names another label."""
    world = World(SEED)
    questions = world.questions(1, 3_000)
    found = [judge(world, q.text, "it" if q.label != "it" else "hr") for q in questions]
    false = [judge(world, q.text, q.label) for q in questions]
    assert sum(v["blame"] == "routing" for v in found) / 3_000 == pytest.approx(0.71, abs=0.03)
    assert sum(v["blame"] == "routing" for v in false) / 3_000 == pytest.approx(0.24, abs=0.03)
    for question, verdict in zip(questions, false, strict=True):
        assert (verdict["label"] != question.label) == (verdict["blame"] == "routing")
        assert verdict["blame"] in BLAMES
        assert 0 <= verdict["confidence"] <= 1


def test_the_process_says_that_it_is_simulated(running: Running) -> None:
    """Nobody who starts it can take it for a real model."""
    assert "simulated" in running.said


def test_chat_completions_over_http(running: Running) -> None:
    """The answer is a label, with usage; 300 at once take little longer than one."""
    world = World(SEED)
    questions = world.questions(1, 300)

    async def all_at_once() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=300)
        async with httpx.AsyncClient(timeout=30, limits=limits, trust_env=False) as http:
            asked = [http.post(f"{running.url}/chat/completions", json=ask(INCUMBENT, q.text)) for q in questions]
            return await asyncio.gather(*asked)

    for question, response in zip(questions, asyncio.run(all_at_once()), strict=True):
        body = response.json()
        assert body["choices"][0]["message"]["content"] == route(world, question.text)
        assert body["usage"]["prompt_tokens"] > 0
        assert body["usage"]["completion_tokens"] > 0


def test_the_judge_over_http(running: Running) -> None:
    """A case comes as a JSON object and the verdict goes back as one."""
    question = World(SEED).question(2, 17)
    case = {"question": question.text, "answer_label": "hr", "labels": dict.fromkeys(LABELS, ""), "signals": ["thumb"]}
    response = httpx.post(f"{running.url}/chat/completions", json=ask(JUDGE, json.dumps(case)), trust_env=False)
    verdict = json.loads(response.json()["choices"][0]["message"]["content"])
    assert verdict == judge(World(SEED), question.text, "hr")
    assert verdict.keys() == {"blame", "label", "confidence", "rationale"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (ask("gpt", "hi"), 404),
        (ask(JUDGE, "no object"), 400),
        ({"model": INCUMBENT, "messages": []}, 400),
        ({"model": INCUMBENT, "messages": ["hi"]}, 400),
        ([], 400),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(running: Running, body: Any, status: int) -> None:
    """A wrong request gets OpenAI's form of an error, in one sentence."""
    response = httpx.post(f"{running.url}/chat/completions", json=body, trust_env=False)
    assert response.status_code == status
    assert response.json()["error"]["message"]


def test_a_strangers_question_is_out_of_scope(running: Running) -> None:
    """A question that nobody of the company asks is sent to no expert, nearly always."""
    world = World(SEED)
    answers = [route(world, f"stranger's question number {n}") for n in range(200)]
    assert answers.count("out_of_scope") > 180
    response = httpx.post(
        f"{running.url}/chat/completions", json=ask(INCUMBENT, "stranger's question number 0"), trust_env=False
    )
    assert response.json()["choices"][0]["message"]["content"] == answers[0]
