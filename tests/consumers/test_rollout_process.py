"""consumers.rollout as its own process on a real Kafka and ClickHouse, with hand-made gateways and traffic."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from following import send, tail
from rollout_stage import ROLLOUT, Gateway, Start, insert, of, planned, refusals, request, traffic, won

from headrace.contract.control import RequestKind, Served, Step
from headrace.contract.events import new_inference
from headrace.contract.topics import ACTIONS, JOBS, PROMOTIONS, ROLLOUTS
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack


async def test_a_candidate_walks_from_shadow_to_live(stack: Settings, warehouse: Warehouse, processes: Start) -> None:
    """Seed, shadow, two canary steps, live: each when its evidence is there, through a SIGKILL of the consumer."""
    settings = planned(stack, "walk")
    job, candidate = won(settings, "walk")
    process = await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions:
        (first,) = await promotions.until(of("walk"))
        assert (first.generation, first.step, first.live.version) == (1, Step.STEADY, "walk@0")
        async with Gateway(settings, "walk").serving(promotions):
            await send(settings, JOBS, job)
            asked = request("walk", RequestKind.PROMOTE, candidate, generation=1, reason="cheaper")
            await send(settings, ROLLOUTS, asked, asked)
            (shadow,) = await promotions.until(of("walk", Step.SHADOW))
            assert (shadow.generation, shadow.shadow, shadow.request_id) == (2, candidate, asked.request_id)
            live = new_inference("walk", "walk@0", label="hr")
            shown = {"arm": "shadow", "parent_id": live.inference_id}
            beside = [new_inference("walk", "walk@1", label="it" if n < 5 else "hr", **shown) for n in range(20)]
            insert(warehouse, "inferences", [live, *beside])
            (canary,) = await promotions.until(of("walk", Step.CANARY))
            assert (canary.generation, canary.canary, canary.canary_share) == (3, candidate, 0.1)
            assert "5 of 20 answers (25.0%) differ" in canary.reason
            process.signal(signal.SIGKILL)
            await process.ended()
            await processes(settings, ROLLOUT, "rollout").ready()
            traffic(warehouse, "walk", "live", "walk@0", 50, audited=30, wrong=3)
            traffic(warehouse, "walk", "canary", "walk@1", 30, audited=10, wrong=1)
            (second,) = await promotions.until(of("walk", Step.CANARY, generation=4))
            assert second.canary_share == 0.5
            assert "1 of 10 audited answers wrong (live: 3 of 30)" in second.reason
            traffic(warehouse, "walk", "canary", "walk@1", 30)
            (done,) = await promotions.until(of("walk", Step.STEADY, generation=2))
            assert (done.generation, done.live, done.previous.version) == (5, candidate, "walk@0")
            assert done.since == done.at
            # And back by hand, at once; a second time there is nothing to go back to.
            back = request("walk", RequestKind.ROLL_BACK, generation=5, reason="I say so")
            await send(settings, ROLLOUTS, back, request("walk", RequestKind.ROLL_BACK))
            (rolled,) = await promotions.until(lambda found: [one for one in of("walk")(found) if one.generation == 6])
            assert (rolled.live.version, rolled.previous, rolled.request_id) == ("walk@0", None, back.request_id)
            async with tail(settings, ACTIONS) as actions:
                (refused,) = await actions.until(refusals("walk"))
            assert "no version before walk@0" in refused.detail["reason"]
    # What was refused changed nothing: no generation that replicas would have to acknowledge, no clock.
    assert [one.generation for one in of("walk")(promotions.records)] == list(range(1, 7))
    async with tail(settings, ACTIONS) as actions:
        # Each generation has its author; the plan was told once, though rollout was started twice.
        done = await actions.until(
            lambda found: len(walked := [one for one in found if one.task == "walk"]) > 6 and walked
        )
        assert [(one.detail["generation"], one.kind, one.by) for one in done] == [
            (1, "promotion", "rollout"),
            (2, "promotion", "test"),
            (3, "promotion", "rollout"),
            (4, "promotion", "rollout"),
            (5, "promotion", "rollout"),
            (6, "rollback", "test"),
            (6, "rollback", "test"),
        ]
        assert done[5].detail["request_id"] == str(back.request_id) and done[6].detail["result"] == "refused"
        assert [one.by for one in actions.records if one.kind == "plan_changed"] == ["rollout"]


async def test_a_bad_candidate_is_rolled_back(stack: Settings, warehouse: Warehouse, processes: Start) -> None:
    """A failed parity check, bad audit labels and a gateway's abort each send everyone back to the live version."""
    settings = planned(stack, "bad")
    await processes(settings, ROLLOUT, "rollout").ready()
    gateway = Gateway(settings, "bad")
    async with tail(settings, PROMOTIONS) as promotions, gateway.serving(promotions):
        job, candidate = won(settings, "bad", 1)
        await send(settings, JOBS, job)
        gateway.error_on = "bad@1"
        await send(settings, ROLLOUTS, request("bad", RequestKind.PROMOTE, candidate))
        (back,) = await promotions.until(of("bad", Step.STEADY, generation=3))
        assert (back.live.version, back.shadow) == ("bad@0", None)
        assert back.reason == "a replica reports: gw: bad@1 failed its parity check"

        job, candidate = won(settings, "bad", 2)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("bad", RequestKind.PROMOTE, candidate))
        await promotions.until(of("bad", Step.SHADOW, generation=4))
        traffic(warehouse, "bad", "shadow", "bad@2", 20)
        await promotions.until(of("bad", Step.CANARY, generation=5))
        traffic(warehouse, "bad", "live", "bad@0", 200, audited=200, wrong=10)
        traffic(warehouse, "bad", "canary", "bad@2", 20, audited=20, wrong=15)
        (back,) = await promotions.until(of("bad", Step.STEADY, generation=6))
        assert back.reason.startswith("15 of 20 audited answers were wrong where the live version had 10 of 200")

        job, candidate = won(settings, "bad", 3)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("bad", RequestKind.PROMOTE, candidate))
        (shadow,) = await promotions.until(of("bad", Step.SHADOW, generation=7))
        abort = request("bad", RequestKind.ABORT, candidate, generation=shadow.generation, reason="3 of 3 failed")
        await send(settings, ROLLOUTS, abort)
        (aborted,) = await promotions.until(of("bad", Step.STEADY, generation=8))
        assert (aborted.reason, aborted.request_id) == ("test: 3 of 3 failed", abort.request_id)


