"""One topic into its table: the next block is read and decoded while the one before is inserted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError

from headrace.contract.control import DeadLetter
from headrace.contract.excerpt import shortened
from headrace.warehouse import Sink
from streams.decode import Raw
from streams.patience import Patience
from streams.poison import Judged
from streams.pressure import Lane
from streams.rules import Rules
from streams.store import Block
from streams.tables import Table

# A record waits at most so long for others before its block is stored, unless the block before is still on its way.
GATHER_S = 0.3
PUBLISH_AT_ONCE = 100

Publish = Callable[[DeadLetter], Awaitable[None]]
Acknowledge = Callable[[Sequence[Any]], Awaitable[None]]
Judge = Callable[[Sequence[Raw], Sequence[DeadLetter]], Awaitable[Judged]]


class Copier:
    """Gathers records into blocks and stores them one after the other.

    rules: what its events must meet
    publish: returns when a dead letter is safe
    acknowledge: is told of a block's events once their rows and dead letters are safe, blocks in the order they came
    lane: runs the inserts, and is told what the blocks hold and why one has to wait
    judge: says which dead letters and records of a block may go on (streams.poison); without it all of them

    Two blocks are held at most, one that gathers and one that is stored: a warehouse that is slow makes `take` wait.
    """

    def __init__(
        self,
        table: Table,
        rules: Rules,
        sink: Sink,
        patience: Patience,
        publish: Publish,
        acknowledge: Acknowledge,
        lane: Lane,
        judge: Judge | None = None,
    ) -> None:
        self._table, self._rules, self._sink, self._patience = table, rules, sink, patience
        self._publish, self._acknowledge, self._lane, self._judge = publish, acknowledge, lane, judge
        self._block, self._events = Block(table, rules), list[Any]()
        self._due, self._room = asyncio.Event(), asyncio.Event()

    async def take(self, record: Raw, event: Any) -> None:
        """Returns once there is room for the record; `event` is what `acknowledge` will be given for it."""
        while self._block.full:
            self._room.clear()
            await self._room.wait()
        if not self._events:
            asyncio.get_running_loop().call_later(GATHER_S, self._ripe, self._block)
        before = self._block.size
        self._block.add(record)
        self._lane.in_blocks += self._block.size - before
        self._events.append(event)
        if self._block.full:
            self._due.set()

    def _ripe(self, block: Block) -> None:
        if block is self._block:
            self._due.set()

    async def run(self) -> None:
        """Store blocks for ever. Raises what no waiting mends: the block on its way was not acknowledged."""
        while True:
            await self._due.wait()
            self._due.clear()
            if not self._events:
                continue
            block, events = self._block, self._events
            self._block, self._events = Block(self._table, self._rules), []
            self._room.set()
            # Rows that the insert refuses make it larger meanwhile.
            held = block.size
            letters = await self._patience.keep_trying(partial(block.store, self._sink), self._lane)
            if self._judge is not None:
                judged = await self._judge(block.records, letters)
                letters = judged.letters
                events = [event for record, event in zip(block.records, events, strict=True) if judged.takes(record)]
            for first in range(0, len(letters), PUBLISH_AT_ONCE):
                await asyncio.gather(*map(self._tell, letters[first : first + PUBLISH_AT_ONCE]))
            await self._acknowledge(events)
            self._lane.in_blocks -= held

    async def _tell(self, letter: DeadLetter) -> None:
        """Publish a letter; in short where its topic takes less than headrace has it take."""
        try:
            await self._publish(letter)
        except Exception as error:
            if not letter.original or not isinstance(error.__cause__ or error, MessageSizeTooLargeError):
                raise
            await self._publish(letter.model_copy(update=shortened(letter.original)))
