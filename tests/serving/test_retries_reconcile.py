"""A client's retries over restarts and through two gateways: real processes, real Kafka, real ClickHouse, SIGKILL."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
from gateway_process import Process, everything
from stage import plan_text

from headrace.contract.events import Event, new_feedback, new_inference, pack
from headrace.contract.topics import EMITTERS, FEEDBACK, INFERENCES
from headrace.plan import Privacy
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.decode import Raw
from streams.housekeeping import Housekeeping
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

pytestmark = pytest.mark.stack
BATCHES = 12


def batches() -> list[list[Event]]:
    """Each holds answers and a thumb about each of them."""
    made = []
    for _ in range(BATCHES):
        answers = [new_inference("router", "router@9", session_id="s") for _ in range(5)]
        made.append([*answers, *(new_feedback(one.inference_id, "user", "thumb", value=1) for one in answers)])
    return made


async def post(gateway: Process, found: Sequence[Sequence[Event]]) -> int:
    """Post batches until the gateway is gone; how many it answered with 202."""
    for number, batch in enumerate(found):
        try:
            answer = await gateway.client.post("/v1/events", content=pack(batch))
        except httpx.TransportError:
            return number
        assert answer.status_code == 202, answer.text
    return len(found)


@contextlib.asynccontextmanager
async def gateway(settings: Settings, name: str, how: signal.Signals = signal.SIGTERM) -> AsyncIterator[Process]:
    process = Process(settings, name)
    await process.start()
    try:
        yield process
    finally:
        await process.stop(how)
        await process.client.aclose()


async def copied(settings: Settings, warehouse: Warehouse) -> None:
    """What a worker does with the topics, from their beginning."""
    for topic in (INFERENCES, FEEDBACK, EMITTERS):
        records = [Raw(topic.name, one.partition, one.offset, one.value) for one in await everything(settings, topic)]
        # One by one, as they come: each retry is a part of its own, for a merge to replace.
        for start in range(0, len(records), 7):
            assert store(records[start : start + 7], table_of(topic), warehouse, Rules()) == []


async def test_retries_are_missing_nowhere(stack: Settings, tmp_path: Path) -> None:
    """A gateway is killed under a client that tries again, restarted and asked again beside another one: every event
    is one row, and what each of the four counted is stored or repeated."""
    (tmp_path / "flywheel.toml").write_text(plan_text())
    settings = stack.replaced(home=tmp_path / "var", plan=tmp_path / "flywheel.toml")
    found = batches()
    async with gateway(settings, "gateway-a", signal.SIGKILL) as first:
        assert await post(first, found[:8]) == 8
        under_way = asyncio.create_task(post(first, found))
        await asyncio.sleep(0.02)
        await first.stop(signal.SIGKILL)
        await under_way
    async with gateway(settings, "gateway-a") as second:
        assert await post(second, found) == BATCHES
    async with gateway(settings, "gateway-a") as third, gateway(settings, "gateway-b") as other:
        assert await asyncio.gather(post(third, found), post(other, found)) == [BATCHES, BATCHES]

    warehouse = Warehouse.connect(settings)
    keeper = Housekeeping(warehouse, Privacy(), "test")
    for settle in (False, True):
        # Twice: the second time as a replay.
        await copied(settings, warehouse)
        if settle:
            for table in ("inferences", "feedback"):
                warehouse.command(f"OPTIMIZE TABLE {table} FINAL")
            assert keeper.look().missing == 0
        quick, full = warehouse.query("cli/reconcile"), warehouse.query("cli/reconcile_full")
        assert quick == full
        for row in quick:
            assert (row["missing"], row["duplicated"], row["stored"]) == (0, 0, 5 * BATCHES), row
            assert row["emitted"] + row["uncounted"] == row["stored"] + row["repeated"], row
            # The second, the third and the other one had them all; the first had most.
            assert row["repeated"] >= 2 * 5 * BATCHES + 8 * 5, row
