"""A topic's copier: overlaps, keeps order, holds two blocks at most, and acknowledges nothing that is not stored."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from headrace.contract.control import DeadLetter
from headrace.contract.events import new_inference, pack
from headrace.contract.topics import INFERENCES
from headrace.errors import Permanent, Transient
from headrace.warehouse import MemorySink
from streams.copier import Copier
from streams.decode import Raw
from streams.patience import Patience
from streams.pressure import Lane, weight
from streams.rules import Rules
from streams.store import BLOCK_BYTES, Block
from streams.tables import table_of

TABLE = table_of(INFERENCES)
LARGE = b" " * BLOCK_BYTES + pack([new_inference("router", "r@1")])


class Gate(MemorySink):
    """Holds every insert until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.begun = 0

    def insert(self, table: str, rows: Sequence[bytes]) -> None:
        self.begun += 1
        self.open.wait(20)
        super().insert(table, rows)


class Line:
    """What a copier is given, and what it said about it."""

    def __init__(self, sink: MemorySink) -> None:
        self.sink, self.acknowledged, self.letters = sink, list[int](), list[DeadLetter]()
        self.lane = Lane(INFERENCES)
        self.offset = 0
        self.copier = Copier(TABLE, Rules(), sink, Patience(0.001, 0.002), self._publish, self._acknowledge, self.lane)

    async def take(self, value: bytes | None = None) -> None:
        self.offset += 1
        value = pack([new_inference("router", "r@1")]) if value is None else value
        await self.copier.take(Raw(INFERENCES.name, 0, self.offset, value), self.offset)

    async def _publish(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    async def _acknowledge(self, events: Sequence[Any]) -> None:
        self.acknowledged += events


@asynccontextmanager
async def running(line: Line) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(line.copier.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Permanent):
            await task


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_few_records_do_not_wait_for_more() -> None:
    """Three records alone are stored in one block and acknowledged in order, soon."""
    line = Line(MemorySink())
    async with running(line):
        for _ in range(3):
            await line.take()
        await until(lambda: line.acknowledged == [1, 2, 3])
    assert len(line.sink.tables["inferences"]) == 3


async def test_the_next_block_is_read_while_one_is_inserted() -> None:
    """With one block on its way a second one fills up; a third waits, and the records in it with it."""
    line = Line(gate := Gate())
    async with running(line):
        await line.take(LARGE)
        await until(lambda: gate.begun == 1)
        assert line.lane.in_blocks == weight(LARGE)
        await asyncio.wait_for(line.take(LARGE), 5)
        third = asyncio.ensure_future(line.take())
        await asyncio.sleep(0)
        assert not third.done() and gate.begun == 1 and line.acknowledged == []
        gate.open.set()
        await asyncio.wait_for(third, 5)
        await until(lambda: line.acknowledged == [1, 2, 3] and line.lane.in_blocks == 0)


async def test_nothing_is_acknowledged_that_is_not_stored() -> None:
    """A warehouse that refuses, for whatever reason, is waited for: nothing is acknowledged until it takes the rows."""
    sink = MemorySink()
    sink.fail = [Transient("too many parts", 252)] * 50 + [Permanent("no such table", 60)] * 50
    line = Line(sink)
    async with running(line):
        await line.take()
        await until(lambda: len(sink.fail) < 50)
        assert line.acknowledged == [] and sink.tables == {}
        assert line.lane.refusal is not None and line.lane.refusal.code == 60
        await until(lambda: line.acknowledged == [1])
    assert len(sink.tables["inferences"]) == 1 and line.lane.refusal is None


async def test_a_refused_login_ends_the_copier() -> None:
    """Waiting does not mend a password: the process ends, and the next one reads the password again."""
    sink = MemorySink()
    sink.fail = [Permanent("wrong password", 516)]
    line = Line(sink)
    async with running(line) as task:
        await line.take()
        with pytest.raises(Permanent):
            await asyncio.wait_for(asyncio.shield(task), 20)
    assert line.acknowledged == [] and sink.tables == {}


async def test_a_dead_letter_is_safe_before_its_record_is_acknowledged() -> None:
    """What cannot be a row is published first, and its neighbours are stored."""
    line = Line(MemorySink())
    async with running(line):
        await line.take(b"not JSON")
        await line.take()
        await until(lambda: line.acknowledged == [1, 2])
    assert [letter.offset for letter in line.letters] == [1] and len(line.sink.tables["inferences"]) == 1


async def test_a_record_larger_than_a_block_is_taken_alone() -> None:
    """Nothing is too large for ever: one oversized record fills a block and is stored."""
    line = Line(MemorySink())
    async with running(line):
        await line.take(LARGE + b" " * BLOCK_BYTES)
        await until(lambda: line.acknowledged == [1])


def test_many_small_records_are_a_full_block_too() -> None:
    """Records cost memory beside their bytes: a block of tiny ones is bounded."""
    block = Block(TABLE, Rules())
    while not block.full:
        block.add(Raw(INFERENCES.name, 0, len(block.records), b"7"))
    assert len(block.records) <= BLOCK_BYTES // 1024
    assert len(block.letters) == len(block.records)
