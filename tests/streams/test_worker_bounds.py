"""What keeps a worker within bounds: bytes in flight, and a consumer that must not stop silently."""

from __future__ import annotations

import asyncio

from faust.types import TP

from streams.budget import ByteBudget
from streams.watchdog import Sighting, stuck

ONE, TWO = TP("headrace.inferences", 1), TP("headrace.jobs", 2)


async def test_records_wait_while_the_budget_is_spent() -> None:
    """A record is let in only when those held and it fit, and follows at once when others are released."""
    budget = ByteBudget(10)
    await budget.admit(b"1234567")
    waiting = asyncio.ensure_future(budget.admit(b"89abc"))
    await asyncio.sleep(0)
    assert not waiting.done() and budget.held == 7
    budget.release(7)
    assert await waiting == b"89abc" and budget.held == 5


async def test_a_record_larger_than_the_budget_is_let_in_alone() -> None:
    """Nothing is too large for ever: an oversized record passes when nothing else is held."""
    budget = ByteBudget(10)
    assert await budget.admit(b"x" * 50) is not None
    assert await asyncio.wait_for(_refused(budget), 5)


async def _refused(budget: ByteBudget) -> bool:
    task = asyncio.ensure_future(budget.admit(b"y"))
    await asyncio.sleep(0)
    waits = not task.done()
    budget.release(50)
    await task
    return waits


def test_a_partition_that_fetches_nothing_is_stuck() -> None:
    """Records waited, none was fetched until the next look: stuck; a moved or drained partition is not."""
    before = Sighting({ONE: 5, TWO: 5}, {ONE: 9, TWO: 9})
    assert stuck(before, Sighting({ONE: 5, TWO: 6}, {ONE: 12, TWO: 9}), frozenset()) == [ONE]
    assert stuck(Sighting({ONE: 9}, {ONE: 9}), Sighting({ONE: 9}, {ONE: 20}), frozenset()) == []
    assert stuck(Sighting({}, {}), before, frozenset()) == []


def test_a_busy_agent_is_not_stuck() -> None:
    """While an agent waits for the warehouse its topic may stand still."""
    before = Sighting({ONE: 5}, {ONE: 9})
    assert stuck(before, before, frozenset({ONE.topic})) == []
    assert stuck(before, before, frozenset({TWO.topic})) == [ONE]
