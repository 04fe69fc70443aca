from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stage import (
    INCUMBENT,
    LABELS,
    NOWHERE,
    Stage,
    Upstream,
    artifact,
    dead_bus,
    gateway,
    plan_text,
    promotion,
    publish_promotion,
    until,
    versions,
)

from headrace.bus.memory import MemoryBus
from headrace.contract.choice import Choice
from headrace.contract.control import Replica, RequestKind, RolloutRequest, Served
from headrace.contract.events import Arm
from headrace.contract.topics import PROMOTIONS, REPLICAS, ROLLOUTS
from headrace.errors import UserError
from serving.answering.routing import place
from serving.answering.shadow import MAX_WAITING
from serving.engines.engine import Capability, Engine, EngineFailed, Final, Request
from serving.engines.opening import Opener
from serving.versions import fleet

Model = Callable[[int, str], Served]


async def test_versions_change_under_traffic_without_a_failure(
    upstream: Upstream, model: Model, tmp_path: Path
) -> None:
    """Eight clients ask without pause through four promotions and a roll back: every question is answered."""
    one, two = model(1, "hr"), model(2, "finance")
    upstream.delay_s = 0.05
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        going = True

        async def ask() -> None:
            while going:
                await stage.route()

        clients = [asyncio.create_task(ask()) for _ in range(8)]
        await until(lambda: stage.recorded.inferences)
        await stage.promote(1, INCUMBENT)
        await stage.promote(2, INCUMBENT, canary=one, canary_share=0.5)
        await stage.promote(3, one, previous=INCUMBENT)
        await stage.promote(4, two, previous=one)
        await until(lambda: stage.recorded.inferences[-1].version == "router@2")
        await stage.promote(5, one, previous=two)
        seen = len(stage.recorded.inferences)
        await until(lambda: len(stage.recorded.inferences) > seen + 20)  # the incumbent's last shadows wait for a turn
        upstream_asked = len(upstream.requests)
        await until(lambda: len(stage.recorded.inferences) > seen + 120)
        going = False
        await asyncio.gather(*clients)
        assert versions(stage.recorded.inferences) == {"router@0", "router@1", "router@2"}
        # The version before goes on answering some of it in shadow.
        answered = [event for event in stage.recorded.inferences if event.arm is not Arm.SHADOW]
        assert versions(answered[-50:]) == {"router@1"}
        assert len(upstream.requests) == upstream_asked
        assert (await stage.client.get("/readyz")).status_code == 200


async def test_a_request_in_flight_finishes_on_the_version_it_began_with(
    upstream: Upstream, model: Model, tmp_path: Path
) -> None:
    """A slow answer outlives the promotion that retires its version."""
    upstream.gate.clear()
    async with gateway(plan_text(upstream.url, timeout_s=60), tmp_path) as stage:
        slow = asyncio.create_task(stage.route())
        await until(lambda: upstream.requests)
        await stage.promote(1, model(1, "hr"))
        assert (await stage.route())["version"] == "router@1"
        assert not slow.done()
        upstream.gate.set()
        assert (await slow)["version"] == "router@0"


async def test_stale_generations_are_ignored(model: Model, tmp_path: Path) -> None:
    """A record that repeats or precedes the served generation changes nothing."""
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(4, model(1, "hr"))
        for generation in (3, 4):
            await publish_promotion(stage.bus.producer(), promotion(generation, model(2, "finance")))
        await stage.promote(5, model(1, "hr"))
        assert stage.recorded.inferences == [] and (await stage.route())["version"] == "router@1"


async def test_a_restart_serves_what_the_topic_says(model: Model, tmp_path: Path) -> None:
    """The newest promotion is loaded before the first question, and acknowledged."""
    bus = MemoryBus()
    for generation, served in ((1, INCUMBENT), (2, model(1, "hr")), (3, model(2, "finance"))):
        await publish_promotion(bus.producer(), promotion(generation, served))
    async with gateway(plan_text(), tmp_path, bus) as stage:
        answer = await stage.route()
        assert (answer["version"], answer["label"]) == ("router@2", "finance")
        replica = await heartbeat(stage, lambda found: found.generation == 3)
        assert (replica.live, replica.ready, replica.error) == ("router@2", ["router@2"], "")


