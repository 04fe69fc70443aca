"""Job numbers never restart: whatever becomes of the jobs topic, on a real Kafka and ClickHouse."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from following import Process, send, trigger, until
from losses import copy, empty, headrace, put

from headrace.bus.kafka import snapshot
from headrace.contract.compacted import compacted
from headrace.contract.control import Job, JobState
from headrace.contract.topics import JOBS, TRIGGERS
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

Start = Callable[..., Process]
SCRIPT = [str(Path(__file__).with_name("retrain_process.py"))]
PLAN = """
version = 1
[tasks.lost]
labels = ["hr", "it"]
[tasks.lost.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
version = "lost@0"
[tasks.lost.candidates.probe]
method = "probe"
"""


async def ended(settings: Settings, number: int) -> Job:
    """The task's job of that number, once it has ended."""
    async with asyncio.timeout(60):
        while True:
            topic = compacted(await snapshot(settings, JOBS), JOBS, Job)
            for job in topic.read.values():
                if job.number == number and job.state is JobState.NO_WINNER:
                    return job
            await asyncio.sleep(0.1)


async def test_a_lost_topic_and_garbage_stop_the_task_and_lose_no_trigger(
    stack: Settings, warehouse: Warehouse, processes: Start
) -> None:
    """Emptied, or with a job that cannot be read, the topic gets no new job; restored, the trigger becomes the next."""
    home = stack.home / "lost"
    home.mkdir()
    (home / "flywheel.toml").write_text(PLAN)
    (home / "fake.json").write_text('{"lost": ["lose"]}')
    settings = stack.replaced(home=home, plan=home / "flywheel.toml", artifacts=home / "artifacts")
    process = await processes(settings, SCRIPT, "retrain").ready()
    await send(settings, TRIGGERS, trigger("lost"))
    first = await ended(settings, 1)
    await copy(settings, warehouse, JOBS)
    process.signal(signal.SIGKILL)
    await process.ended()
    await empty(settings, JOBS, "truncated")
    process = await processes(settings, SCRIPT, "retrain").ready()
    await send(settings, TRIGGERS, trigger("lost"))
    await until(lambda: "1 jobs that the topic does not have" in process.log.read_text())
    garbage = str(UUID(int=first.job_id.int ^ 1))
    await put(settings, JOBS, b"garbage", garbage)
    code, said = await asyncio.to_thread(headrace, settings, "control", "restore")
    assert code == 0, said
    assert "job 1 of lost is no_winner" in said and f"job {garbage} cannot be read anywhere and is given up" in said
    second = await ended(settings, 2)
    assert second.version == "lost@2"
    topic = compacted(await snapshot(settings, JOBS), JOBS, Job)
    assert (len(topic.read), topic.unreadable) == (2, {})
    assert topic.read[str(first.job_id)].number == 1
