"""A gateway keeps what it has: whatever becomes of the promotions topic, and of its own file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage import INCUMBENT, Stage, gateway, plan_text, promotion, publish_promotion, until

from headrace.bus.memory import MemoryBus
from headrace.contract.control import Served
from headrace.contract.topics import PROMOTIONS

Model = Callable[[int, str], Served]


async def put(bus: MemoryBus, value: bytes | None, key: bytes = b"router") -> None:
    await bus.producer().send(PROMOTIONS, value, key)


def newer(generation: int, served: Served, **fields: Any) -> bytes:
    """A promotion that a newer version wrote."""
    return json.dumps(promotion(generation, served).model_dump(mode="json", exclude_none=True) | fields).encode()


async def metric(stage: Stage, name: str) -> float:
    text = (await stage.client.get("/metrics")).text
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


async def turns_unreadable(stage: Stage) -> None:
    async with asyncio.timeout(30):
        while not await metric(stage, "headrace_promotion_unreadable"):  # noqa: ASYNC110 (a metric has no event)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("value", [b"garbage", b"{}"], ids=["garbage", "no promotion"])
async def test_garbage_changes_nothing(model: Model, tmp_path: Path, value: bytes) -> None:
    """Neither while it runs nor over a restart; the gateway stays ready and says so in its metrics."""
    bus = MemoryBus()
    async with gateway(plan_text(), tmp_path, bus) as stage:
        await stage.promote(3, model(1, "hr"))
        await put(bus, value)
        await turns_unreadable(stage)
        assert (await stage.route())["version"] == "router@1"
    async with gateway(plan_text(), tmp_path, bus) as stage:
        assert (await stage.route())["version"] == "router@1"
        await until(lambda: not stage.service.unready())
        assert await metric(stage, "headrace_promotion_unreadable") == 1
        await stage.promote(4, model(2, "finance"))
        assert (await stage.route())["version"] == "router@2"
        assert await metric(stage, "headrace_promotion_unreadable") == 0


async def test_a_newer_version_is_kept_out_and_newer_fields_are_kept(model: Model, tmp_path: Path) -> None:
    """A field of the same version serves and stands in the file; a record of a newer version changes nothing."""
    bus = MemoryBus()
    async with gateway(plan_text(), tmp_path, bus) as stage:
        await put(bus, newer(3, model(1, "hr"), pinned="yes"))
        await until(lambda: stage.service.fleet.table["router"].desired.generation == 3)
        await put(bus, newer(4, model(2, "finance"), schema_version=2))
        await turns_unreadable(stage)
        assert (await stage.route())["version"] == "router@1"
    (kept,) = json.loads((tmp_path / "promotions.json").read_text())
    assert (kept["generation"], kept["pinned"]) == (3, "yes")
    async with gateway(plan_text(), tmp_path, bus) as stage:
        assert (await stage.route())["version"] == "router@1"


async def test_an_emptied_topic_changes_nothing(model: Model, tmp_path: Path) -> None:
    """Over two restarts, with and without what the file knows of tasks that the plan has no more."""
    bus = MemoryBus()
    async with gateway(plan_text(), tmp_path, bus) as stage:
        await stage.promote(3, model(1, "hr"))
        await put(bus, None)
    for _ in range(2):
        async with gateway(plan_text(), tmp_path, MemoryBus()) as stage:
            assert (await stage.route())["version"] == "router@1"
            await until(lambda: not stage.service.unready())
    other = plan_text().replace("tasks.router", "tasks.other").replace("router@0", "other@0")
    async with gateway(other, tmp_path, MemoryBus()):
        pass
    async with gateway(plan_text(), tmp_path, MemoryBus()) as stage:
        assert (await stage.route())["version"] == "router@1"


@pytest.mark.parametrize("damage", ["cut", "newer"])
async def test_a_file_that_cannot_be_read_is_kept_aside(model: Model, tmp_path: Path, damage: str) -> None:
    """What the topic says serves; without it the plan's incumbent does, not ready, with the reason."""
    bus, file = MemoryBus(), tmp_path / "promotions.json"
    async with gateway(plan_text(), tmp_path, bus) as stage:
        await stage.promote(3, model(1, "hr"))
    whole = file.read_text()
    damaged = whole[:50] if damage == "cut" else "[" + newer(3, model(1, "hr"), schema_version=2).decode() + "]"
    file.write_text(damaged)
    for _ in range(2):
        async with gateway(plan_text(), tmp_path, MemoryBus()) as stage:
            assert stage.service.fleet.table["router"].live.served == INCUMBENT
            assert any("nothing says what serves" in reason for reason in stage.service.unready())
    async with gateway(plan_text(), tmp_path, bus) as stage:
        assert (await stage.route())["version"] == "router@1"
        await until(lambda: not stage.service.unready())
    (aside,) = tmp_path.glob("promotions.*.unreadable")
    assert aside.read_text() == damaged and file.read_text() == whole


async def test_a_topic_that_cannot_be_read_is_no_first_start(model: Model, tmp_path: Path) -> None:
    """A gateway without a file whose topic holds garbage serves the incumbent and is not ready until it is mended."""
    bus = MemoryBus()
    await put(bus, b"garbage")
    async with gateway(plan_text(), tmp_path, bus) as stage:
        assert any("nothing says what serves" in reason for reason in stage.service.unready())
        await publish_promotion(bus.producer(), promotion(9, model(1, "hr")))
        await until(lambda: stage.service.fleet.table["router"].desired.generation == 9)
        await until(lambda: not stage.service.unready())
        assert (await stage.route())["version"] == "router@1"
