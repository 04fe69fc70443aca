"""Whatever becomes of the promotions topic, what serves stays: the real Kafka, the owner's process and two gateways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from losses import copy, empty, headrace, put, written
from owner_process import Owner, rollout, serving
from stage import Stage, plan_text, promotion, until

from headrace.cli.control import troubles
from headrace.contract import ids
from headrace.contract.control import RequestKind, RolloutRequest, Served
from headrace.contract.events import new_inference
from headrace.contract.topics import PROMOTIONS, ROLLOUTS
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

Model = Callable[[int, str], Served]


@pytest.fixture(scope="module")
async def planned(stack: Settings) -> Settings:
    """One broker and one plan for every test; a step of its rollouts needs ready gateways and nothing else."""
    stack.home.joinpath("flywheel.toml").write_text(
        plan_text(rollout="shadow_requests = 0\nneeds_labels = false\ncanary_requests = 1\ncanary_shares = [0.2, 0.5]")
    )
    return stack.replaced(plan=stack.home / "flywheel.toml")


Pair = tuple[Stage, Stage]


@asynccontextmanager
async def two_gateways(settings: Settings) -> AsyncIterator[Pair]:
    async with serving(settings, "gateway-a") as a, serving(settings, "gateway-b") as b:
        yield a, b


def with_field(served: Served, **fields: Any) -> Served:
    """A version with fields that this headrace does not know."""
    return Served.model_validate(served.model_dump() | fields)


def answered(warehouse: Warehouse, version: str) -> None:
    """A canary's answer that counts for every step of the next minutes."""
    event = new_inference("router", version, arm="canary", occurred_at=datetime.now(UTC) + timedelta(minutes=5))
    place = {"kafka_topic": "t", "kafka_partition": 0, "kafka_offset": 0, "kafka_index": 0, "extra": "", "signed": True}
    row = event.model_dump(mode="json", exclude_none=True) | place
    warehouse.insert("inferences", [json.dumps(row).encode()])


def roll_back() -> RolloutRequest:
    now = datetime.now(UTC)
    return RolloutRequest(request_id=ids.uuid7(now), task="router", kind=RequestKind.ROLL_BACK, at=now, by="test")


async def answers(*stages: Stage) -> set[str]:
    return {(await stage.route())["version"] for stage in stages}


async def generation(settings: Settings, at_least: int) -> dict[str, Any]:
    """The promotion on the topic once it is of that generation."""
    async with asyncio.timeout(40):
        while (found := await written(settings, "router")).get("generation", 0) < at_least:  # noqa: ASYNC110 (a topic's)
            await asyncio.sleep(0.05)
    return found


async def told(warehouse: Warehouse, reason: str) -> None:
    """Return when the owner has written down what it cannot read."""
    sql = "SELECT count() AS n FROM unreadable WHERE task = 'router' AND position(reason, {reason:String}) > 0"
    await until(lambda: warehouse.rows(sql, reason=reason)[0]["n"])


async def restored(settings: Settings, above: int, version: str, *stages: Stage) -> dict[str, Any]:
    """Restore by the command line; every gateway then follows a greater generation of the same version."""
    code, said = await asyncio.to_thread(headrace, settings, "control", "restore")
    assert (code, f"generation {above + 1} of router" in said) == (0, True), said
    found = await generation(settings, above + 1)
    assert found["live"]["version"] == version and "restored from generation" in found["reason"]
    for stage in stages:
        await until(lambda: stage.service.fleet.table["router"].desired.generation >= above + 1)  # noqa: B023
    return found


@pytest.mark.acceptance
async def test_a_deployment_is_rolled_back_within_a_canary(
    planned: Settings, warehouse: Warehouse, model: Model
) -> None:
    """A newer owner's fields, at the top and in the versions, live through the older owner's steps; then garbage and
    a truncated topic change nothing either, and a restored promotion goes on from where it was."""
    live, canary = with_field(model(1, "hr"), region="eu"), with_field(model(2, "finance"), tier={"gpu": 1})
    newer = promotion(5, live, canary=canary, canary_share=0.2).model_dump(mode="json") | {"pinned_by": "ana"}
    await put(planned, PROMOTIONS, json.dumps(newer).encode(), "router")
    answered(warehouse, "router@2")
    async with two_gateways(planned) as pair, rollout(planned) as owner:
        done = await generation(planned, 7)
        assert (done["step"], done["live"]["version"], done["previous"]["version"]) == (
            "steady",
            "router@2",
            "router@1",
        )
        assert (done["live"]["tier"], done["previous"]["region"], done["pinned_by"]) == ({"gpu": 1}, "eu", "ana")
        await copy(planned, warehouse, PROMOTIONS)
        await owner.kill()
        await _garbage(planned, warehouse, owner, pair)
        await copy(planned, warehouse, PROMOTIONS)
        await owner.kill()
        await _lost(planned, warehouse, owner, pair)


async def _garbage(planned: Settings, warehouse: Warehouse, owner: Owner, pair: Pair) -> None:
    """Garbage under the task's key; a request for it waits for its answer."""
    await put(planned, PROMOTIONS, b"garbage", "router")
    asked = roll_back()
    await put(planned, ROLLOUTS, asked.to_json(), "router")
    await owner.start()
    await told(warehouse, "Invalid JSON")
    assert (await answers(*pair)) == {"router@2"}
    assert any("Invalid JSON" in line for line in await asyncio.to_thread(troubles, planned))
    code, said = await asyncio.to_thread(headrace, planned, "control", "show")
    assert (code, "Invalid JSON" in said) == (1, True), said
    code, said = await asyncio.to_thread(headrace, planned, "control", "restore", "--task", "router", "--dry-run")
    assert (code, "would write: generation 8 of router" in said) == (0, True), said
    found = await restored(planned, 7, "router@2", *pair)
    assert (found["live"]["tier"], found["pinned_by"]) == ({"gpu": 1}, "ana")
    back = await generation(planned, 9)
    assert (back["request_id"], back["live"]["version"]) == (str(asked.request_id), "router@1")


async def _lost(planned: Settings, warehouse: Warehouse, owner: Owner, pair: Pair) -> None:
    """A topic without any record, which is no first start, for the owner nor for a gateway that starts again."""
    await empty(planned, PROMOTIONS, "truncated")
    await owner.start()
    await told(warehouse, "copied generation 9")
    assert (await answers(*pair)) == {"router@1"}
    await restored(planned, 9, "router@1", *pair)
    code, said = await asyncio.to_thread(headrace, planned, "control", "restore")
    assert (code, "nothing is wrong" in said) == (2, True), said
