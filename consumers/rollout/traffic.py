"""What the warehouse shows of a step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from consumers.rollout.alarm import Health
from consumers.rollout.step import Traffic
from headrace.access.siphash import key_of
from headrace.contract import ids
from headrace.contract.control import Promotion, Step
from headrace.errors import WarehouseError
from headrace.plan import Rollout
from headrace.settings import Settings
from headrace.warehouse import Warehouse, clickhouse_time, query_text

log = logging.getLogger(__name__)

T = TypeVar("T")

# An id may be made this long before its event happens.
EARLIER = timedelta(minutes=10)


class Sight(Protocol):
    """Sees traffic."""

    async def traffic(self, promotion: Promotion, bar: Rollout) -> Traffic | None:
        """Of the promotion's step, since it began; None where the warehouse does not say.

        Of a steady task: since its version became live, beside the one before. Answers that differ are drawn for review
        on the way, as many as the plan wants.
        """

    async def health(self, promotion: Promotion) -> Health | None:
        """What the monitor has proven of the live version; None where the warehouse does not say."""


class WarehouseSight:
    """Sees it in ClickHouse, which may be away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._warehouse: Warehouse | None = None

    async def traffic(self, promotion: Promotion, bar: Rollout) -> Traffic | None:
        """See Sight.traffic."""
        return await self._asked(lambda: self._look(promotion, bar), promotion)

    async def health(self, promotion: Promotion) -> Health | None:
        """See Sight.health."""
        return await self._asked(lambda: self._health(promotion), promotion)

    async def _asked(self, question: Callable[[], T], promotion: Promotion) -> T | None:
        try:
            return await asyncio.to_thread(question)
        except WarehouseError as error:
            log.warning("no evidence for %s: %s", promotion.task, error)
            return None

    def _connected(self) -> Warehouse:
        if self._warehouse is None:
            self._warehouse = Warehouse.connect(self._settings)
        return self._warehouse

    def _health(self, promotion: Promotion) -> Health:
        live, since = promotion.live.version, clickhouse_time(promotion.since)
        (row,) = self._connected().query("rollout/health", task=promotion.task, live=live, since=since)
        return Health(**row)

    def _look(self, promotion: Promotion, bar: Rollout) -> Traffic:
        warehouse = self._connected()
        steady = promotion.step is Step.STEADY
        # After a promotion the version before it is what answers in shadow.
        beside, since = promotion.candidate, promotion.at
        if steady:
            beside, since = promotion.previous, promotion.since
        step = {
            "task": promotion.task,
            "candidate": beside.version if beside else "",
            "live": promotion.live.version,
            "since_us": (since - ids.EPOCH) // timedelta(microseconds=1),
            "from_id": _first_id(since),
        }
        (row,) = warehouse.query("rollout/evidence", arm=(Step.SHADOW if steady else promotion.step).value, **step)
        wanted = bar.reviews - row.pop("pending")
        found = Traffic(**row)
        if promotion.step is not Step.CANARY and wanted > 0 and found.disagreements:
            warehouse.command(
                query_text("rollout/draw_disagreements"),
                # The same at each look: an answer that was passed over once is not drawn later.
                **_key(f"{promotion.request_id} {since.isoformat()}"),
                wanted=wanted,
                share=bar.review_share,
                reason=f"{step['candidate']} in shadow answers otherwise than {promotion.live.version}",
                **step,
            )
        return found


def _key(salt: str) -> dict[str, int]:
    key_0, key_1 = key_of("headrace disagreements 1", salt.encode())
    return {"key_0": key_0, "key_1": key_1}


def _first_id(since: datetime) -> UUID:
    """The smallest id of the time from which on ids are read."""
    return UUID(int=((since - EARLIER - ids.EPOCH) // timedelta(milliseconds=1)) << 80)
