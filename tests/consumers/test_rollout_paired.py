"""A shadow and a live version that experts' labels decide on, on a real Kafka and ClickHouse."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from following import send, tail
from rollout_stage import ROLLOUT, Gateway, Start, insert, of, planned, request, won

from headrace.contract.control import Promotion, RequestKind, Served, Step
from headrace.contract.events import new_feedback, new_inference
from headrace.contract.topics import JOBS, PROMOTIONS, ROLLOUTS
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack


async def test_a_shadow_waits_for_labels_of_disagreements(
    stack: Settings, warehouse: Warehouse, processes: Start
) -> None:
    """What differs is drawn for experts, with its probability; their labels, and nothing else, let it go on."""
    settings = planned(stack, "paired", labels=True)
    await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions, Gateway(settings, "paired").serving(promotions):
        job, candidate = won(settings, "paired", 1)
        await send(settings, JOBS, job)
        await send(settings, ROLLOUTS, request("paired", RequestKind.PROMOTE, candidate))
        await promotions.until(of("paired", Step.SHADOW))
        asked = [new_inference("paired", "paired@0", label="hr") for _ in range(400)]
        shown = [
            new_inference(
                "paired", "paired@1", label="it" if n < 80 else "hr", arm="shadow", parent_id=one.inference_id
            )
            for n, one in enumerate(asked)
        ]
        insert(warehouse, "inferences", [*asked, *shown])
        queue = "SELECT inference_id, inclusion_probability AS chance FROM review_queue WHERE task = 'paired'"
        async with asyncio.timeout(60):
            while not (drawn := await asyncio.to_thread(warehouse.rows, queue)):  # noqa: ASYNC110 (the consumer draws)
                await asyncio.sleep(0.2)
        await promotions.more(3.0)
        assert of("paired")(promotions.records)[1].step is Step.SHADOW and len(of("paired")(promotions.records)) == 2
        differing = {one.inference_id for one in asked[:80]}
        assert {row["chance"] for row in drawn} == {0.5} and 20 < len(drawn) < 60
        assert {row["inference_id"] for row in drawn} <= differing
        labels = [new_feedback(row["inference_id"], "audit", "label", label="it") for row in drawn]
        insert(warehouse, "feedback", labels)
        (canary,) = await promotions.until(of("paired", Step.CANARY))
        assert f"of {len(drawn)} of these that were reviewed it gained {len(drawn)} and lost 0" in canary.reason


async def test_a_live_version_that_turns_out_worse_goes_back(
    stack: Settings, warehouse: Warehouse, processes: Start
) -> None:
    """The version before it answers the same beside it; labels of what differs bring it back, with that reason."""
    settings = planned(stack, "watch")
    now = datetime.now(UTC)
    one, before = Served(version="watch@1"), Served(version="watch@0")
    live = Promotion(task="watch", generation=5, step=Step.STEADY, live=one, previous=before, since=now, at=now)
    await send(settings, PROMOTIONS, live)
    await processes(settings, ROLLOUT, "rollout").ready()
    async with tail(settings, PROMOTIONS) as promotions, Gateway(settings, "watch").serving(promotions):
        asked = [new_inference("watch", "watch@1", label="hr") for _ in range(2000)]
        shown = [
            new_inference(
                "watch", "watch@0", label="it" if n < 140 else "hr", arm="shadow", parent_id=each.inference_id
            )
            for n, each in enumerate(asked)
        ]
        insert(warehouse, "inferences", [*asked, *shown])
        labels = [new_feedback(each.inference_id, "audit", "label", label="it") for each in asked[:60]]
        insert(warehouse, "feedback", labels)
        (back,) = await promotions.until(of("watch", generation=6))
        assert (back.step, back.live.version, back.previous) == (Step.STEADY, "watch@0", None)
        assert "of 60 reviewed answers on which it differs from the version before it lost 60" in back.reason
