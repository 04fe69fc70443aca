"""What every engine does alike: in process (an encoder on torch and on ONNX Runtime, a causal model), at an endpoint,
on vLLM, and a chain of such engines.

vLLM is a double here (tests/vllm_double.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import pytest
import uvicorn
from bundles import LABELS, artifact, causal_artifact, chain_artifact
from vllm_bundles import bundle
from vllm_double import double

from headrace import plan
from headrace.contract.control import Served
from headrace.embedded.server import free_port
from serving.engines.engine import (
    Capability,
    DeadlinePassed,
    Delta,
    Engine,
    EngineBusy,
    EngineFailed,
    Final,
    Message,
    Request,
    Sampling,
    UnsupportedRequest,
    final_of,
)
from serving.engines.opening import Opener
from simulation.grammar import World
from simulation.upstreams import INCUMBENT, application, route

CAPACITY, QUEUE = 2, 1
SEED = 4
SOON_S = 5.0
"""A host with nothing left to do answers within this time, also beside other processes."""
PLAN = """
version = 2
[engines.here]
kind = "{kind}"
capacity = {capacity}
queue = {queue}
usd_per_hour = 0.36
[engines.there]
kind = "openai"
url = "{url}"
capacity = {capacity}
queue = {queue}
usd_per_hour = 0.36
[engines.vllm]
kind = "vllm"
url = "{vllm}"
capacity = {capacity}
queue = {queue}
usd_per_hour = 0.36
[tasks.router]
labels = ["hr", "it", "finance", "product", "out_of_scope"]
engine = "here"
[tasks.router.incumbent]
url = "{url}"
model = "big"
[tasks.router.candidates.probe]
method = "probe"
[tasks.router.candidates.adapted]
base = "smollm2-135m-q4"
method = "lora"
engine = "vllm"
"""
QUESTIONS = [question.text for question in World(SEED).questions(1, 12)]


@dataclass(frozen=True)
class Case:
    """An engine, and what it is asked.

    open: another engine of the same model on the same host
    ask: an ordinary request; slow: one that takes a while; wrong: one that it cannot answer
    """

    name: str
    engine: Engine
    open: Callable[[], Any]
    ask: Callable[[str], Request]
    slow: Request
    wrong: Request


@pytest.fixture(scope="module")
async def upstream() -> AsyncIterator[str]:
    """The simulated incumbent, over HTTP."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(application(SEED, scale=100.0), port=port, log_level="warning", lifespan="off")
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (the server has no event)
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}/v1"
    server.should_exit = True
    await serving


@pytest.fixture(scope="module")
def vllm() -> Iterator[str]:
    """What answers as vLLM does; vLLM itself is asked in tests/serving/test_vllm_real.py."""
    with double() as server:
        yield server.url


@pytest.fixture(
    scope="module",
    params=["encoder", "onnx", "chain", pytest.param("causal", marks=pytest.mark.acceptance), "openai", "vllm"],
)
async def case(
    request: pytest.FixtureRequest, upstream: str, vllm: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Case]:
    """One engine of each kind, on a host with room for CAPACITY and QUEUE."""
    # The task's engine; a bundle for vLLM names its own, and chains have those of their tiers.
    kind = "in_process" if request.param in ("encoder", "causal") else "onnx"
    text = PLAN.format(url=upstream, vllm=vllm, kind=kind, capacity=CAPACITY, queue=QUEUE)
    opener = Opener(plan.parse(text), {})
    root = tmp_path_factory.mktemp("bundles")

    def published(served: Served) -> Callable[[], Any]:
        return lambda: opener.open("router", served)

    def text(question: str, tokens: int) -> Request:
        return Request((Message("user", question),), Sampling(temperature=0, max_tokens=tokens), stream=True)

    def labels(question: str) -> Request:
        return Request((Message("user", question),), labels=LABELS)

    no_question = Request((Message("system", "Route."),), stream=True)
    if request.param in ("encoder", "onnx"):
        opened = published(await asyncio.to_thread(artifact, root, 3, bias=0.5))
        asked = labels, labels("Why? " * 500), replace(no_question, labels=LABELS)
    elif request.param == "chain":
        tiers = [await asyncio.to_thread(artifact, root, number, bias=0.5) for number in (3, 5)]
        # Of random heads: some questions are answered by the first tier, and others by the second.
        opened = published(await asyncio.to_thread(chain_artifact, root, 6, tiers, 0.35))
        asked = labels, labels("Why? " * 500), replace(no_question, labels=LABELS)
    elif request.param == "causal":
        opened = published(await asyncio.to_thread(causal_artifact, root, 4))
        asked = (lambda question: text(question, 6)), text("Count to a million.", 400), text("Why? " * 500, 6)
    elif request.param == "vllm":
        opened = published(await asyncio.to_thread(bundle, root, 5))
        asked = (lambda question: text(question, 6)), text("Count to a million.", 400), text("Why? " * 500, 6)
    else:
        opened = lambda: opener.endpoint("there", INCUMBENT)  # noqa: E731
        asked = (lambda question: text(question, 32)), text(QUESTIONS[0], 32), no_question
    engine = await opened()
    yield Case(request.param, engine, opened, *asked)
    await engine.close()
    assert opener.hosts.open == 0, "a host outlived its engines"