async def test_a_broken_artifact_keeps_the_old_version_and_says_so(model: Model, tmp_path: Path) -> None:
    """The heartbeat carries the sentence, /readyz too; the version before goes on, and a good promotion heals it."""
    broken = artifact(tmp_path / "root", 8)
    (Path(broken.artifact) / "head.safetensors").write_bytes(b"nothing")
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(1, model(1, "hr"))
        await stage.promote(2, broken, previous=model(1, "hr"))
        assert (await stage.route())["version"] == "router@1"
        replica = await heartbeat(stage, lambda found: found.generation == 2)
        assert "sha256 differs" in replica.error
        assert (replica.live, replica.ready) == ("router@1", ["router@1"])
        ready = await stage.client.get("/readyz")
        assert ready.status_code == 503 and "sha256 differs" in ready.text
        await stage.promote(3, model(2, "finance"))
        assert (await stage.route())["version"] == "router@2"
        await until(lambda: not stage.service.unready())


async def test_a_broken_candidate_leaves_the_live_version_alone(model: Model, tmp_path: Path) -> None:
    """A canary that cannot be loaded gets no traffic and is reported; the live version is ready."""
    gone = artifact(tmp_path / "root", 9)
    shutil.rmtree(gone.artifact)
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(1, model(1, "hr"), canary=gone, canary_share=0.9)
        assert {(await stage.route())["version"] for _ in range(20)} == {"router@1"}
        replica = await heartbeat(stage, lambda found: found.generation == 1)
        assert "there is no artifact" in replica.error and replica.ready == ["router@1"]
        await until(lambda: not stage.service.unready())


async def test_a_start_with_a_broken_live_version_serves_the_one_before(model: Model, tmp_path: Path) -> None:
    """After a restart, too, a question finds somebody: the previous version, or else the incumbent."""
    bus = MemoryBus()
    broken = model(1, "hr").model_copy(update={"digest": "0" * 64})
    await publish_promotion(bus.producer(), promotion(7, broken, previous=model(2, "finance")))
    async with gateway(plan_text(), tmp_path, bus) as stage:
        assert (await stage.route())["version"] == "router@2"
        assert "as promoted" in stage.service.unready()[0]


