"""`python -m streams` as a child process, and what tests ask of the tables that it fills."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

from warm_processes import Popen

from headrace.contract.events import Event, new_inference
from headrace.settings import Settings
from headrace.warehouse import Warehouse


class Worker:
    """A worker under a name, its slot."""

    def __init__(self, settings: Settings, name: str = "streams-0") -> None:
        self.log = settings.home / f"{name}.log"
        with self.log.open("ab") as log:
            argv = ["-m", "streams", "--name", name]
            self.process = Popen("streams", argv, env=os.environ | settings.environ(), stdout=log, stderr=log)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(90)


async def until(holds: Callable[[], bool], within_s: float = 150.0) -> None:
    deadline = time.monotonic() + within_s
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline, f"not within {within_s} s"
        await asyncio.sleep(0.1)


def some(n: int, task: str) -> list[Event]:
    return [new_inference(task, "router@0", label="it", session_id=str(i), input="vpn?") for i in range(n)]


def count(warehouse: Warehouse, task: str, table: str = "inferences") -> tuple[int, int]:
    """Rows and distinct ids of a task."""
    identity = {"inferences": "inference_id", "feedback": "feedback_id"}[table]
    sql = f"SELECT count() AS n, uniqExact({identity}) AS ids FROM {table} FINAL WHERE task = {{task:String}}"
    row = warehouse.rows(sql, task=task)[0]
    return row["n"], row["ids"]