async def in_progress(engine: Engine, *requests: Request) -> list[asyncio.Task[Final]]:
    """Tasks that wait for their engine."""
    tasks = [asyncio.create_task(final_of(engine, request)) for request in requests]
    await asyncio.sleep(0)
    return tasks


async def ended(tasks: list[asyncio.Task[Final]]) -> list[Any]:
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def answers(case: Case) -> Final:
    """The engine is free and well."""
    async with asyncio.timeout(SOON_S):
        return await final_of(case.engine, case.ask(QUESTIONS[0]))


async def test_deltas_add_up_to_one_final(case: Case) -> None:
    """The final comes last and once, with what the deltas gave, tokens, times and a price."""
    items = [item async for item in case.engine.run(case.ask(QUESTIONS[0]))]
    *deltas, final = items
    assert isinstance(final, Final) and all(isinstance(delta, Delta) for delta in deltas)
    assert "".join(delta.text for delta in deltas) == final.text
    assert bool(final.text) == (Capability.TEXT in case.engine.capabilities)
    assert final.tokens_in > 0 and final.first_token_ms > 0 and final.finish_reason in ("stop", "length")
    assert 0 < final.cost < 0.36 / 3600 * SOON_S


async def test_a_cancelled_request_frees_its_place(case: Case) -> None:
    """Of a host that is full of requests whose clients went away the next one gets a place at once."""
    cancelled = await ended(await in_progress(case.engine, *[case.slow] * (CAPACITY + QUEUE)))
    assert all(isinstance(each, asyncio.CancelledError) for each in cancelled)
    await answers(case)


async def test_a_closed_iterator_frees_its_place(case: Case) -> None:
    """Whoever stops reading in the middle, and closes, leaves nothing behind."""
    for _ in range(CAPACITY + 1):
        async with asyncio.timeout(SOON_S), aclosing(case.engine.run(case.slow)) as items:
            async for _ in items:
                break
    await answers(case)


async def test_a_full_host_refuses_and_says_when_to_come_again(case: Case) -> None:
    """Beyond capacity and queue a request is refused at once; those that got in are not disturbed."""
    got_in = await in_progress(case.engine, *[case.slow] * (CAPACITY + QUEUE))
    with pytest.raises(EngineBusy, match="full") as refused:
        await final_of(case.engine, case.ask(QUESTIONS[1]))
    assert 1 <= refused.value.retry_after_s <= 60
    assert not any(task.done() for task in got_in)
    await ended(got_in)
    await answers(case)


