from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from gateway_process import events, everything, running
from stage import INCUMBENT, Upstream, plan_text, promotion, publish_promotion, until, versions
from starlette.applications import Starlette

from headrace.bus.kafka import KafkaProducer
from headrace.contract.control import Replica, RequestKind, RolloutRequest, Served
from headrace.contract.events import Feedback, Inference, new_feedback
from headrace.contract.topics import FEEDBACK, INFERENCES, REPLICAS, ROLLOUTS, Topic
from headrace.embedded.kafka import KafkaServer
from headrace.embedded.server import free_port
from headrace.errors import SettingsError
from headrace.settings import Settings
from serving.__main__ import _check_port, _until_signal, server_of
from serving.otlp.grpc_receiver import GrpcReceiver

pytestmark = pytest.mark.stack

Model = Callable[[int, str], Served]


async def test_the_gateway_on_real_kafka(settings: Settings, upstream: Upstream, model: Model) -> None:
    """Clients ask without pause while versions are promoted, rolled back and restarted: nothing fails, every answer
    is one event, each generation is acknowledged, and a failing canary is reported."""
    producer = KafkaProducer(settings)
    await producer.start()
    one, two = model(1, "hr"), model(2, "finance")
    answers: list[dict[str, Any]] = []
    going = True
    async with running(settings) as gateway:

        async def ask() -> None:
            while going:
                answers.append(await gateway.route())

        clients = [asyncio.create_task(ask()) for _ in range(4)]
        steps = [
            promotion(1, INCUMBENT),
            promotion(2, INCUMBENT, shadow=one),
            promotion(3, INCUMBENT, canary=one, canary_share=0.25),
            promotion(4, one, previous=INCUMBENT),
            promotion(5, two, previous=one),
            promotion(6, one, previous=two),
        ]
        for step in steps:
            await publish_promotion(producer, step)
            await acknowledged(settings, step.generation)
            since = len(answers)
            await until(lambda since=since: len(answers) > since + 30)
        going = False
        await asyncio.gather(*clients)
        assert {answer["version"] for answer in answers[-20:]} == {"router@1"}
        feedback = new_feedback(answers[0]["inference_id"], "user", "thumb", value=1)
        response = await gateway.client.post("/v1/events", content=b"[" + feedback.to_json() + b"]")
        assert response.status_code == 202, response.text
        (stored,) = events(await everything(settings, FEEDBACK), Feedback)
        assert stored.feedback_id == feedback.feedback_id
        assert await gateway.stop() == 0

    emitted = events(await everything(settings, INFERENCES), Inference)
    shown = [event for event in emitted if event.arm != "shadow"]
    assert sorted(str(event.inference_id) for event in shown) == sorted(answer["inference_id"] for answer in answers)
    assert versions(shown) == {"router@0", "router@1", "router@2"}
    # A candidate in shadow, and of a version that has become live the one before it: never another, never itself.
    answered = {event.inference_id: event.version for event in shown}
    beside = {(answered[event.parent_id], event.version) for event in emitted if event.arm == "shadow"}
    before = {("router@1", "router@0"), ("router@2", "router@1"), ("router@1", "router@2")}
    assert ("router@0", "router@1") in beside and beside <= before | {("router@0", "router@1")}
    replicas = [Replica.model_validate_json(m.value or b"") for m in await everything(settings, REPLICAS)]
    assert {replica.generation for replica in replicas} == set(range(7))
    assert replicas[-1].requests == len(answers) and replicas[-1].failed == 0

    # A restart replays; then a canary that fails is covered, taken out and reported.
    async with running(settings) as gateway:
        assert (await gateway.route())["version"] == "router@1"
        await publish_promotion(producer, promotion(7, one, canary=INCUMBENT, canary_share=0.9))
        await acknowledged(settings, 7)
        upstream.failures = [400] * 1000
        assert {(await gateway.route())["version"] for _ in range(50)} == {"router@1"}
        request = await first(settings, ROLLOUTS, RolloutRequest)
        assert (request.kind, request.generation, request.task) == (RequestKind.ABORT, 7, "router")
        await gateway.stop(signal.SIGKILL)
    await producer.stop()


