"""The warehouse's copy of the control topics, asked by their owners; ClickHouse may be away."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from headrace.contract.compacted import Unreadable
from headrace.contract.topics import Topic
from headrace.errors import WarehouseError
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from headrace.warehouse.copies import Copies

log = logging.getLogger(__name__)

T = TypeVar("T")

# An owner waits for it before it takes up a partition.
ANSWER_S = 5


class Copy(Protocol):
    """What was on the control topics, and what is wrong with them now. None where the warehouse does not answer."""

    async def generations(self) -> Mapping[str, int] | None:
        """The newest generation of each task's promotion."""

    async def jobs(self) -> Mapping[str, str] | None:
        """The task of each job, by the job's id."""

    async def alarm(self, topic: Topic, found: Unreadable, owner: str) -> bool:
        """Write down that a record cannot be read, for people to be told; whether it is written."""


class Alarms:
    """Tells people what cannot be read, each reason once.

    owner: who found it
    """

    def __init__(self, copy: Copy, owner: str) -> None:
        self._copy = copy
        self._owner = owner
        self._logged: set[tuple[str, str]] = set()
        self._written: set[tuple[str, str]] = set()

    async def raise_for(self, topic: Topic, found: Iterable[Unreadable]) -> None:
        """Log it, and write it down as soon as the warehouse takes it."""
        for one in found:
            what = (one.key, one.reason)
            if what not in self._logged:
                self._logged.add(what)
                log.error(
                    "%s: %s is unreadable and left as it is; `headrace control show` tells more: %s",
                    topic.name,
                    one.key,
                    one.reason,
                )
            if what not in self._written and await self._copy.alarm(topic, one, self._owner):
                self._written.add(what)


class WarehouseCopy:
    """The copy in ClickHouse."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._warehouse: Warehouse | None = None

    async def generations(self) -> Mapping[str, int] | None:
        """See Copy.generations."""
        return await self._ask(lambda warehouse: Copies(warehouse).generations())

    async def jobs(self) -> Mapping[str, str] | None:
        """See Copy.jobs."""
        return await self._ask(lambda warehouse: Copies(warehouse).jobs())

    async def alarm(self, topic: Topic, found: Unreadable, owner: str) -> bool:
        """See Copy.alarm."""
        row = {"topic": topic.name, "key": found.key, "task": found.task, "reason": found.reason, "owner": owner}

        def write(warehouse: Warehouse) -> bool:
            warehouse.insert("unreadable", [json.dumps(row).encode()])
            return True

        return await self._ask(write) or False

    async def _ask(self, question: Callable[[Warehouse], T]) -> T | None:
        try:
            return await asyncio.to_thread(self._asked, question)
        except WarehouseError as error:
            log.warning("the warehouse's copy of the control topics cannot be asked: %s", error)
            return None

    def _asked(self, question: Callable[[Warehouse], T]) -> T:
        if self._warehouse is None:
            self._warehouse = Warehouse.connect(self._settings, ANSWER_S)
        return question(self._warehouse)
