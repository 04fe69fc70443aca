"""People's part of rollouts, and the hard alarm, by consumers.rollout as its own process on real servers."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

import pytest
from following import send, tail
from rollout_stage import ROLLOUT, Gateway, Start, of, planned, request, won

from headrace.contract.control import Promotion, RequestKind, Step
from headrace.contract.topics import ACTIONS, JOBS, PROMOTIONS, ROLLOUTS
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack


def rewrite(settings: Settings, *changes: tuple[str, str]) -> None:
    """Change the plan: each text, in the first task that has it, by another."""
    text = settings.plan.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    settings.plan.write_text(text)


def at_once(settings: Settings) -> None:
    """No task waits for traffic, and none is tried by a share."""
    text = settings.plan.read_text().replace("shadow_requests = 20", "shadow_requests = 0\nwatch_s = 0")
    settings.plan.write_text(text.replace("canary_shares = [0.1, 0.5]", "canary_shares = []"))


async def test_people_start_approve_pin_and_divert(stack: Settings, processes: Start) -> None:
    """propose stops at a recommendation and approval before live; another task goes its way meanwhile."""
    settings = planned(stack, "hands", "other")
    at_once(settings)
    rewrite(
        settings,
        ("labels = [", 'mode = "propose"\nlabels = ['),
        ("needs_labels", 'approval = "before_live"\nneeds_labels'),
    )
    await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions:

        async def changed(task: str, generation: int) -> Promotion:
            found = await promotions.until(of(task, generation=generation))
            return found[0]

        async with Gateway(settings, "hands").serving(promotions), Gateway(settings, "other").serving(promotions):
            job, candidate = won(settings, "hands")
            await send(settings, JOBS, job)
            await send(settings, ROLLOUTS, request("hands", RequestKind.PROMOTE, candidate))
            told = await changed("hands", 2)
            assert (told.step, told.shadow) == (Step.STEADY, None)
            assert told.reason == "hands@1 is recommended, start it with `headrace promote hands hands@1`"
            pin = request("hands", RequestKind.PIN, told.live, tenant="acme")
            await send(settings, ROLLOUTS, pin, pin)
            assert (await changed("hands", 3)).pins == {"acme": told.live}
            begun = request("hands", RequestKind.PROMOTE, candidate, by_hand=True)
            await send(settings, ROLLOUTS, begun)
            shadow, waiting = await changed("hands", 4), await changed("hands", 5)
            assert (waiting.step, waiting.at, waiting.request_id) == (Step.SHADOW, shadow.at, begun.request_id)
            assert waiting.reason.startswith("waits for a person: `headrace approve hands`; 1 replicas ready")
            other, tried = won(settings, "other", 2)
            await send(settings, JOBS, other)
            await send(settings, ROLLOUTS, request("other", RequestKind.PROMOTE, tried))
            assert (await changed("other", 3)).live == tried
            approve = request("hands", RequestKind.APPROVE, reason="seen")
            await send(settings, ROLLOUTS, approve)
            assert (await changed("hands", 6)).reason == "test: seen"
            live = await changed("hands", 7)
            assert (live.live, live.pins) == (candidate, {"acme": told.live})
            assert live.reason.startswith("test: seen; 1 replicas ready")
            assert live.request_id == begun.request_id
            await send(settings, ROLLOUTS, request("hands", RequestKind.DIVERT, share=0.3))
            assert (await changed("hands", 8)).incumbent_share == 0.3
            await send(settings, ROLLOUTS, request("hands", RequestKind.PIN, tenant="acme"))
            assert ((last := await changed("hands", 9)).pins, last.incumbent_share) == ({}, 0.3)
    async with tail(settings, ACTIONS) as actions:
        done = await actions.until(
            lambda found: len(all_ := [one for one in found if one.task == "hands"]) > 9 and all_
        )
    assert [(one.detail["generation"], one.kind, one.by) for one in done] == [
        (1, "promotion", "rollout"),
        (2, "promotion", "test"),
        (3, "promotion", "test"),
        (3, "promotion", "test"),
        (4, "promotion", "test"),
        (5, "promotion", "rollout"),
        (6, "promotion", "test"),
        (7, "promotion", "rollout"),
        (8, "rollback", "test"),
        (9, "promotion", "test"),
    ]
    assert "acme is pinned to hands@0 already" in done[3].detail["reason"]
    assert done[6].detail["request_id"] == str(approve.request_id)


async def test_a_freeze_holds_and_a_broken_version_is_relieved(
    stack: Settings, warehouse: Warehouse, processes: Start
) -> None:
    """A promotion waits out a freeze window, a pin does not; the incumbent helps from one proof to the other."""
    settings = planned(stack, "cold")
    at_once(settings)
    now = datetime.now(UTC)
    freeze = f"freeze = [{{from = {now - timedelta(days=1):%Y-%m-%d}, to = {now + timedelta(days=2):%Y-%m-%d}}}]\n"
    rewrite(settings, ("needs_labels", f"{freeze}incumbent_share_when_broken = 0.5\nneeds_labels"))
    process = await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions, Gateway(settings, "cold").serving(promotions):
        job, candidate = won(settings, "cold")
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("cold", RequestKind.PROMOTE, candidate))
        (told, *_) = await promotions.until(of("cold", generation=2))
        assert told.step is Step.STEADY
        assert told.reason.startswith("cold@1 waits for the end of a freeze window at ")
        await send(settings, ROLLOUTS, request("cold", RequestKind.PIN, told.live, tenant="acme"))
        await promotions.until(of("cold", generation=3))
        process.signal(signal.SIGTERM)
        await process.ended()
        rewrite(settings, (freeze, ""))
        await processes(settings, ROLLOUT, "rollout").ready()
        (live, *_) = await promotions.until(lambda found: [one for one in of("cold")(found) if one.live == candidate])
        assert live.pins == {"acme": told.live}

        measured(warehouse, "cold@1", fired=False, high=0.7)
        measured(warehouse, "cold@1", fired=True, high=0.7)
        (broken,) = await promotions.until(of("cold", generation=live.generation + 1))
        assert (broken.incumbent_share, broken.step, broken.live) == (0.5, Step.STEADY, candidate)
        assert broken.reason.startswith("cold@1 is broken: the label trigger fires")
        measured(warehouse, "cold@1", fired=True, high=0.95)
        (well,) = await promotions.until(of("cold", generation=live.generation + 2))
        assert well.incumbent_share is None and well.reason.startswith("cold@1 is well again")
    async with tail(settings, ACTIONS) as actions:
        steps = await actions.until(
            lambda found: (
                len(seen := [one for one in found if one.task == "cold" and "incumbent_share" in one.detail]) > 1
                and seen
            )
        )
    assert [(one.kind, one.by, one.detail["incumbent_share"]) for one in steps] == [
        ("rollback", "rollout", 0.5),
        ("promotion", "rollout", 0.0),
    ]


def measured(warehouse: Warehouse, version: str, *, fired: bool, high: float) -> None:
    """What a look of the monitor leaves: its label trigger, and a rolling accuracy as wide as ten points."""
    warehouse.command(
        "INSERT INTO evaluations (task, version, generation, detector, watermark, looked_at, fired)"
        " SELECT 'cold', {version:String}, 5, 'shiryaev_roberts', now64(3), now64(6), {fired:Bool}",
        version=version,
        fired=fired,
    )
    warehouse.command(
        "INSERT INTO accuracy (task, version, watermark, looked_at, n, correct, value, low, high, known_at)"
        " SELECT 'cold', {version:String}, now64(3), now64(6), 200, 150, 0.75, {low:Float64}, {high:Float64}, now64(6)",
        version=version,
        low=high - 0.1,
        high=high,
    )
