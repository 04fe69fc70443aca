"""The promotions topic recreated, or written by a newer version, under gateways that are killed and started again."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_process import running
from losses import copy, empty, headrace, put
from owner_process import rollout
from stage import plan_text, promotion

from headrace.contract.control import Served
from headrace.contract.topics import PROMOTIONS
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = [pytest.mark.stack, pytest.mark.acceptance, pytest.mark.timeout(900)]

Model = Callable[[int, str], Served]


@pytest.mark.parametrize("how", ["newer", "garbage", "recreated", "truncated"])
async def test_killed_gateways_serve_what_they_served(
    stack: Settings, warehouse: Warehouse, model: Model, tmp_path: Path, how: str
) -> None:
    """Two gateways and the owner are killed and started again over a topic that cannot be read: `router@1` answers at
    every moment, and after a restore."""
    plan = tmp_path / "flywheel.toml"
    plan.write_text(plan_text())
    settings = stack.replaced(plan=plan, home=tmp_path)
    warehouse.command("TRUNCATE TABLE promotions")
    warehouse.command("TRUNCATE TABLE replicas")
    await put(settings, PROMOTIONS, promotion(7, model(1, "hr")).to_json(), "router")
    await copy(settings, warehouse, PROMOTIONS)
    for number in (1, 2):
        async with running(settings) as first, running(settings.replaced(home=tmp_path / "b")) as second:
            assert {(await one.route())["version"] for one in (first, second)} == {"router@1"}
            if number == 1:
                newer = promotion(8, model(2, "it")).model_dump(mode="json") | {"schema_version": 2}
                value = json.dumps(newer).encode() if how == "newer" else b"\x00garbage"
                if how in ("recreated", "truncated"):
                    await empty(settings, PROMOTIONS, how)
                else:
                    await put(settings, PROMOTIONS, value, "router")
            async with rollout(settings) as owner:
                assert "unreadable" in owner.log.read_text()
                assert {(await one.route())["version"] for one in (first, second)} == {"router@1"}
            for one in (first, second):
                await one.stop(signal.SIGKILL)
    async with running(settings) as last:
        code, said = headrace(settings, "control", "restore")
        assert code == 0 and "router@1 is live" in said, said
        assert (await last.route())["version"] == "router@1"
    await empty(settings, PROMOTIONS, "recreated")
