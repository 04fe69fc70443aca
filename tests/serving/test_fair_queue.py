"""Who gets a place at a full host: callers in turn, and each its share of the queue."""

from __future__ import annotations

import asyncio

import pytest

from serving.engines.admission import Admission, Place
from serving.engines.engine import DeadlinePassed, EngineBusy


async def waiting(admission: Admission, caller: str, order: list[str]) -> asyncio.Task[Place]:
    """A request that waits for its turn, and notes it."""

    async def wait() -> Place:
        place = admission.entered(None, caller) or await admission.turn(None, caller)
        order.append(caller)
        return place

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return task


async def test_callers_take_turns() -> None:
    """One that sent ten before another's first does not keep it waiting for ten."""
    admission, order = Admission("host", 1, 100), list[str]()
    place = admission.entered(None, "many")
    tasks = [await waiting(admission, "many", order) for _ in range(10)]
    tasks += [await waiting(admission, "few", order) for _ in range(2)]
    for _ in range(12):
        assert place is not None
        place.leave()
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        tasks = [task for task in tasks if task not in done]
        (place,) = [task.result() for task in done]
    assert order[:5] == ["many", "few", "many", "few", "many"] and order.count("many") == 10
    place.leave()
    assert admission.entered(None, "late") is not None


async def test_a_full_queue_is_shared() -> None:
    """The newest of the caller with the most gives way to one with less than its share, and is told when to come."""
    admission, order = Admission("host", 1, 4), list[str]()
    assert admission.entered(None, "many") is not None
    many = [await waiting(admission, "many", order) for _ in range(4)]
    with pytest.raises(EngineBusy) as refused:
        admission.entered(None, "many")
    assert not refused.value.of_caller and refused.value.retry_after_s >= 1
    few = [await waiting(admission, "few", order) for _ in range(2)]
    await asyncio.wait(many[2:])
    for task in many[2:]:
        error = task.exception()
        assert isinstance(error, EngineBusy) and error.of_caller and "its share" in str(error)
    assert not any(task.done() for task in (*many[:2], *few))
    with pytest.raises(EngineBusy):
        admission.entered(None, "few")
    for task in (*many[:2], *few):
        task.cancel()
    await asyncio.gather(*many, *few, return_exceptions=True)
    again = [await waiting(admission, "late", order) for _ in range(4)]
    assert not any(task.done() for task in again)


async def test_who_leaves_the_queue_takes_nobodys_turn() -> None:
    """A cancelled request and one whose deadline passed are passed over."""
    admission, order = Admission("host", 1, 10), list[str]()
    place = admission.entered(None, "a")
    gone, stays = await waiting(admission, "b", order), await waiting(admission, "c", order)
    with pytest.raises(DeadlinePassed):
        await admission.turn(asyncio.get_running_loop().time() - 1, "d")
    gone.cancel()
    assert place is not None
    place.leave()
    assert isinstance(await stays, Place) and order == ["c"]