async def test_questions_are_answered_without_kafka(
    broker: KafkaServer, settings: Settings, upstream: Upstream
) -> None:
    """The broker dies: answers go on and their events arrive when it is back. A start without it serves the last
    known promotion."""
    producer = KafkaProducer(settings)
    await producer.start()
    await publish_promotion(producer, promotion(5, INCUMBENT))
    await producer.stop()
    async with running(settings) as gateway:
        await asyncio.to_thread(broker.kill)
        answers = [await gateway.route() for _ in range(30)]
        async with asyncio.timeout(60):
            while "Kafka does not" not in (said := await gateway.client.get("/readyz")).text:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert said.status_code == 200
        feedback = new_feedback(answers[0]["inference_id"], "user", "thumb", value=1)
        answer = await gateway.client.post("/v1/events", content=feedback.to_json())
        assert (answer.status_code, answer.json()["spooled"]) == (202, True)
        await asyncio.to_thread(broker.start)
        wanted = {answer["inference_id"] for answer in answers}
        async with asyncio.timeout(90):
            while {str(e.inference_id) for e in events(await everything(settings, INFERENCES), Inference)} != wanted:
                pass
        await gateway.turns("/readyz", 200)
        assert await gateway.stop() == 0
    await asyncio.to_thread(broker.kill)
    async with running(settings, ready=False) as gateway:
        assert (await gateway.route())["version"] == "router@0"
        assert 'headrace_generation{task="router"} 5.0' in (await gateway.client.get("/metrics")).text
        await gateway.turns("/readyz", 200)


async def test_a_stop_finishes_what_is_in_flight(settings: Settings, upstream: Upstream) -> None:
    """SIGTERM while an answer is on its way: the client gets it, and its event is stored."""
    upstream.delay_s = 1.0
    async with running(settings) as gateway:
        slow = asyncio.create_task(gateway.route())
        await until(lambda: upstream.requests)
        assert await gateway.stop() == 0
        answer = await slow
    stored = events(await everything(settings, INFERENCES), Inference)
    assert [str(event.inference_id) for event in stored] == [answer["inference_id"]]


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("HEADRACE_PLAN", "nowhere.toml", "there is no plan at nowhere.toml"),
        ("HEADRACE_GATEWAY", "http://0.0.0.0:1234", "make one with `headrace keys add`"),
        ("HEADRACE_OTLP_GRPC", "0.0.0.0:1234", "HEADRACE_OTLP_GRPC is 0.0.0.0:1234, which others can reach"),
        ("HEADRACE_API_KEYS", "acme", "API keys stand in a file: make them with `headrace keys add`"),
    ],
)
async def test_a_wrong_setting_is_one_sentence(tmp_path: Path, variable: str, text: str, says: str) -> None:
    """Exit code 2 and the sentence on stderr, before anything starts."""
    (tmp_path / "flywheel.toml").write_text(plan_text())
    gateway = f"http://127.0.0.1:{free_port()}"
    made = Settings(home=tmp_path, plan=tmp_path / "flywheel.toml", gateway=gateway, otlp_grpc="")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "serving",
        env=os.environ | made.environ() | {variable: text},
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await process.communicate()
    assert process.returncode == 2
    assert says in stderr.decode().strip() and "\n" not in stderr.decode().strip()


def test_a_port_in_use_is_one_sentence() -> None:
    """Another server's port is named, and the variable that moves the gateway's."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError, match=r"cannot listen on .* set HEADRACE_GATEWAY"):
            _check_port(*taken.getsockname(), "HEADRACE_GATEWAY")


async def test_a_port_that_is_lost_while_starting_is_one_sentence() -> None:
    """Another may take it after it was found free."""

    class Grpc:
        async def stop(self, within_s: float) -> None:
            """Nothing was started."""

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = server_of(Starlette(), *taken.getsockname())
        with pytest.raises(SettingsError, match=r"^the gateway cannot serve: Address already in use \(os error 98\)$"):
            await _until_signal([server], cast(GrpcReceiver, Grpc()))


async def acknowledged(settings: Settings, generation: int) -> None:
    """Return when the replica says that it serves this generation."""
    async with asyncio.timeout(60):
        while True:
            replicas = [Replica.model_validate_json(m.value or b"") for m in await everything(settings, REPLICAS)]
            if any(replica.generation == generation and not replica.error for replica in replicas):
                return


async def first(settings: Settings, topic: Topic, model: Any) -> Any:
    async with asyncio.timeout(60):
        while not (found := await everything(settings, topic)):
            pass
    return model.model_validate_json(found[0].value)