async def test_a_late_request_does_not_begin(case: Case) -> None:
    """A deadline that has passed, or passes in the queue, is a failure before any work."""
    with pytest.raises(DeadlinePassed, match="before the request began"):
        await final_of(case.engine, replace(case.slow, deadline=time.monotonic() - 0.001))
    got_in = await in_progress(case.engine, *[case.slow] * CAPACITY)
    # On a busy machine even these milliseconds may be over before the request asks for a place.
    with pytest.raises(DeadlinePassed, match=r"waited|before the request began"):
        await final_of(case.engine, replace(case.slow, deadline=time.monotonic() + 0.002))
    await ended(got_in)
    await answers(case)


async def test_a_deadline_ends_the_work(case: Case) -> None:
    """The failure comes at the deadline, and nothing of the request runs on."""
    for _ in range(CAPACITY + QUEUE + 1):
        started = time.monotonic()
        with pytest.raises(DeadlinePassed):
            await final_of(case.engine, replace(case.slow, deadline=started + 0.005))
        assert time.monotonic() - started < SOON_S
    await answers(case)


async def test_concurrent_requests_do_not_mix(case: Case) -> None:
    """Each gets the answer that it gets alone."""
    requests = [case.ask(question) for question in QUESTIONS[: CAPACITY + QUEUE]]
    alone = [await final_of(case.engine, request) for request in requests]
    together = await asyncio.gather(*(final_of(case.engine, request) for request in requests))
    assert [each.text for each in together] == [each.text for each in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-4)
    if case.name == "openai":
        assert [each.text for each in alone] == [route(World(SEED), question) for question in QUESTIONS[: len(alone)]]


async def test_scores_add_up_to_one_in_the_order_of_the_labels(case: Case) -> None:
    """Whatever order is asked for; an engine without scores says so, and so does one that has other labels."""
    asked = Request((Message("user", QUESTIONS[0]),), labels=LABELS)
    if Capability.LABEL_SCORES not in case.engine.capabilities:
        with pytest.raises(UnsupportedRequest, match="cannot give label scores"):
            await final_of(case.engine, asked)
        return
    for labels in (LABELS, LABELS[::-1]):
        scores = (await final_of(case.engine, replace(asked, labels=labels))).scores
        assert tuple(scores) == labels
        assert sum(scores.values()) == pytest.approx(1, abs=1e-4) and len(set(scores.values())) > 1
    with pytest.raises(UnsupportedRequest, match="and no others"):
        await final_of(case.engine, replace(asked, labels=("yes", "no")))


async def test_what_an_engine_cannot_do_is_refused(case: Case) -> None:
    """Tools and text are never dropped without a word."""
    tools = ({"type": "function", "function": {"name": "lookup", "parameters": {}}},)
    asked = Request((Message("user", QUESTIONS[0]),), Sampling(max_tokens=2))
    wanted = {Capability.TOOLS: replace(asked, tools=tools), Capability.TEXT: asked}
    for capability, request in wanted.items():
        if capability not in case.engine.capabilities:
            with pytest.raises(UnsupportedRequest, match=f"cannot give .*{capability}"):
                await final_of(case.engine, request)


async def test_a_failed_request_does_not_harm_the_next(case: Case) -> None:
    """More failures than there are places, alone and beside a good one."""
    for _ in range(CAPACITY + QUEUE + 1):
        with pytest.raises(EngineFailed):
            await final_of(case.engine, case.wrong)
    wrong, right = await asyncio.gather(
        final_of(case.engine, case.wrong), final_of(case.engine, case.ask(QUESTIONS[0])), return_exceptions=True
    )
    assert isinstance(wrong, EngineFailed) and isinstance(right, Final)


async def test_closing_ends_what_is_in_flight(case: Case) -> None:
    """Each request fails with a sentence, none hangs, and others on the same host go on."""
    other = await case.open()
    in_flight = await in_progress(other, *[case.slow] * (CAPACITY + QUEUE))
    async with asyncio.timeout(SOON_S):
        await other.close()
        found = await asyncio.gather(*in_flight, return_exceptions=True)
    assert all(isinstance(each, EngineFailed) and "closed" in str(each) for each in found), found
    with pytest.raises(EngineFailed, match="closed"):
        await final_of(other, case.ask(QUESTIONS[0]))
    await answers(case)
