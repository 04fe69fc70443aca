"""What heartbeats say of a candidate: its own requests, failures and faults, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stage import INCUMBENT, Stage, Upstream, gateway, plan_text, until

from headrace.contract.control import Replica, Served
from headrace.contract.events import Arm
from headrace.contract.topics import REPLICAS

Model = Callable[[int, str], Served]


async def told(stage: Stage) -> Replica:
    """The newest heartbeat."""
    await stage.service._heartbeat.beat()
    beats = [message.value for (name, _), log in stage.bus.logs.items() if name == REPLICAS.name for message in log]
    return max((Replica.model_validate_json(beat or b"") for beat in beats), key=lambda replica: replica.at)


async def test_failures_that_the_live_version_covered_are_told(
    upstream: Upstream, model: Model, tmp_path: Path
) -> None:
    """Every request got its answer, and the candidate is said to have failed on those that it was asked."""
    async with gateway(plan_text(upstream.url, rollout="max_error_share = 0.5"), tmp_path) as stage:
        await stage.promote(1, model(1, "hr"))
        await stage.promote(2, model(1, "hr"), canary=INCUMBENT, canary_share=0.99)
        upstream.failures = [400] * 3
        for number in range(40):
            await stage.route(session_id=f"s-{number}")
        found = await told(stage)
        assert (found.candidate, found.candidate_failed, found.requests, found.failed) == ("router@0", 3, 40, 0)
        assert found.candidate_requests == len(upstream.requests) > 30


async def test_a_failing_live_version_is_not_told_of_the_candidate(
    upstream: Upstream, model: Model, tmp_path: Path
) -> None:
    """An outage of the incumbent fails the task's requests, and none of the candidate's."""
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        await stage.promote(2, INCUMBENT, canary=model(1, "hr"), canary_share=0.5)
        upstream.failures = [500] * 1000
        answered = 0
        for number in range(40):
            asked = {"text": "a", "session_id": f"s-{number}"}
            answered += (await stage.client.post("/v1/route", json=asked)).status_code == 200
        found = await told(stage)
        assert (found.candidate_requests, found.candidate_failed) == (answered, 0)
        assert 0 < found.failed == 40 - answered


async def test_a_gateway_that_cannot_load_the_live_version_tries_the_candidate(
    upstream: Upstream, model: Model, tmp_path: Path
) -> None:
    """It says what is wrong, not of the candidate, and is ready to answer with it."""
    gone = Served(version="router@7", artifact=str(tmp_path / "gone"))
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        await stage.promote(3, gone, canary=model(1, "hr"), canary_share=0.99)
        found = await told(stage)
        assert "gone" in found.error and (found.candidate_error, found.ready) == ("", ["router@0", "router@1"])
        assert "router@1" in {(await stage.route(session_id=f"s-{number}"))["version"] for number in range(9)}
        await stage.promote(4, model(1, "hr"), canary=gone, canary_share=0.5)
        found = await told(stage)
        assert "gone" in found.candidate_error and found.ready == ["router@1"]


async def test_a_new_live_version_is_watched_beside_the_one_before(model: Model, tmp_path: Path) -> None:
    """Which answers the same for nobody, while the plan's span lasts; heartbeats tell what the live one did."""
    first, second = model(1, "hr"), model(2, "finance")
    for span, expected in (("watch_s = 600", {"router@1"}), ("watch_s = 0", set())):
        async with gateway(plan_text(rollout=f"{span}\nwatch_share = 1.0"), tmp_path / span[-3:]) as stage:
            await stage.promote(1, first)
            await stage.promote(2, second, previous=first)
            answer = await stage.route()
            assert answer["version"] == "router@2"
            if expected:
                await until(lambda: any(event.arm is Arm.SHADOW for event in stage.recorded.inferences))
            shown = [event for event in stage.recorded.inferences if event.arm is Arm.SHADOW]
            assert {event.version for event in shown} == expected
            found = await told(stage)
            assert (found.candidate, found.candidate_requests, found.candidate_failed) == ("router@2", 1, 0)
