"""Blocking work beside the event loop, where each kind of work has a thread of its own.

asyncio's shared pool has six threads on two cores: twelve topics and the duties beside them would wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


class Run(Protocol):
    """Runs blocking steps, one at a time, in the order in which they were asked for."""

    async def __call__(self, step: Callable[[], T]) -> T:
        """What the step returns or raises."""
        ...


def own_thread(name: str) -> Run:
    """A thread for one kind of work; it starts with the first step.

    name: what the thread is called
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, step)

    return run
