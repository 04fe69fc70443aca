"""A candidate that takes long to open holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from stage import gateway, plan_text, promotion, publish_promotion, until

from headrace.contract.control import Served
from serving.engines.engine import Engine

Model = Callable[[int, str], Served]


async def test_a_roll_back_waits_for_no_candidate(model: Model, tmp_path: Path) -> None:
    """While a candidate opens, which may take minutes, the standby takes over at once; the candidate never answers."""
    one, two, three = model(1, "hr"), model(2, "finance"), model(3, "it")
    async with gateway(plan_text(), tmp_path) as stage:
        await stage.promote(1, one)
        await stage.promote(2, two, previous=one)
        fleet, opened = stage.service.fleet, asyncio.Event()
        open_now = fleet._open_engine

        async def open_later(task: str, served: Served) -> Engine:
            if served == three:
                await opened.wait()
            return await open_now(task, served)

        fleet._open_engine = open_later
        producer = stage.bus.producer()
        await publish_promotion(producer, promotion(3, two, shadow=three, previous=one))
        await until(lambda: fleet._wanted["router"].generation == 3)
        await publish_promotion(producer, promotion(4, two, previous=one))
        await publish_promotion(producer, promotion(5, one))
        await until(lambda: fleet.table["router"].live.served.version == "router@1")
        assert (await stage.route())["version"] == "router@1"
        assert fleet.table["router"].desired.generation == 2, "acknowledged when all of it is there"
        opened.set()
        await until(lambda: fleet.table["router"].desired.generation == 5)
        assert (await stage.route())["version"] == "router@1"
        assert fleet.table["router"].ready == ["router@1"]