async def test_a_gateway_starts_while_its_version_still_opens(
    upstream: Upstream, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine may take minutes: the incumbent answers meanwhile, the gateway says so, and is then what was asked."""
    bus, opened = MemoryBus(), asyncio.Event()
    await publish_promotion(bus.producer(), promotion(3, model(1, "hr")))
    open_now = Opener.open

    async def open_later(self: Opener, task: str, served: Served) -> Engine:
        if served != INCUMBENT:
            await opened.wait()
        return await open_now(self, task, served)

    monkeypatch.setattr(Opener, "open", open_later)
    monkeypatch.setattr(fleet, "FIRST_S", 0.05)
    async with gateway(plan_text(upstream.url), tmp_path, bus) as stage:
        assert (await stage.route())["version"] == "router@0"
        assert "router@1 is still being opened" in stage.service.unready()[0]
        opened.set()
        await until(lambda: stage.service.fleet.table["router"].complete)
        assert (await stage.route())["version"] == "router@1"
        await until(lambda: not stage.service.unready())


async def test_the_canary_answers_its_sessions_and_only_those(model: Model, tmp_path: Path) -> None:
    """A session below the share gets the candidate each time, any other the live version each time."""
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(1, model(1, "hr"), canary=model(2, "finance"), canary_share=0.3)
        sessions = [f"s{number}" for number in range(60)]
        for session in sessions * 2:
            answer = await stage.route(session_id=session)
            expected = "router@2" if place(session, "router@2") < 0.3 else "router@1"
            assert answer["version"] == expected
            assert answer["arm"] == ("canary" if expected == "router@2" else "live")


async def test_the_shadow_never_delays_the_answer(upstream: Upstream, model: Model, tmp_path: Path) -> None:
    """While a candidate hangs, every question is answered; what it cannot keep up with is dropped, and what it
    answers in the end is recorded with its parent."""
    upstream.gate.clear()
    async with gateway(plan_text(upstream.url, timeout_s=60), tmp_path) as stage:
        await stage.promote(1, model(1, "hr"), shadow=INCUMBENT)
        for _ in range(MAX_WAITING + 40):
            await stage.route()
        assert {event.arm for event in stage.recorded.inferences} == {Arm.LIVE}
        assert len(upstream.requests) == 1
        # One is with the candidate, MAX_WAITING wait.
        assert "\nheadrace_shadow_dropped 39.0\n" in (await stage.client.get("/metrics")).text
        upstream.gate.set()
        await until(lambda: any(event.arm is Arm.SHADOW for event in stage.recorded.inferences))
        shadow = next(event for event in stage.recorded.inferences if event.arm is Arm.SHADOW)
        parent = next(event for event in stage.recorded.inferences if event.inference_id == shadow.parent_id)
        assert (shadow.version, parent.version, parent.arm) == ("router@0", "router@1", Arm.LIVE)
        assert shadow.input == parent.input and shadow.label == "it" and not shadow.audited


async def test_a_failing_canary_is_covered_and_taken_out(upstream: Upstream, model: Model, tmp_path: Path) -> None:
    """Each failure is answered by the live version; on enough of them the candidate gets nothing more, and the
    owner of promotions is asked to abort, once."""
    async with gateway(plan_text(upstream.url, rollout="max_error_share = 0.2"), tmp_path) as stage:
        await stage.promote(1, model(1, "hr"))
        await stage.promote(2, model(1, "hr"), canary=INCUMBENT, canary_share=0.99)
        upstream.failures = [400] * 1000
        answers = [await stage.route() for _ in range(60)]
        assert {answer["version"] for answer in answers} == {"router@1"}
        assert {answer["arm"] for answer in answers} == {"live"}
        assert len(upstream.requests) == 6
        await until(lambda: records(stage.bus, ROLLOUTS.name))
        (request,) = [RolloutRequest.model_validate_json(value) for value in records(stage.bus, ROLLOUTS.name)]
        assert (request.kind, request.generation, request.candidate) == (RequestKind.ABORT, 2, INCUMBENT)
        assert request.by == "gateway-test" and "6 of 6 requests failed" in request.reason


async def test_a_candidate_that_is_tried_again_starts_afresh(upstream: Upstream, model: Model, tmp_path: Path) -> None:
    """Taken out, rolled back and promoted once more, a candidate gets traffic again."""
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        await stage.promote(1, model(1, "hr"), canary=INCUMBENT, canary_share=0.99)
        upstream.failures = [400] * 2
        for _ in range(30):
            await stage.route()
        assert (await stage.route(session_id="a"))["version"] == "router@1"
        await stage.promote(2, model(1, "hr"))
        await stage.promote(3, model(1, "hr"), canary=INCUMBENT, canary_share=0.99)
        assert (await stage.route(session_id="a"))["version"] == "router@0"


async def test_without_kafka_the_last_known_version_answers(model: Model, tmp_path: Path) -> None:
    """A start without a broker serves what the file remembers; /readyz says that Kafka is away and stays 200."""
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(6, model(1, "hr"))
    async with gateway(plan_text(), tmp_path, gateway_bus=dead_bus(MemoryBus())) as stage:
        assert (await stage.route())["version"] == "router@1"
        await until(stage.service.degraded)
        ready = await stage.client.get("/readyz")
        assert ready.status_code == 200 and "Kafka does not acknowledge" in ready.text
        assert (await stage.client.get("/healthz")).status_code == 200


async def test_without_kafka_and_without_memory_the_incumbent_answers(upstream: Upstream, tmp_path: Path) -> None:
    """A damaged file counts as none."""
    (tmp_path / "promotions.json").write_text("[{")
    async with gateway(plan_text(upstream.url), tmp_path, gateway_bus=dead_bus(MemoryBus())) as stage:
        assert (await stage.route())["version"] == "router@0"


async def test_a_gateway_that_can_serve_nothing_does_not_start(tmp_path: Path) -> None:
    """An incumbent without its API key and no promotion: one sentence that names the variable."""
    text = plan_text().replace('model = "big"', 'model = "big"\nkey_env = "BIG_KEY"')
    with pytest.raises(UserError, match=r"no version of task router can be opened: .* BIG_KEY"):
        async with gateway(text, tmp_path):
            pass


async def test_the_highest_generation_wins(model: Model, tmp_path: Path) -> None:
    """A topic that fell behind what this gateway has seen changes nothing, also over a restart; a greater one wins."""
    bus = MemoryBus()
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(50, model(2, "finance"))
    await publish_promotion(bus.producer(), promotion(2, model(1, "hr")))
    async with gateway(plan_text(), tmp_path, bus) as stage:
        assert (await stage.route())["version"] == "router@2"
        await until(lambda: not stage.service.unready())
        await stage.promote(51, model(1, "hr"))
        assert (await stage.route())["version"] == "router@1"
    async with gateway(plan_text(), tmp_path, MemoryBus()) as stage:
        assert (await stage.route())["version"] == "router@1"


async def test_a_record_that_is_no_promotion_is_passed_over(model: Model, tmp_path: Path) -> None:
    """Garbage, another plan's task and a tombstone do not stop the follower."""
    async with gateway(plan_text(NOWHERE), tmp_path) as stage:
        producer = stage.bus.producer()
        await producer.send(PROMOTIONS, b"{}", b"router")
        await producer.send(PROMOTIONS, None, b"router")
        other = promotion(9, model(1, "hr")).model_copy(update={"task": "elsewhere"})
        await publish_promotion(producer, other)
        await stage.promote(1, model(1, "hr"))
        assert (await stage.route())["version"] == "router@1"


async def test_a_promotion_taken_back_while_it_loads_never_serves(tmp_path: Path) -> None:
    """The table goes from what was to what is wanted; what was opened in vain is closed."""
    from serving.answering.routing import Desired
    from serving.versions.fleet import Fleet

    opening, closed = asyncio.Event(), list[str]()

    class Fake:
        def __init__(self, version: str) -> None:
            self.version = version

        capabilities, labels = frozenset[Capability](), ()

        async def run(self, request: Request) -> AsyncGenerator[Final]:
            raise EngineFailed("not asked")
            yield Final()

        async def close(self) -> None:
            closed.append(self.version)

    async def open_engine(task: str, served: Served) -> Fake:
        if served.version == "router@2":
            await opening.wait()
        return Fake(served.version)

    swapped: list[str] = []
    choices = {"router": Choice({label: label for label in LABELS}, {})}
    fleet = Fleet(
        open_engine, choices, {"router": INCUMBENT}, lambda: swapped.append(fleet.table["router"].live.served.version)
    )
    await fleet.start({"router": Desired(1, Served(version="router@1"))})
    fleet.want("router", Desired(2, Served(version="router@2")))
    await asyncio.sleep(0)
    fleet.want("router", Desired(3, Served(version="router@1")))
    opening.set()
    await until(lambda: fleet.table["router"].desired.generation == 3)
    await until(lambda: closed == ["router@2"])
    assert "router@2" not in swapped
    await fleet.close()
    assert closed == ["router@2", "router@1", "router@0"]  # the incumbent could stand in


async def heartbeat(stage: Stage, wanted: Callable[[Replica], bool]) -> Replica:
    """The newest acknowledgement that is wanted."""
    found: list[Replica] = []

    def look() -> bool:
        replicas = [Replica.model_validate_json(value) for value in records(stage.bus, REPLICAS.name)]
        found[:] = [replica for replica in replicas if wanted(replica)]
        return bool(found)

    await until(look)
    assert abs((datetime.now(UTC) - found[-1].at).total_seconds()) < 10
    return found[-1]


def records(bus: MemoryBus, topic: str) -> list[bytes]:
    return [message.value for (name, _), log in bus.logs.items() if name == topic for message in log if message.value]