async def test_what_must_not_be_promoted_is_refused(stack: Settings, processes: Start) -> None:
    """An older attempt, a changed artifact and a missing one are refused with a reason, and nothing else changes."""
    settings = planned(stack, "strict")
    await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions, tail(settings, ACTIONS) as actions:
        job, candidate = won(settings, "strict", 1, attempt=2)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("strict", RequestKind.PROMOTE, candidate))
        first = await actions.until(refusals("strict"))
        assert "is of attempt 1, and the job's current attempt is 2" in first[0].detail["reason"]

        job, candidate = won(settings, "strict", 2)
        (Path(candidate.artifact) / "head.safetensors").write_bytes(b"other weights")
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("strict", RequestKind.PROMOTE, candidate))
        assert "its sha256 differs" in (await actions.until(refusals("strict", 2)))[1].detail["reason"]

        nowhere = Served(version="strict@9", artifact=str(settings.home / "nowhere"))
        await send(settings, ROLLOUTS, request("strict", RequestKind.PROMOTE, nowhere))
        assert "there is no artifact at" in (await actions.until(refusals("strict", 3)))[2].detail["reason"]
        await promotions.until(of("strict"))
        await promotions.more(0.5)
        seen = of("strict")(promotions.records)
        assert [(one.generation, one.step, one.live.version) for one in seen] == [(1, Step.STEADY, "strict@0")]


async def test_a_step_without_traffic_is_abandoned(stack: Settings, processes: Start) -> None:
    """A candidate that one replica cannot load holds, and goes when the plan's time for the step is over."""
    settings = planned(stack, "stuck", timeout_s=3)
    await processes(settings, ROLLOUT, "rollout").ready()
    gateway = Gateway(settings, "stuck")
    gateway.refuses_to_load = True
    async with tail(settings, PROMOTIONS) as promotions, gateway.serving(promotions):
        job, candidate = won(settings, "stuck", 1)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("stuck", RequestKind.PROMOTE, candidate))
        (shadow,) = await promotions.until(of("stuck", Step.SHADOW))
        (back,) = await promotions.until(of("stuck", Step.STEADY, generation=3))
        assert back.reason == "abandoned after 3 s, waiting for 1 of 1 replicas to be ready"
        assert (back.at - shadow.at).total_seconds() >= 3


async def test_one_writer_at_a_time(stack: Settings, processes: Start) -> None:
    """A consumer that slept while another took its tasks over writes no promotion when it wakes."""
    settings = planned(stack, "pair")
    sleeper = await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions:
        await promotions.until(of("pair"))
        sleeper.signal(signal.SIGSTOP)
        successor = processes(settings, ROLLOUT, "rollout-2")
        job, candidate = won(settings, "pair", 1)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("pair", RequestKind.PROMOTE, candidate))
        await promotions.until(of("pair", Step.SHADOW), 60)
        sleeper.signal(signal.SIGCONT)
        await send(settings, ROLLOUTS, request("pair", RequestKind.ROLL_BACK))
        await promotions.until(of("pair", Step.STEADY, generation=3), 60)
        await promotions.more(2.0)
        assert [one.generation for one in of("pair")(promotions.records)] == [1, 2, 3]
    assert successor.popen.poll() is None
